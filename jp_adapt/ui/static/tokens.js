// A text cut by several tokenizers side by side.

import { get, post } from "./api.js";
import { fill, h, later, SCROLLS } from "./dom.js";
import { count, number } from "./format.js";
import { t } from "./words.js";

const EXAMPLE = "吾輩は猫である。名前はまだ無い。\n2026年、東京都の人口は約1,400万人だった。\nThe quick brown fox jumps over the lazy dog.";
const MOST = 6;

export async function tokensView(place, query, onleave) {
  const { tokenizers } = await get("playground");
  if (!tokenizers.length) {
    fill(place, h("h1", {}, t("Tokenizer")), h("p", { class: "empty" }, t("There is no tokenizer in this folder; --model PATH adds one.")));
    return;
  }
  const chosen = new Set((query.getAll("t").length ? query.getAll("t") : tokenizers.slice(0, 2)).filter((name) => tokenizers.includes(name)));
  const input = h("textarea", { rows: 5, "aria-label": t("Type or paste text"), placeholder: t("Type or paste text"), spellcheck: "false" });
  input.value = query.get("x") ?? EXAMPLE;
  const results = h("div", { class: "cuts" });
  const ids = h("input", { type: "checkbox", onchange: () => results.classList.toggle("with-ids", ids.checked) });
  let asking = new AbortController();

  async function cut() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    history.replaceState(null, "", `#/tokenizer?${[...chosen].map((name) => `t=${encodeURIComponent(name)}`).join("&")}${input.value === EXAMPLE ? "" : `&x=${encodeURIComponent(input.value.slice(0, 500).toWellFormed?.() ?? "")}`}`);
    const cards = await Promise.all([...chosen].map((name) => post("cut", { tokenizer: name, text: input.value }, signal).then((value) => card(name, value), (error) => (error.name === "AbortError" ? null : failed(name, error)))));
    if (!signal.aborted) fill(results, cards);
  }

  const boxes = tokenizers.map((name) => {
    const box = h("input", { type: "checkbox", onchange: () => {
      if (box.checked) chosen.add(name);
      else chosen.delete(name);
      if (chosen.size > MOST) { chosen.delete(name); box.checked = false; }
      cut();
    } });
    box.checked = chosen.has(name);
    return h("label", { class: "check" }, box, " ", name);
  });
  input.addEventListener("input", later(cut, 120));
  onleave(() => asking.abort());
  fill(place, h("div", { class: "head" }, h("h1", {}, t("Tokenizer"))),
    h("details", { class: "choose", open: tokenizers.length <= 12 }, h("summary", {}, t("Choose"), ` (${tokenizers.length})`), h("div", { class: "checks" }, boxes)),
    input, h("p", { class: "key note" }, h("label", { class: "check" }, ids, " ", t("Show ids")), h("span", {}, h("span", { class: "chip new" }, "語"), " ", t("new token")), h("span", {}, h("span", { class: "chip hex" }, h("code", {}, "E8 AA")), " ", t("part of a character"))), results);
  fill(results, h("p", { class: "note" }, `${t("Loading")} …`));
  await cut();
}

const failed = (name, error) => h("section", { class: "cut" }, h("h2", {}, name), h("p", { class: "warning" }, error.message));
export const spaces = (text) => text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣").replaceAll("\u3000", "□");

// What the text would take with fewer of the new tokens, the most useful ones first.
function sizeTable({ sizes, chars, tokens }) {
  const most = Math.max(1, ...sizes.map(([, used]) => used));
  return h("details", { class: "sizes" }, h("summary", {}, t("With fewer new tokens")), h("div", SCROLLS, h("table", { class: "bars" },
    h("thead", {}, h("tr", {}, ["new tokens", "tokens", "chars/token"].map((word) => h("th", { scope: "col" }, t(word))))),
    h("tbody", {}, sizes.map(([size, used]) => h("tr", {}, h("th", { scope: "row" }, size ? count(size) : t("Base")), h("td", {}, h("span", { class: "bar-of", vars: { share: used / most } }), h("span", { class: "number" }, count(used))),
      h("td", { class: "n" }, number(used ? chars / used : 0))))))), h("p", { class: "note" }, t("A longer vocabulary has to be learned:"), " ", h("code", {}, "jp-adapt tokenizer extend --sweep")));
}

function card(name, value) {
  const fresh = value.tokens.filter(([, , isNew]) => isNew).length;
  const facts = [[number(value.tokens.length ? value.chars / value.tokens.length : 0), t("chars/token")], [count(value.tokens.length), t("tokens")], [count(fresh), t("new")], [count(value.vocab_size), t("vocabulary")]];
  return h("section", { class: "cut" }, h("h2", {}, name),
    h("dl", { class: "facts" }, facts.map(([figure, word]) => h("div", {}, h("dt", {}, word), h("dd", {}, figure)))),
    value.sizes.length > 0 && sizeTable(value),
    h("ol", { class: "chips", lang: "ja" }, value.tokens.map(([id, text, isNew, partial]) => h("li", { class: `chip${isNew ? " new" : ""}${partial ? " hex" : ""}`, title: `id ${id}` }, partial ? h("code", {}, text) : spaces(text), h("span", { class: "id" }, id)))));
}
