// A run: its stages as a line of steps, curves that go on while it trains, settings, samples, figures.

import { get, live } from "./api.js";
import { lineChart } from "./chart.js";
import { appended, AXES, axisLabel, chartsOf, shortName } from "./curves.js";
import { fill, h, later, SCROLLS, select } from "./dom.js";
import { count, date, duration, number } from "./format.js";
import { pill } from "./runs.js";
import { t } from "./words.js";

export async function runView(place, query, onleave) {
  const path = query.get("p") ?? "";
  const run = await get("run", { p: path });
  const stages = h("section", { "aria-label": t("Stages") });
  const state = h("span");
  const drawStages = (given) => {
    fill(stages, h("ol", { class: "stages" }, given.map(stageStep)));
    fill(state, pill(stateOf(given)));
  };
  drawStages(run.stages);
  const panel = curvePanel(run, onleave);
  const rest = h("div");
  const others = (await get("entries")).entries.filter((entry) => entry.kind === "run" && entry.path !== path).map((entry) => entry.path);
  const beside = otherSettings(path, others);
  let marks = { samples: [], evaluations: [] }; // what new tokens spell; it comes when the tokenizer is loaded
  const drawRest = (given) => fill(rest, figures(given, path, marks), samples(given, marks), settings(given), beside);
  async function mark(given) {
    const found = await get("marked", { p: path }).catch(() => null);
    if (!found || !place.isConnected || ![...found.samples, ...found.evaluations].length) return;
    marks = found;
    drawRest(given);
  }
  drawRest(run);
  mark(run);
  const again = later(async () => {
    if (!place.isConnected) return;
    const given = await get("run", { p: path });
    drawRest(given);
    mark(given);
  }, 300);
  fill(place,
    h("div", { class: "head" }, h("p", { class: "crumb" }, h("a", { href: "#/runs" }, `← ${t("Runs")}`)), h("h1", {}, run.name, " ", state),
      h("p", { class: "note" }, [path !== run.name && path, run.recipe, date(run.created), `jp-adapt ${run.version}`].filter(Boolean).join(" · "))),
    run.problems.map((problem) => h("p", { class: "warning" }, problem)),
    stages, panel.node, rest);
  let finished = run.stages.filter((stage) => stage.state === "done").length;
  const end = live(path, (news) => {
    if (news.error) {
      place.querySelector(".head").after(h("p", { class: "warning", role: "alert" }, news.error));
      end();
      return;
    }
    drawStages(news.stages);
    panel.hear(news.metrics);
    const heldout = Object.values(news.metrics).some(({ reset, columns }) => !reset && Object.keys(columns).some((name) => name.includes("/")));
    const done = news.stages.filter((stage) => stage.state === "done").length;
    if (heldout || done !== finished) again(); // samples and figures come with these
    finished = done;
  });
  onleave(end);
}

// As `run_state` of the package has it.
function stateOf(stages) {
  const states = new Set(stages.map((stage) => stage.state));
  if (states.has("running")) return "running";
  if (states.size === 1 && states.has("done")) return "done";
  return states.has("stopped") || states.has("done") ? "stopped" : "waiting";
}

function stageStep(stage) {
  const share = stage.num_steps && stage.step !== null ? Math.min(1, stage.step / stage.num_steps) : null;
  const mark = { done: "✓", running: "●", stopped: "‖", waiting: "○" }[stage.state];
  const notes = stage.state === "done" ? [duration(stage.elapsed_s)]
    : [stage.num_steps && stage.step !== null ? `${count(stage.step)} / ${count(stage.num_steps)}` : null, stage.left_s !== null && stage.left_s !== undefined ? `${duration(stage.left_s)} ${t("left")}` : null,
      stage.tokens_per_s ? `${count(stage.tokens_per_s)} tokens/s` : null, stage.state === "stopped" ? t("stopped") : null];
  return h("li", { class: stage.state, "aria-current": stage.state === "running" ? "step" : null },
    h("span", { class: "mark", "aria-hidden": "true" }, mark),
    h("span", { class: "stage-name" }, stage.id, stage.kind !== stage.id && h("small", {}, stage.kind)),
    h("span", { class: "sr" }, t(stage.state)),
    share !== null && stage.state !== "done" && h("span", { class: "progress", vars: { share }, role: "progressbar", "aria-label": stage.id, "aria-valuenow": Math.round(100 * share) }),
    h("span", { class: "note" }, notes.filter(Boolean).join(" · ")));
}

function curvePanel(run, onleave) {
  const curves = {};
  const node = h("section");
  const controls = h("div", { class: "controls" });
  const grid = h("div", { class: "charts" });
  const names = () => run.stages.map((stage) => stage.id).filter((id) => curves[id]);
  const at = { stage: null, axis: "step", smoothing: 0 };
  let charts = [];

  const lines = (chart) => {
    const columns = curves[at.stage];
    return chart.names.map((name, index) => ({ name: shortName(name), x: columns[at.axis] ?? columns.step, y: columns[name] ?? [], colour: index + 1 }));
  };

  function draw() {
    charts.forEach(({ drawn }) => drawn.end());
    charts = [];
    if (!names().length) {
      fill(node, h("h2", {}, t("Curves")), h("p", { class: "note" }, t("No steps yet.")));
      return;
    }
    at.stage = names().includes(at.stage) ? at.stage : names().at(-1);
    fill(controls,
      names().length > 1 && select(t("Stage"), names().map((id) => [id, id]), at.stage, (value) => { at.stage = value; draw(); }),
      select(t("Horizontal"), AXES.map(([key, word]) => [key, t(word)]), at.axis, (value) => { at.axis = value; draw(); }),
      smoothingField(at, draw), h("p", { class: "note hint" }, t("Drag to zoom, double click to see all.")));
    charts = chartsOf(Object.keys(curves[at.stage])).map((chart) => ({
      chart, drawn: lineChart({ title: t(chart.title), xLabel: axisLabel(at.axis), series: lines(chart), smoothing: chart.title === "Loss" || chart.title.startsWith("Grad") || chart.title.startsWith("Tokens") ? at.smoothing : 0 }),
    }));
    fill(grid, charts.map(({ drawn }) => drawn.figure));
    fill(node, h("h2", {}, t("Curves")), controls, grid);
    if (node.isConnected) charts.forEach(({ drawn }) => drawn.start());
  }

  draw();
  onleave(() => charts.forEach(({ drawn }) => drawn.end()));
  return {
    node,
    hear(metrics) {
      let grown = false;
      for (const [stage, news] of Object.entries(metrics)) {
        const known = Object.keys(curves[stage] ?? {}).length;
        curves[stage] = appended(curves[stage], news.columns, news.reset);
        grown ||= Object.keys(curves[stage]).length !== known;
        if (!known) at.stage = stage;
      }
      if (grown) draw();
      else if (at.stage in metrics) charts.forEach(({ chart, drawn }) => drawn.update(lines(chart)));
    },
  };
}

export function smoothingField(at, draw) {
  const range = h("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: at.smoothing });
  range.addEventListener("change", () => { at.smoothing = Number(range.value); draw(); });
  return h("label", { class: "field" }, h("span", {}, t("Smoothing")), range);
}

// A text whose pieces that new tokens spell are marked, as far as they are known of this text.
function markedText(text, pieces) {
  const known = pieces && pieces.map(([piece]) => piece).join("") === text;
  return known ? pieces.map(([piece, isNew]) => (isNew ? h("span", { class: "chip-text" }, piece) : piece)) : text;
}

const newKey = (pieces) => pieces.flat(2).some((piece) => piece?.[1]) && h("p", { class: "note" }, h("span", { class: "chip-text" }, t("new token")), " ", t("marks what new tokens spell."));

function figures(run, path, marks) {
  return run.evaluations.map((found, number_) => {
    const text = (entry) => h("tr", {}, h("th", { scope: "row" }, entry.id, h("small", {}, t("Bits per character"))), h("td", { class: "n" }, number(entry.base?.bits_per_char)), h("td", { class: "n" }, number(entry.adapted?.bits_per_char)),
      h("td", { class: "n" }, entry.difference && number(entry.difference.bits_per_char, 3, true)), h("td", { class: "n" }, entry.difference && entry.difference.interval.map((bound) => number(bound, 3, true)).join(" … ")), h("td", {}));
    const bench = (entry) => h("tr", {}, h("th", { scope: "row" }, entry.title || entry.id, h("small", {}, `${entry.name} · ${count(entry.items)} ${t("items")}`)), h("td", { class: "n" }, number(entry.base?.value)), h("td", { class: "n" }, number(entry.adapted?.value)),
      h("td", { class: "n" }, entry.comparison && number(entry.comparison.difference, 3, true)), h("td", { class: "n" }, entry.comparison?.interval?.map((bound) => number(bound, 3, true)).join(" … ")),
      h("td", {}, entry.comparison && h("span", { class: `outcome ${entry.comparison.outcome.replace(" ", "-")}` }, t(entry.comparison.outcome))));
    const items = found.items.map((one) => `e=${encodeURIComponent(path === "." ? one : `${path}/${one}`)}`).join("&");
    return h("section", {}, h("h2", {}, t("Figures of the evaluation")),
      h("div", SCROLLS, h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), ["Base", "Adapted", "Difference", "95 % interval"].map((word) => h("th", { class: "n", scope: "col" }, t(word))), h("th", { scope: "col" }, t("Verdict")))),
        h("tbody", {}, found.texts.map(text), found.benchmarks.map(bench)))),
      items && h("p", {}, h("a", { class: "button", href: `#/items?${items}` }, t("Look at every item"))),
      found.samples.length > 0 && h("div", SCROLLS, h("table", { class: "samples" }, h("thead", {}, h("tr", {}, ["Prompt", "Base", "Adapted"].map((word) => h("th", { scope: "col" }, t(word))))),
        h("tbody", {}, found.samples.map((one, at) => h("tr", {}, h("th", { scope: "row" }, one.prompt), h("td", { class: "sample" }, one.base), h("td", { class: "sample" }, markedText(one.adapted ?? "", marks.evaluations[number_]?.[at]))))))));
  });
}

function samples(run, marks) {
  if (!run.samples.length) return null;
  const all = run.samples.map((one, at) => ({ ...one, pieces: marks.samples[at] }));
  const steps = [...new Set(all.map((one) => `${one.stage} ${one.step}`))].reverse();
  return h("section", {}, h("h2", {}, t("Samples")), newKey(marks.samples), h("ul", { class: "sample-list" }, steps.slice(0, 20).map((key) => h("li", {}, h("h3", {}, key.replace(" ", ` · ${t("step")} `)),
    all.filter((one) => `${one.stage} ${one.step}` === key).map((one) => h("p", { class: "sample" }, h("span", { class: "prompt" }, one.prompt), h("span", {}, markedText(one.text, one.pieces))))))));
}

// The settings that differ from those of another run, which is chosen here.
function otherSettings(path, others) {
  if (!others.length) return null;
  const table = h("div");
  const choose = select(t("Settings beside another run"), [["", t("none")], ...others.map((other) => [other, other])], "", async (other) => {
    if (!other) return fill(table);
    const found = await get("runs", { p: [path, other] });
    return fill(table, found.problems.map((problem) => h("p", { class: "warning" }, problem)), differences(found), h("p", {}, h("a", { class: "button", href: `#/compare?p=${encodeURIComponent(path)}&p=${encodeURIComponent(other)}` }, t("Compare the chosen"))));
  });
  return h("section", {}, h("div", { class: "controls" }, choose), table);
}

export function differences(runs) {
  return h("section", {}, h("h2", {}, t("Settings that differ")), runs.settings.length ? h("div", SCROLLS, h("table", { class: "settings" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("Setting")), runs.compared.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, runs.settings.map(({ key, values }) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, key)), values.map((value) => h("td", {}, h("code", {}, setting(value)))))))))
    : h("p", { class: "note" }, t("The same in all.")));
}

function settings(run) {
  return h("section", {}, h("h2", {}, t("Settings that differ from the defaults")),
    run.command.length > 0 && h("p", {}, h("span", { class: "note" }, `${t("Repeat")}: `), h("code", {}, run.command.join(" "))),
    h("div", SCROLLS, h("table", { class: "settings" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("Setting")), h("th", { scope: "col" }, t("Value")))),
      h("tbody", {}, run.settings.map(({ key, value }) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, key)), h("td", {}, h("code", {}, setting(value)))))))));
}

export const setting = (value) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));
