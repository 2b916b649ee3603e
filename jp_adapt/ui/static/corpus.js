// A prepared corpus: its sources, and what each step dropped and why, with samples.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { count, number } from "./format.js";
import { t } from "./words.js";

export async function corpusView(place, query) {
  const corpus = await get("corpus", { p: query.get("p") ?? "" });
  const head = (words) => h("thead", {}, h("tr", {}, words.map((word, at) => h("th", { scope: "col", class: at ? "n" : null }, word ? t(word) : ""))));
  const sources = h("table", {}, head(["Source", "Documents", "Characters", "Tokens", "chars/token", "Unread"]), h("tbody", {}, corpus.sources.map((source) => h("tr", {}, h("th", { scope: "row" }, source.name, source.first_unread.length > 0 && h("small", { class: "bad" }, source.first_unread[0])),
    [count(source.documents), count(source.characters), count(source.tokens), number(source.chars_per_token), count(source.unread)].map((value) => h("td", { class: "n" }, value))))));
  const most = Math.max(1, ...corpus.steps.map((step) => step.documents));
  fill(place, h("div", { class: "head" }, h("p", { class: "crumb" }, h("a", { href: "#/runs" }, `← ${t("Runs")}`)), h("h1", {}, corpus.name), corpus.document_end && h("p", { class: "note" }, h("code", {}, corpus.document_end))),
    h("section", {}, h("h2", {}, t("Sources")), h("div", { class: "scroll" }, sources)),
    h("section", {}, h("h2", {}, t("What each step did")), corpus.steps.length ? h("ol", { class: "funnel" }, corpus.steps.map((step) => stepCard(step, most))) : h("p", { class: "note" }, "–")));
}

function stepCard(step, most) {
  const dropped = Object.values(step.dropped).reduce((sum, value) => sum + value, 0);
  const word = [`${count(step.documents)} ${t("documents")}`, dropped && `${count(dropped)} ${t("dropped")}`, step.changed && `${count(step.changed)} ${t("changed")}`].filter(Boolean).join(" · ");
  return h("li", {}, h("h3", {}, step.name, h("small", {}, word)),
    h("div", { class: "flow", vars: { share: step.documents / most, kept: step.documents ? (step.documents - dropped) / step.documents : 0 } }, h("i", {})),
    dropped > 0 && h("p", { class: "note" }, Object.entries(step.dropped).map(([reason, documents]) => `${reason}: ${count(documents)}`).join(", ")),
    step.samples.length > 0 && h("details", {}, h("summary", {}, `${t("Samples of what was dropped")} (${step.samples.length})`), step.samples.map((sample) => h("div", {}, h("p", { class: "note" }, `${sample.source} · ${sample.reason} · ${sample.place}`), h("pre", { class: "sample" }, sample.text)))));
}
