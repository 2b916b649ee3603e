// The table of everything in the folder.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { date, size } from "./format.js";
import { t } from "./words.js";

const EVERY_MS = 3000;
const MOST = 300; // rows that are drawn at once
const kinds = ["run", "evaluation", "judgement", "corpus", "tokenizer", "merge", "unreadable"];
const columns = [["name", "Name"], ["kind", "Kind"], ["state", "State"], ["headline", "Figures"], ["bytes", "Size"], ["date", "Date"]];

export const pill = (state) => h("span", { class: `pill ${state}` }, t(state));

export function link(entry) {
  const path = encodeURIComponent(entry.path);
  if (entry.kind === "run") return `#/run?p=${path}`;
  if (entry.kind === "corpus") return `#/corpus?p=${path}`;
  if (entry.kind === "tokenizer") return `#/tokenizer?t=${path}`;
  return ["evaluation", "judgement"].includes(entry.kind) ? `#/items?e=${path}` : null;
}

export async function runsView(place, query, onleave) {
  let found = await get("entries");
  const state = { text: query.get("q") ?? "", kind: query.get("kind") ?? "", sort: query.get("sort") ?? "date", down: query.get("up") === null, all: false };
  const chosen = new Map();
  const search = h("input", { type: "search", "aria-label": t("Search name, path, figures"), placeholder: t("Search name, path, figures"), value: state.text });
  const chips = h("div", { class: "chips-bar", role: "group", "aria-label": t("Kind") });
  const total = h("p", { class: "note total", role: "status" });
  const table = h("div", { class: "scroll" });
  const actions = h("div", { class: "actions", hidden: true });

  const matching = () => {
    const wanted = state.text.trim().normalize("NFKC").toLowerCase();
    const of = (entry) => `${entry.name} ${entry.path} ${entry.headline} ${t(entry.state)} ${entry.state} ${t(entry.kind)}`.normalize("NFKC").toLowerCase();
    return found.entries.filter((entry) => (!state.kind || entry.kind === state.kind) && (!wanted || wanted.split(/\s+/).every((word) => of(entry).includes(word))));
  };
  const sorted = (entries) => {
    const value = (entry) => entry[state.sort];
    const compare = (a, b) => (typeof value(a) === "number" ? value(a) - value(b) : String(value(a)).localeCompare(String(value(b)), "en", { numeric: true }));
    return [...entries].sort((a, b) => (state.down ? -compare(a, b) : compare(a, b)));
  };
  const keep = () => {
    const values = { q: state.text, kind: state.kind, sort: state.sort === "date" ? "" : state.sort, up: state.down ? "" : "1" };
    const text = new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
    history.replaceState(null, "", `#/runs${text ? `?${text}` : ""}`);
  };
  const change = (changes) => {
    Object.assign(state, changes);
    keep();
    draw();
  };

  function drawChips() {
    const counts = Object.fromEntries(kinds.map((kind) => [kind, found.entries.filter((entry) => entry.kind === kind).length]));
    const one = (kind, name, number) =>
      h("button", { type: "button", class: "chip-button", "aria-pressed": String(state.kind === kind), onclick: () => change({ kind, all: false }) }, name, " ", h("span", { class: "count" }, number));
    fill(chips, one("", t("all"), found.entries.length), kinds.filter((kind) => counts[kind]).map((kind) => one(kind, t(kind), counts[kind])));
  }

  function row(entry) {
    const key = `${entry.kind} ${entry.path}`;
    const can = ["run", "evaluation", "judgement"].includes(entry.kind);
    const box = h("input", { type: "checkbox", "aria-label": `${t("Choose")} ${entry.name}`, onchange: () => choose(key, entry, box.checked) });
    box.checked = chosen.has(key);
    const href = link(entry);
    const name = href ? h("a", { href }, entry.name) : h("span", {}, entry.name);
    return h("tr", { class: entry.state },
      h("td", { class: "box" }, can ? box : null),
      h("th", { scope: "row" }, name, entry.path !== entry.name && h("small", {}, entry.path)),
      h("td", { class: "kind" }, t(entry.kind)),
      h("td", { class: "state" }, pill(entry.state)),
      h("td", { class: "figures-cell" }, entry.headline),
      h("td", { class: "n" }, size(entry.bytes)),
      h("td", { class: "n date" }, date(entry.date)));
  }

  function choose(key, entry, on) {
    if (on) chosen.set(key, entry);
    else chosen.delete(key);
    drawActions();
  }

  function drawActions() {
    const entries = [...chosen.values()];
    const of = (kind) => entries.filter((entry) => (kind === "p") === (entry.kind === "run")).map((entry) => `${kind}=${encodeURIComponent(entry.path)}`);
    actions.hidden = !entries.length;
    const evaluations = of("e");
    fill(actions, h("span", {}, `${entries.length} ${t("chosen")}`),
      h("a", { class: "button primary", href: `#/compare?${[...of("p"), ...evaluations].join("&")}` }, t("Compare the chosen")),
      evaluations.length > 0 && h("a", { class: "button", href: `#/items?${evaluations.slice(0, 2).join("&")}` }, t("Show items")),
      h("button", { type: "button", onclick: () => { chosen.clear(); draw(); } }, t("Clear")));
  }

  function draw() {
    drawChips();
    const entries = sorted(matching());
    const rows = state.all ? entries : entries.slice(0, MOST);
    fill(total, `${entries.length} ${t("of")} ${found.entries.length} · ${size(found.entries.filter((entry) => !/\/stages\//.test(`/${entry.path}`)).reduce((sum, entry) => sum + entry.bytes, 0))} ${t("on the disk")}`);
    const head = columns.map(([key, name]) => h("th", { scope: "col", class: ["bytes", "date"].includes(key) ? "n" : null, "aria-sort": state.sort === key ? (state.down ? "descending" : "ascending") : null },
      h("button", { type: "button", class: "sort", onclick: () => change({ sort: key, down: state.sort === key ? !state.down : ["bytes", "date"].includes(key) }) }, t(name))));
    if (!found.entries.length) fill(table, h("p", { class: "empty" }, t("Nothing of jp-adapt lies in this folder yet.")), h("p", { class: "empty" }, h("code", {}, "jp-adapt run quickstart --out runs/quickstart")));
    else if (!entries.length) fill(table, h("p", { class: "empty" }, t("Nothing matches.")));
    else fill(table, h("table", { class: "entries" }, h("thead", {}, h("tr", {}, h("td", {}), head)), h("tbody", {}, rows.map(row))),
      rows.length < entries.length && h("button", { type: "button", onclick: () => change({ all: true }) }, `${t("Show all")} (${entries.length})`));
    drawActions();
  }

  search.addEventListener("input", () => change({ text: search.value, all: false }));
  fill(place, h("div", { class: "head" }, h("h1", {}, t("Runs")), h("p", { class: "note" }, found.folder)), h("div", { class: "controls" }, search, chips), total, table, actions);
  draw();
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const news = await get("entries").catch(() => null);
    if (news && JSON.stringify(news) !== JSON.stringify(found)) {
      found = news;
      if (place.isConnected) draw();
    }
  }, EVERY_MS);
  onleave(() => clearInterval(timer));
}
