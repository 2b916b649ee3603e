// A prepared corpus: its sources, how long its documents are and what they are written in, and what each step dropped and why, with samples.

import { get } from "./api.js";
import { fill, h, SCROLLS } from "./dom.js";
import { count, number } from "./format.js";
import { t } from "./words.js";

export async function corpusView(place, query) {
  const corpus = await get("corpus", { p: query.get("p") ?? "" });
  const head = (words) => h("thead", {}, h("tr", {}, words.map((word, at) => h("th", { scope: "col", class: at ? "n" : null }, word ? t(word) : ""))));
  const sources = h("table", {}, head(["Source", "Documents", "Characters", "Tokens", "chars/token", "Unread"]), h("tbody", {}, corpus.sources.map((source) => h("tr", {}, h("th", { scope: "row" }, source.name, source.first_unread.length > 0 && h("small", { class: "bad" }, source.first_unread[0])),
    [count(source.documents), count(source.characters), count(source.tokens), number(source.chars_per_token), count(source.unread)].map((value) => h("td", { class: "n" }, value))))));
  const most = Math.max(1, ...corpus.steps.map((step) => step.documents));
  fill(place, h("div", { class: "head" }, h("p", { class: "crumb" }, h("a", { href: "#/runs" }, `← ${t("Runs")}`)), h("h1", {}, corpus.name), corpus.document_end && h("p", { class: "note" }, h("code", {}, corpus.document_end))),
    h("section", {}, h("h2", {}, t("Sources")), h("div", SCROLLS, sources)),
    h("div", { class: "beside" }, bars("Lengths of the documents", t(corpus.sources.some((source) => source.tokens) ? "tokens" : "characters"), corpus.sources, lengths(corpus.sources)),
    bars("Scripts", t("of the characters"), corpus.sources, scripts(corpus.sources))),
    h("section", {}, h("h2", {}, t("What each step did")), corpus.steps.length ? h("ol", { class: "funnel" }, corpus.steps.map((step) => stepCard(step, most))) : h("p", { class: "note" }, "–")));
}

// [name of a row, its share of each source]: powers of two, from the shortest documents to the longest that there are.
function lengths(sources) {
  const used = sources.flatMap((source) => source.lengths.flatMap((documents, power) => (documents ? [power] : [])));
  const rows = used.length ? Array.from({ length: Math.max(...used) - Math.min(...used) + 1 }, (_, at) => Math.min(...used) + at) : [];
  return rows.map((power) => [power ? `${count(2 ** power)} – ${count(2 ** (power + 1) - 1)}` : "1", sources.map((source) => (source.lengths[power] ?? 0) / Math.max(1, source.documents))]);
}

function scripts(sources) {
  const names = [...new Set(sources.flatMap((source) => Object.keys(source.scripts)))];
  const rows = names.map((name) => [t(name), sources.map((source) => (source.scripts[name] ?? 0) / Math.max(1, source.characters))]);
  return rows.filter(([, shares]) => shares.some(Boolean)).sort((a, b) => Math.max(...b[1]) - Math.max(...a[1]));
}

// A table in which every share is a bar, too; all bars of a table have one scale.
function bars(title, unit, sources, rows) {
  const most = Math.max(...rows.flatMap(([, shares]) => shares), 0.01);
  return rows.length > 0 && h("section", {}, h("h2", {}, t(title)), h("div", SCROLLS, h("table", { class: "bars" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, unit), sources.map((source) => h("th", { scope: "col" }, source.name)))),
    h("tbody", {}, rows.map(([name, shares]) => h("tr", {}, h("th", { scope: "row" }, name), shares.map((share) => h("td", {}, h("span", { class: "bar-of", vars: { share: share / most } }), h("span", { class: "number" }, share ? `${number(100 * share, 1)} %` : "–")))))))));
}

function pairBlock(pair) {
  const side = (name, place, pieces) => h("div", {}, h("h4", {}, name, " ", h("small", {}, place)), h("pre", { class: "sample" }, pieces.map(([text, same]) => (same ? h("span", {}, text) : h("mark", {}, text)))));
  return h("div", { class: "pair" }, side(t("dropped"), pair.place, pair.text), side(t("kept"), pair.kept_place, pair.kept));
}

function stepCard(step, most) {
  const dropped = Object.values(step.dropped).reduce((sum, value) => sum + value, 0);
  const word = [`${count(step.documents)} ${t("documents")}`, dropped && `${count(dropped)} ${t("dropped")}`, step.changed && `${count(step.changed)} ${t("changed")}`].filter(Boolean).join(" · ");
  return h("li", {}, h("h3", {}, step.name, h("small", {}, word)),
    h("div", { class: "flow", vars: { share: step.documents / most, kept: step.documents ? (step.documents - dropped) / step.documents : 0 } }, h("i", {})),
    dropped > 0 && h("p", { class: "note" }, Object.entries(step.dropped).map(([reason, documents]) => `${reason}: ${count(documents)}`).join(", ")),
    step.pairs.length > 0 && h("details", {}, h("summary", {}, `${t("Near duplicates beside what was kept")} (${step.pairs.length})`), step.pairs.map(pairBlock)),
    step.samples.length > 0 && h("details", {}, h("summary", {}, `${t("Samples of what was dropped")} (${step.samples.length})`), step.samples.map((sample) => h("div", {}, h("p", { class: "note" }, `${sample.source} · ${sample.reason} · ${sample.place}`), h("pre", { class: "sample" }, sample.text)))));
}
