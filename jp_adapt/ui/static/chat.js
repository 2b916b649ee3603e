// A conversation with one model or two beside each other; each answers in its own conversation, in its own template.

import { get, streamed } from "./api.js";
import { fill, h, select } from "./dom.js";
import { t } from "./words.js";

export async function chatView(place, query, onleave) {
  const { models, endpoints } = await get("playground");
  if (!models.length) {
    fill(place, h("h1", {}, t("Chat")), h("p", { class: "empty" }, t("There is no model in this folder; --model PATH or --endpoint NAME=URL adds one.")));
    return;
  }
  const names = query.getAll("m").filter((name) => models.includes(name));
  if (!names.length) names.push(models[0]);
  const go = (next) => { location.hash = `#/chat?${next.filter(Boolean).map((name) => `m=${encodeURIComponent(name)}`).join("&")}`; };
  const talks = [...new Set(names)].slice(0, 2).map((name) => ({ name, messages: [], pane: h("div", { class: "talk", role: "log", "aria-label": name }) }));
  const transcript = [];
  let asking = null;
  onleave(() => asking?.abort());

  const field = (label, properties) => {
    const input = h("input", properties);
    return [h("label", { class: "field" }, h("span", {}, label), input), input];
  };
  const [heat, temperature] = field(t("Temperature"), { type: "number", min: 0, max: 2, step: 0.1, value: 0.7 });
  const [share, topP] = field("top-p", { type: "number", min: 0.05, max: 1, step: 0.05, value: 0.95 });
  const [length, most] = field(t("Longest answer"), { type: "number", min: 1, max: 8192, step: 1, value: 512 });
  const [draw, seed] = field(t("Seed"), { type: "number", step: 1 });
  const system = h("textarea", { rows: 2, "aria-label": t("System prompt"), placeholder: t("System prompt") });
  const input = h("textarea", { rows: 2, "aria-label": t("Message"), placeholder: t("Message") });
  const send = h("button", { type: "submit", class: "primary" }, t("Send"));
  const form = h("form", { class: "say" }, input, send);

  const sampling = () => ({ temperature: Number(temperature.value), top_p: Number(topP.value), max_tokens: Number(most.value), ...(seed.value === "" ? {} : { seed: Number(seed.value) }) });

  async function ask(talk, text, signal) {
    const beginning = system.value.trim() && !talk.messages.length ? [{ role: "system", content: system.value.trim() }] : [];
    const messages = [...beginning, ...talk.messages, { role: "user", content: text }];
    const answer = h("p", { class: "said model" }, h("span", { class: "dots" }, "…"));
    talk.pane.append(h("p", { class: "said user" }, text), answer);
    let said = "";
    let cut = false;
    const settings = sampling();
    try {
      for await (const event of streamed("chat", { model: talk.name, messages, sampling: settings }, signal)) {
        if (event.error) throw new Error(event.error);
        cut ||= event.cut === true;
        said += event.piece ?? "";
        fill(answer, said);
        talk.pane.scrollTop = talk.pane.scrollHeight;
      }
    } catch (error) {
      if (error.name !== "AbortError") talk.pane.append(h("p", { class: "warning", role: "alert" }, error.message));
    }
    if (!said) return answer.remove();
    if (cut) talk.pane.append(h("p", { class: "note cut", role: "status" }, `${t("The answer was cut: it reached its longest length, or the end of the model's context.")} (${t("Longest answer")}: ${settings.max_tokens})`));
    talk.pane.scrollTop = talk.pane.scrollHeight;
    talk.messages = [...messages, { role: "assistant", content: said.trim() }];
    return transcript.push({ model: talk.name, messages, answer: said.trim(), cut, sampling: settings });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (asking) {
      asking.abort();
      return;
    }
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    asking = new AbortController();
    fill(send, t("Stop"));
    await Promise.all(talks.map((talk) => ask(talk, text, asking.signal)));
    asking = null;
    fill(send, t("Send"));
    input.focus();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!asking) form.requestSubmit();
    }
  });

  const options = (list) => list.map((name) => [name, name]);
  fill(place, h("div", { class: "head" }, h("h1", {}, t("Chat"))),
    h("div", { class: "controls" },
      select(t("Model"), options(models), talks[0].name, (value) => go([value, talks[1]?.name])),
      select(t("beside"), [["", t("none")], ...options(models.filter((name) => name !== talks[0].name))], talks[1]?.name ?? "", (value) => go([talks[0].name, value])),
      h("button", { type: "button", onclick: () => talks.forEach((talk) => { talk.messages = []; fill(talk.pane); }) }, t("New conversation")),
      h("button", { type: "button", onclick: () => save(transcript) }, t("Save the transcript"))),
    h("details", { class: "choose" }, h("summary", {}, t("Sampling"), " · ", t("System prompt")), h("div", { class: "controls" }, heat, share, length, draw), system),
    h("div", { class: "talks" }, talks.map((talk) => h("section", {}, h("h2", {}, talk.name), endpoints[talk.name] && h("p", { class: "warning" }, t("What you say here is sent to"), " ", h("code", {}, endpoints[talk.name])), talk.pane))), form);
  input.focus();
}

// The same lines as `jp-adapt chat --transcript` writes.
function save(transcript) {
  const lines = transcript.map((line) => `${JSON.stringify(line)}\n`).join("");
  const address = URL.createObjectURL(new Blob([lines], { type: "application/jsonl" }));
  h("a", { href: address, download: "transcript.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
