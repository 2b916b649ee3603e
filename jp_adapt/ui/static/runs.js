// The table of everything in the folder.

import { get } from "./api.js";
import { fill, h, SCROLLS, select } from "./dom.js";
import { date, size } from "./format.js";
import { t } from "./words.js";

const EVERY_MS = 3000;
const MOST = 300; // rows that are drawn at once
const kinds = ["run", "evaluation", "judgement", "corpus", "tokenizer", "merge", "leaderboard", "unreadable"];
const GROUPS = { "": "none", kind: "Kind", state: "State", tag: "Tag", folder: "Folder" };
const columns = [["name", "Name"], ["kind", "Kind"], ["state", "State"], ["headline", "Figures"], ["bytes", "Size"], ["date", "Date"]];

export const pill = (state) => h("span", { class: `pill ${state}` }, t(state));

export function link(entry) {
  const path = encodeURIComponent(entry.path);
  if (entry.kind === "run") return `#/run?p=${path}`;
  if (entry.kind === "corpus") return `#/corpus?p=${path}`;
  if (entry.kind === "leaderboard") return `#/board?p=${path}`;
  if (entry.kind === "tokenizer") return `#/tokenizer?t=${path}`;
  return ["evaluation", "judgement"].includes(entry.kind) ? `#/items?e=${path}` : null;
}

export async function runsView(place, query, onleave) {
  let found = await get("entries");
  const state = { text: query.get("q") ?? "", kind: query.get("kind") ?? "", tag: query.get("tag") ?? "", group: query.get("group") in GROUPS ? query.get("group") : "", sort: query.get("sort") ?? "date", down: query.get("up") === null, all: false };
  const chosen = new Map();
  const search = h("input", { type: "search", "aria-label": t("Search name, path, figures"), placeholder: t("Search name, path, figures"), value: state.text });
  const chips = h("div", { class: "chips-bar", role: "group", "aria-label": t("Kind") });
  const choices = h("div", { class: "controls" });
  const total = h("p", { class: "note total", role: "status" });
  const table = h("div", SCROLLS);
  const actions = h("div", { class: "actions", hidden: true });

  const matching = () => {
    const wanted = state.text.trim().normalize("NFKC").toLowerCase();
    const of = (entry) => `${entry.name} ${entry.path} ${entry.headline} ${entry.tags.join(" ")} ${t(entry.state)} ${entry.state} ${t(entry.kind)}`.normalize("NFKC").toLowerCase();
    return found.entries.filter((entry) => (!state.kind || entry.kind === state.kind) && (!state.tag || entry.tags.includes(state.tag)) && (!wanted || wanted.split(/\s+/).every((word) => of(entry).includes(word))));
  };
  const sorted = (entries) => {
    const value = (entry) => entry[state.sort];
    const compare = (a, b) => (typeof value(a) === "number" ? value(a) - value(b) : String(value(a)).localeCompare(String(value(b)), "en", { numeric: true }));
    return [...entries].sort((a, b) => (state.down ? -compare(a, b) : compare(a, b)));
  };
  const keep = () => {
    const values = { q: state.text, kind: state.kind, tag: state.tag, group: state.group, sort: state.sort === "date" ? "" : state.sort, up: state.down ? "" : "1" };
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

  // Choices of a tag and of what rows are grouped by; without a tag anywhere, how one is given.
  function drawChoices() {
    const tags = [...new Set(found.entries.flatMap((entry) => entry.tags))].sort();
    if (!tags.includes(state.tag) && state.tag) tags.push(state.tag);
    fill(choices, tags.length > 0 && select(t("Tag"), [["", t("any")], ...tags.map((tag) => [tag, tag])], state.tag, (tag) => change({ tag, all: false })),
      select(t("Grouped by"), Object.entries(GROUPS).map(([key, word]) => [key, t(word)]), state.group, (group) => change({ group })));
  }

  // [name of a group, its entries] in the order of the table; a thing with several tags stands in each of their groups.
  function grouped(entries) {
    const names = { kind: (entry) => [t(entry.kind)], state: (entry) => [t(entry.state)], tag: (entry) => (entry.tags.length ? entry.tags : [t("no tag")]), folder: (entry) => [entry.path.split("/").slice(0, -1).join("/") || "."] }[state.group];
    const groups = new Map();
    for (const entry of entries) for (const name of names(entry)) groups.set(name, [...(groups.get(name) ?? []), entry]);
    const last = ([name]) => state.group === "tag" && name === t("no tag");
    return [...groups].sort((a, b) => last(a) - last(b));
  }

  function bodies(rows) {
    if (!state.group) return h("tbody", {}, rows.map(row));
    return grouped(rows).map(([name, entries]) => h("tbody", {}, h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: columns.length + 1 }, name, " ", h("span", { class: "count" }, entries.length))), entries.map(row)));
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
      h("th", { scope: "row" }, name, entry.path !== entry.name && h("small", {}, entry.path),
        entry.tags.length > 0 && h("span", { class: "entry-tags" }, entry.tags.map((tag) => h("button", { type: "button", class: "entry-tag", title: t("Only this tag"), onclick: () => change({ tag, all: false }) }, tag)))),
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
    drawChoices();
    const entries = sorted(matching());
    const rows = state.all ? entries : entries.slice(0, MOST);
    fill(total, `${entries.length} ${t("of")} ${found.entries.length} · ${size(found.entries.filter((entry) => !/\/stages\//.test(`/${entry.path}`)).reduce((sum, entry) => sum + entry.bytes, 0))} ${t("on the disk")}`);
    const head = columns.map(([key, name]) => h("th", { scope: "col", class: ["bytes", "date"].includes(key) ? "n" : null, "aria-sort": state.sort === key ? (state.down ? "descending" : "ascending") : null },
      h("button", { type: "button", class: "sort", onclick: () => change({ sort: key, down: state.sort === key ? !state.down : ["bytes", "date"].includes(key) }) }, t(name))));
    if (!found.entries.length) fill(table, h("p", { class: "empty" }, t("Nothing of jp-adapt lies in this folder yet.")), h("p", { class: "empty" }, h("code", {}, "jp-adapt run quickstart --out runs/quickstart")));
    else if (!entries.length) fill(table, h("p", { class: "empty" }, t("Nothing matches.")));
    else fill(table, h("table", { class: "entries" }, h("thead", {}, h("tr", {}, h("td", {}), head)), bodies(rows)),
      rows.length < entries.length && h("button", { type: "button", onclick: () => change({ all: true }) }, `${t("Show all")} (${entries.length})`));
    drawActions();
  }

  search.addEventListener("input", () => change({ text: search.value, all: false }));
  fill(place, h("div", { class: "head" }, h("h1", {}, t("Runs")), h("p", { class: "note" }, found.folder)), h("div", { class: "controls" }, search, chips, choices), total, table, actions);
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
