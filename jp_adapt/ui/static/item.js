// One item opened: what was asked, what was right, and what each model said, side by side.

import { h, SCROLLS } from "./dom.js";
import { number } from "./format.js";
import { surprisePanel } from "./surprise.js";
import { t } from "./words.js";

const text = (value) => (value === null || value === undefined ? "" : Array.isArray(value) ? value.map(text).join("\n") : typeof value === "object" ? JSON.stringify(value, null, 1) : String(value));
const block = (value) => h("pre", { class: "sample" }, value);

// An answer, with what the model thought before it folded; behind it the other answers that were drawn.
function said({ text, thought, cut, drawn = [] }) {
  return [thought && h("details", { class: "thought" }, h("summary", {}, t("Thought")), block(thought)), block(text), cut && h("p", { class: "note" }, t("Its budget cut this answer.")),
    drawn.length > 1 && h("details", {}, h("summary", {}, `${t("Drawn answers")} (${drawn.length})`), drawn.map((one) => said(one)))];
}

export function itemCard(item, index, at, close) {
  const names = index.names.map((name, side) => (index.names.length > 1 ? `${"ABCD"[side]} ${name}` : name));
  const mark = (side) => ({ "+": h("span", { class: "good" }, "✓ ", t("right")), x: h("span", { class: "bad" }, "✗ ", t("wrong")) })[index.marks[side][at]] ?? h("span", {}, index.scores[side][at] === null ? t("not scored") : number(index.scores[side][at], 2));
  return [
    h("div", { class: "item-head" }, h("h2", {}, item.id, h("small", {}, [item.benchmark, item.group].filter(Boolean).join(" · "))), h("button", { type: "button", class: "close", onclick: close }, t("Close"))),
    item.shared && h("details", {}, h("summary", {}, t("Beginning that the prompts share")), block(item.shared)),
    h("h3", {}, t("Prompt")), block(item.prompt),
    item.choices ? choices(item, names) : [item.gold !== null && [h("h3", {}, t("Right answer")), block(text(item.gold))]],
    h("div", { class: "pair" }, item.answers.map((answer, side) => h("div", {}, h("h3", {}, names[side], " ", mark(side)), answer ? said(answer) : h("p", { class: "note" }, "–")))),
    surprisePanel(item.shared + item.prompt, texts(item, names)),
  ];
}

// [name, text] of what can be asked of a model behind the prompt: every choice, or the right answer and the answers that were given.
function texts(item, names) {
  if (item.choices) return item.choices.map((choice, number_) => [`${t("Choices")} ${number_ + 1}${number_ === item.gold ? " ✓" : ""}`, choice]);
  const given = [[t("Right answer"), Array.isArray(item.gold) ? text(item.gold[0]) : text(item.gold)], ...item.answers.map((answer, side) => [names[side], answer?.text ?? ""])];
  return given.filter(([, value]) => value);
}

// The choices with their log-likelihoods: a bar says how likely each is beside the others.
function choices(item, names) {
  const shares = item.answers.map((answer) => {
    if (!answer?.nats) return null;
    const most = Math.max(...answer.nats);
    const weights = answer.nats.map((nats) => Math.exp(nats - most));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  });
  return [h("h3", {}, t("Choices")), h("div", SCROLLS, h("table", { class: "choices" },
    h("thead", {}, h("tr", {}, h("td", {}), h("td", {}), names.map((name) => h("th", { scope: "col" }, name, h("small", {}, t("nats")))))),
    h("tbody", {}, item.choices.map((choice, number_) => h("tr", { class: number_ === item.gold ? "gold" : null }, h("td", {}, number_ === item.gold ? h("span", { class: "good", title: t("Right answer") }, "✓") : ""), h("th", { scope: "row" }, choice),
      item.answers.map((answer, side) => h("td", {}, answer?.nats && h("span", { class: "likely", vars: { share: shares[side][number_] } }, number(answer.nats[number_], 2)), answer?.prediction === number_ && h("b", {}, " ←"))))))))];
}
