// The leaderboard of a matrix: a table for each suite, models as columns, each beside the first model; and what the tests say in words.

import { get } from "./api.js";
import { interval } from "./compare.js";
import { fill, h, SCROLLS } from "./dom.js";
import { count, number } from "./format.js";
import { t } from "./words.js";

const MARKS = { better: "▲", worse: "▼", "no difference": "=", "no verdict": "?" };

export async function boardView(place, query) {
  const board = await get("board", { p: query.get("p") ?? "" });
  const suites = [...new Set(board.table.map((row) => row.suite))];
  const verdicts = board.table.flatMap((row) => row.standings.filter((one) => one.verdict).map((one) => [row.name, one]));
  fill(place, h("div", { class: "head" }, h("p", { class: "crumb" }, h("a", { href: "#/runs" }, `← ${t("Runs")}`)), h("h1", {}, board.name)),
    suites.map((suite) => suiteTable(board, suite)),
    board.table.length ? h("p", { class: "note" }, Object.entries(MARKS).map(([outcome, mark]) => `${mark} ${t(outcome)}`).join(" · "), ` (${t("against")} ${board.models[0]}). `, t("p values are corrected by Holm for this many tests:"), ` ${board.tests}`) : h("p", { class: "empty" }, t("Not measured yet")),
    verdicts.length > 0 && h("section", {}, h("h2", {}, t("Verdict")), h("div", SCROLLS, h("table", {},
      h("thead", {}, h("tr", {}, [["Benchmark"], ["Model"], ["Difference", "n"], ["p (Holm)", "n"], ["Verdict"]].map(([word, kind]) => h("th", { scope: "col", class: kind ?? null }, t(word))))),
      h("tbody", {}, verdicts.map(([name, one]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, one.model), h("td", { class: "n" }, number(one.difference, 3, true)),
        h("td", { class: "n" }, one.p_holm === null ? "–" : one.p_holm < 0.001 ? one.p_holm.toExponential(1) : number(one.p_holm)),
        h("td", {}, h("span", { class: `outcome ${one.outcome.replace(" ", "-")}` }, t(one.outcome)), h("small", {}, one.verdict)))))))),
    board.missing.length > 0 && h("section", {}, h("h2", {}, t("Not measured yet")), h("ul", {}, board.missing.map(([model, suite]) => h("li", {}, `${model} · ${suite}`)))));
}

function suiteTable(board, suite) {
  const rows = board.table.filter((row) => row.suite === suite);
  const paths = board.items[suite] ?? {};
  const first = paths[board.models[0]];
  const items = (model) => `#/items?${[...new Set([first, paths[model]])].filter(Boolean).map((path) => `e=${encodeURIComponent(path)}`).join("&")}`;
  const cell = (row) => (model) => {
    const one = row.standings.find((standing) => standing.model === model);
    if (!one) return h("td", { class: "score" }, "–");
    const best = one.value !== null && one.value === Math.max(...row.standings.map((standing) => standing.value ?? -Infinity));
    return h("td", { class: "score" }, one.outcome && h("span", { class: `mark ${one.outcome.replace(" ", "-")}`, title: one.verdict }, `${MARKS[one.outcome]} `), h("span", { class: best ? "number best" : "number" }, number(one.value)), interval(one, row.chance));
  };
  return h("section", {}, h("h2", {}, suite), h("div", SCROLLS, h("table", { class: "scores" },
    h("thead", {}, h("tr", {}, h("td", {}), board.models.map((model) => h("th", { scope: "col" }, paths[model] ? h("a", { href: items(model) }, model) : model)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.benchmark, h("small", {}, `${row.metric}${row.chance !== null ? ` · ${t("chance")} ${number(row.chance, 2)}` : ""} · ${count(row.items)} ${t("items")}`)), board.models.map(cell(row))))))));
}
