// Every item of an evaluation, or of two side by side: 20,000 rows of which only those on the screen exist, filtered at once.

import { get } from "./api.js";
import { fill, h, later, select } from "./dom.js";
import { count } from "./format.js";
import { itemCard } from "./item.js";
import { t } from "./words.js";

const ROW = 62; // pixels, as views.css has it
const BLOCK = 100; // rows of one request
const AHEAD = 8;

export async function itemsView(place, query, onleave) {
  const { entries } = await get("entries");
  const evaluations = entries.filter((entry) => ["evaluation", "judgement"].includes(entry.kind)).map((entry) => entry.path).sort();
  if (!evaluations.length) {
    fill(place, h("h1", {}, t("Items")), h("p", { class: "empty" }, t("There is no evaluation in this folder.")));
    return;
  }
  const chosen = query.getAll("e").length ? query.getAll("e") : evaluations.slice(0, 1);
  const index = await get("items", { e: chosen });
  const state = { benchmark: query.get("b") ?? "", outcome: query.get("o") ?? "", flag: query.get("f") ?? "", text: query.get("q") ?? "", open: query.get("i") };
  const list = virtualList(chosen, index, (at) => open(at), onleave);
  const detail = h("aside", { class: "detail", "aria-live": "polite" }, h("p", { class: "note" }, t("Choose an item.")));
  const total = h("p", { class: "note total", role: "status" });
  const chips = h("div", { class: "chips-bar", role: "group", "aria-label": t("Outcome") });
  let texts = null; // items that hold the text that is searched; null for all
  let asking = new AbortController();

  const outcomes = outcomesOf(index);
  const search = h("input", { type: "search", "aria-label": t("Search every text"), placeholder: t("Search every text"), value: state.text });

  function keep() {
    const values = { b: state.benchmark, o: state.outcome, f: state.flag, q: state.text, i: state.open ?? "" };
    const tail = Object.entries(values).filter(([, value]) => value !== "").map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join("");
    history.replaceState(null, "", `#/items?${chosen.map((path) => `e=${encodeURIComponent(path)}`).join("&")}${tail}`);
  }

  function draw() {
    const held = [];
    const counts = Object.fromEntries(outcomes.map(([key]) => [key, 0]));
    const wanted = outcomes.find(([key]) => key === state.outcome) ?? outcomes[0];
    for (let at = 0; at < index.count; at += 1) {
      if (state.benchmark !== "" && String(index.benchmark[at]) !== state.benchmark) continue;
      if (state.flag && !(index.flags[at] & Number(state.flag))) continue;
      if (texts && !texts.has(at)) continue;
      for (const [key, , belongs] of outcomes) if (belongs(at)) counts[key] += 1;
      if (wanted[2](at)) held.push(at);
    }
    fill(chips, outcomes.map(([key, name]) => h("button", { type: "button", class: `chip-button ${key}`, "aria-pressed": String(state.outcome === key), onclick: () => change({ outcome: key }) }, name, " ", h("span", { class: "count" }, count(counts[key])))));
    fill(total, `${count(held.length)} ${t("of")} ${count(index.count)}`, index.broken ? ` · ${index.broken} ${t("lines could not be read")}` : "");
    list.show(held);
    keep();
  }

  function change(changes) {
    Object.assign(state, changes);
    draw();
  }

  async function searched() {
    asking.abort();
    asking = new AbortController();
    try {
      texts = state.text.trim() ? new Set(await get("item-search", { e: chosen, q: state.text.trim() }, asking.signal)) : null;
    } catch (error) {
      if (error.name === "AbortError") return;
      throw error;
    }
    draw();
  }

  async function open(at) {
    state.open = String(at);
    keep();
    const item = await get("item", { e: chosen, i: at });
    fill(detail, itemCard(item, index, at, () => { place.classList.remove("opened"); fill(detail, h("p", { class: "note" }, t("Choose an item."))); list.focus(); }));
    detail.scrollTop = 0;
    place.classList.add("opened");
  }

  search.addEventListener("input", later(() => { state.text = search.value; searched(); }, 60));
  const go = (next) => { location.hash = `#/items?${next.filter(Boolean).map((path) => `e=${encodeURIComponent(path)}`).join("&")}`; };
  const names = (list_) => list_.map((path) => [path, path]);
  fill(place, h("div", { class: "head" }, h("h1", {}, t("Items"))),
    h("div", { class: "controls" },
      select(t("Evaluation"), names(evaluations), chosen[0], (value) => go([value, ...chosen.slice(1).filter((path) => path !== value)])),
      select(t("beside"), [["", t("none")], ...names(evaluations.filter((path) => path !== chosen[0]))], chosen[1] ?? "", (value) => go([chosen[0], value])),
      select(t("Benchmark"), [["", t("all")], ...index.benchmarks.map((one, at) => [String(at), one.title || one.id])], state.benchmark, (value) => change({ benchmark: value })),
      select(t("Flag"), [["", t("any")], ["1", t("boundary moved")], ["2", t("truncated")]], state.flag, (value) => change({ flag: value })), search),
    chosen.length > 1 && h("p", { class: "note" }, index.names.map((name, at) => h("span", { class: "side" }, h("b", {}, "ABCD"[at]), ` ${name}  `))),
    chips, total, h("div", { class: "browser" }, list.node, detail));
  list.start();
  if (state.text) await searched();
  else draw();
  if (state.open !== null && Number(state.open) < index.count) await open(Number(state.open));
}

function outcomesOf(index) {
  const mark = (side, at) => index.marks[side][at];
  const right = (at) => mark(0, at) === "+";
  const wrong = (at) => mark(0, at) === "x";
  if (index.marks.length === 1) return [["", t("all"), () => true], ["right", t("right"), right], ["wrong", t("wrong"), wrong]];
  const score = (side, at) => index.scores[side][at];
  const both = (at) => score(0, at) !== null && score(1, at) !== null;
  return [["", t("all"), () => true],
    ["lost", t("only A right"), (at) => both(at) && score(0, at) > score(1, at)], ["gained", t("only B right"), (at) => both(at) && score(1, at) > score(0, at)],
    ["right", t("both right"), (at) => right(at) && mark(1, at) === "+"], ["wrong", t("both wrong"), (at) => wrong(at) && mark(1, at) === "x"]];
}

const marks = { "+": ["✓", "right"], x: ["✗", "wrong"], "~": ["~", ""], "-": ["·", "not scored"] };

function virtualList(chosen, index, open, onleave) {
  const spacer = h("div", { class: "spacer" });
  const node = h("div", { class: "list", role: "listbox", tabindex: 0, "aria-label": t("Items") }, spacer);
  const known = new Map(); // item -> its texts
  const asked = new Set(); // blocks on their way
  let held = [];
  let current = -1;
  let drawn = "";

  function row(position) {
    const at = held[position];
    const texts = known.get(at);
    const answers = index.marks.map((side, number) => {
      const [sign, word] = marks[side[at]];
      const grade = side[at] === "~" ? String(Math.round(index.scores[number][at] * 100) / 100) : sign;
      return h("span", { class: `answer ${word}` }, h("b", { title: word ? t(word) : null }, grade), texts ? ` ${texts.answers[number]}` : "");
    });
    const benchmark = index.benchmarks[index.benchmark[at]];
    return h("div", { class: "item", id: `item-${at}`, role: "option", "aria-selected": String(position === current), vars: { top: `${position * ROW}px` }, onclick: () => choose(position) },
      h("span", { class: "where" }, benchmark.id.split("/").at(-1), " ", texts?.id ?? "", texts?.group ? ` · ${texts.group}` : ""), h("span", { class: "answers" }, answers), h("span", { class: "question" }, texts ? texts.question : "…"));
  }

  function draw(force = false) {
    const first = Math.max(0, Math.floor(node.scrollTop / ROW) - AHEAD);
    const last = Math.min(held.length, Math.ceil((node.scrollTop + node.clientHeight) / ROW) + AHEAD);
    const key = `${first} ${last} ${current}`;
    if (key === drawn && !force) return;
    drawn = key;
    spacer.replaceChildren(...Array.from({ length: Math.max(0, last - first) }, (_, offset) => row(first + offset)));
    ask(first, last);
  }

  // Rows that are missing, by whole blocks of the list as it is filtered now.
  async function ask(first, last) {
    const list = held;
    for (let block = Math.floor(first / BLOCK); block * BLOCK < last; block += 1) {
      const wanted = list.slice(block * BLOCK, (block + 1) * BLOCK).filter((at) => !known.has(at) && !asked.has(at));
      if (!wanted.length) continue;
      wanted.forEach((at) => asked.add(at));
      get("item-rows", { e: chosen, i: wanted.join(",") }).then((rows) => {
        rows.forEach((texts) => known.set(texts.i, texts));
        draw(true);
      }).catch(() => {}).finally(() => wanted.forEach((at) => asked.delete(at)));
    }
  }

  function choose(position) {
    current = Math.max(0, Math.min(held.length - 1, position));
    if (!held.length) return;
    const top = current * ROW;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + ROW > node.scrollTop + node.clientHeight) node.scrollTop = top + ROW - node.clientHeight;
    node.setAttribute("aria-activedescendant", `item-${held[current]}`);
    draw(true);
    open(held[current]);
  }

  const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
  node.addEventListener("keydown", (event) => {
    if (!(event.key in steps) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(held.length - 1, current + steps[event.key])));
  });
  node.addEventListener("scroll", () => requestAnimationFrame(() => draw()), { passive: true });
  const observer = new ResizeObserver(() => draw());
  onleave(() => observer.disconnect());
  return {
    node,
    start: () => observer.observe(node),
    focus: () => node.focus(),
    show(items) {
      const at = held[current];
      held = items;
      current = at === undefined ? -1 : held.indexOf(at);
      spacer.style.height = `${held.length * ROW}px`;
      if (node.scrollTop > held.length * ROW) node.scrollTop = 0;
      if (!held.length) fill(spacer, h("p", { class: "empty" }, t("Nothing matches.")));
      else draw(true);
    },
  };
}
