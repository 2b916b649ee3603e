// Runs and evaluations beside each other: curves in one chart, scores with intervals, tests in pairs, settings that differ.

import { get } from "./api.js";
import { lineChart } from "./chart.js";
import { AXES, axisLabel, chartsOf, shortName } from "./curves.js";
import { fill, h, SCROLLS, select } from "./dom.js";
import { count, number } from "./format.js";
import { differences, smoothingField } from "./run.js";
import { t } from "./words.js";

export async function compareView(place, query, onleave) {
  const chosen = { p: query.getAll("p"), e: query.getAll("e") };
  const { entries } = await get("entries");
  const [runs, scores] = await Promise.all([chosen.p.length ? get("runs", { p: chosen.p }) : null, chosen.e.length ? get("scores", { e: chosen.e }) : null]);
  fill(place, h("div", { class: "head" }, h("h1", {}, t("Compare"))), picker(chosen, entries),
    !runs && !scores && h("p", { class: "empty" }, t("Choose runs or evaluations in the table of runs, then compare them here.")),
    runs && runs.problems.map((problem) => h("p", { class: "warning" }, problem)));
  if (runs) {
    const panel = overlaid(runs, onleave);
    place.append(panel.node);
    panel.draw();
  }
  if (scores) place.append(scoreTable(scores, chosen.e), ...(chosen.e.length > 1 ? [tests(chosen.e)] : []));
  if (runs && chosen.p.length > 1) place.append(differences(runs));
}

function picker(chosen, entries) {
  const go = (next) => { location.hash = `#/compare?${[...next.p.map((path) => `p=${encodeURIComponent(path)}`), ...next.e.map((path) => `e=${encodeURIComponent(path)}`)].join("&")}`; };
  const kindOf = (entry) => (entry.kind === "run" ? "p" : ["evaluation", "judgement"].includes(entry.kind) ? "e" : null);
  const tags = ["p", "e"].flatMap((kind) => chosen[kind].map((path) => h("span", { class: "tag" }, path,
    h("button", { type: "button", "aria-label": `${t("Remove")} ${path}`, onclick: () => go({ ...chosen, [kind]: chosen[kind].filter((one) => one !== path) }) }, "×"))));
  const left = entries.filter((entry) => kindOf(entry) && !chosen[kindOf(entry)].includes(entry.path));
  const add = h("select", { "aria-label": t("Add"), onchange: () => {
    const entry = left[Number(add.value)];
    if (entry) go({ ...chosen, [kindOf(entry)]: [...chosen[kindOf(entry)], entry.path] });
  } }, h("option", { value: "" }, `＋ ${t("Add")}`), left.map((entry, index) => h("option", { value: index }, `${t(entry.kind)}: ${entry.path}`)));
  return h("div", { class: "controls tags" }, tags, add);
}

function overlaid(runs, onleave) {
  const node = h("section");
  const stages = [...new Set(runs.curves.flatMap((curves) => Object.keys(curves)))];
  const at = { stage: stages.at(-1), chart: "Loss", axis: "step", smoothing: 0.6 };
  let charts = [];
  onleave(() => charts.forEach((chart) => chart.end()));

  function draw() {
    charts.forEach((chart) => chart.end());
    charts = [];
    if (!stages.length) {
      fill(node, h("h2", {}, t("Curves")), h("p", { class: "note" }, t("No steps yet.")));
      return;
    }
    const having = runs.curves.map((curves) => curves[at.stage] ?? {});
    const titles = chartsOf([...new Set(having.flatMap((columns) => Object.keys(columns)))]);
    const current = titles.find((one) => one.title === at.chart) ?? titles[0];
    charts = (current?.names ?? []).map((name) => lineChart({
      title: current.names.length > 1 ? `${t(current.title)}: ${shortName(name)}` : t(current.title), xLabel: axisLabel(at.axis), height: 340, sync: "compare", smoothing: current.title.startsWith("Held-out") ? 0 : at.smoothing,
      series: having.map((columns, index) => ({ name: runs.names[index], x: columns[at.axis] ?? columns.step ?? [], y: columns[name] ?? [], colour: index + 1 })).filter((one) => one.y.length),
    }));
    fill(node, h("h2", {}, t("Curves")), h("div", { class: "controls" },
      select(t("Stage"), stages.map((id) => [id, id]), at.stage, (value) => { at.stage = value; draw(); }),
      select(t("Metric"), titles.map(({ title }) => [title, t(title)]), current?.title, (value) => { at.chart = value; draw(); }),
      select(t("Horizontal"), AXES.map(([key, word]) => [key, t(word)]), at.axis, (value) => { at.axis = value; draw(); }), smoothingField(at, draw)),
    h("div", { class: "charts wide" }, charts.map((chart) => chart.figure)));
    charts.forEach((chart) => chart.start());
  }
  return { node, draw };
}

export function interval(score, chance) {
  if (!score?.interval || score.interval[0] < 0 || score.interval[1] > 1) return null;
  const [low, high] = score.interval;
  return h("span", { class: "interval", vars: { low, high, value: score.value, chance: chance ?? -1 }, title: `${number(low)} … ${number(high)}` }, h("i", {}), h("b", {}), chance !== null && h("u", {}));
}

function scoreTable(scores, paths) {
  const best = (row) => Math.max(...row.values.map((one) => one?.value ?? -Infinity));
  const cell = (row) => (one) => h("td", { class: "score" }, one ? [h("span", { class: one.value === best(row) && row.values.filter(Boolean).length > 1 ? "number best" : "number" }, number(one.value)), interval(one, row.chance),
    one.warnings.length > 0 && h("span", { class: "alarm", title: one.warnings.join("\n"), "aria-label": one.warnings.join("; ") }, "!")] : "–");
  const items = `#/items?${paths.slice(0, 2).map((path) => `e=${encodeURIComponent(path)}`).join("&")}`;
  return h("section", {}, h("h2", {}, t("Scores")), h("p", {}, h("a", { class: "button", href: items }, t("Show items"))), h("div", SCROLLS, h("table", { class: "scores" },
    h("thead", {}, h("tr", {}, h("td", {}), scores.names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, scores.rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.title || row.id, h("small", {}, `${row.name}${row.chance !== null ? ` · ${t("chance")} ${number(row.chance, 2)}` : ""} · ${count(row.values.find(Boolean)?.items)} ${t("items")}`)), row.values.map(cell(row)))),
      scores.texts.map((text) => h("tr", {}, h("th", { scope: "row" }, text.id, h("small", {}, t("Bits per character"))), text.values.map((value) => h("td", { class: "score" }, h("span", { class: "number" }, number(value))))))))));
}

function tests(paths) {
  const node = h("section", {}, h("h2", {}, t("Tests in pairs")));
  const button = h("button", { type: "button", onclick: async () => {
    fill(button, `${t("Computing")} …`).disabled = true;
    try {
      button.replaceWith(...testTables(await get("tests", { e: paths })));
    } catch (error) {
      button.replaceWith(h("p", { class: "warning", role: "alert" }, error.message));
    }
  } }, t("Test every pair"));
  node.append(button);
  return node;
}

function testTables(report) {
  const row = (entry) => h("tr", {}, h("th", { scope: "row" }, entry.title || entry.id, h("small", {}, entry.name)), h("td", { class: "n" }, number(entry.a)), h("td", { class: "n" }, number(entry.b)), h("td", { class: "n" }, number(entry.difference, 3, true)),
    h("td", { class: "n" }, entry.interval?.map((bound) => number(bound, 3, true)).join(" … ")), h("td", { class: "n" }, entry.p_holm === null ? "–" : entry.p_holm < 0.001 ? entry.p_holm.toExponential(1) : number(entry.p_holm)),
    h("td", {}, h("span", { class: `outcome ${entry.outcome.replace(" ", "-")}` }, t(entry.outcome)), h("small", {}, entry.verdict), entry.notes.map((note) => h("small", { class: "bad" }, note))));
  const table = (pair) => h("div", SCROLLS, h("table", {}, h("caption", {}, `A: ${report.base} · B: ${pair.model}`),
    h("thead", {}, h("tr", {}, h("td", {}), ["A", "B", "B − A", "95 % interval", "p (Holm)"].map((word) => h("th", { class: "n", scope: "col" }, t(word))), h("th", { scope: "col" }, t("Verdict")))), h("tbody", {}, pair.benchmarks.map(row))));
  return [...report.pairs.map(table), h("p", { class: "note" }, t("p values are corrected by Holm for this many tests:"), ` ${report.tests}`)];
}
