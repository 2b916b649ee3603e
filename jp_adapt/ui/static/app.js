// Which view is shown: the address behind the # names it, with what is chosen in it, so that a link keeps everything.

import { fill, h } from "./dom.js";
import { otherLanguage, switchLanguage, t } from "./words.js";
import { boardView } from "./board.js";
import { chatView } from "./chat.js";
import { compareView } from "./compare.js";
import { corpusView } from "./corpus.js";
import { itemsView } from "./items.js";
import { runView } from "./run.js";
import { runsView } from "./runs.js";
import { tokensView } from "./tokens.js";

const views = { runs: runsView, run: runView, corpus: corpusView, board: boardView, compare: compareView, items: itemsView, tokenizer: tokensView, chat: chatView };
const tabs = [["runs", "Runs"], ["compare", "Compare"], ["items", "Items"], ["tokenizer", "Tokenizer"], ["chat", "Chat"]];
const main = document.getElementById("main");
let leave = () => {};
let shown = "";

function asked() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return [path in views ? path : "runs", new URLSearchParams(query)];
}

function frame(name) {
  document.title = `${t(tabs.find(([key]) => key === name)?.[1] ?? "Runs")} · jp-adapt`;
  fill(document.getElementById("nav"), tabs.map(([key, word]) => h("a", { href: `#/${key}`, "aria-current": key === name || (key === "runs" && ["run", "corpus", "board"].includes(name)) ? "page" : null }, t(word))));
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  fill(document.getElementById("theme"), t(dark ? "Light" : "Dark"));
  fill(document.getElementById("lang"), otherLanguage()).lang = document.documentElement.lang === "ja" ? "en" : "ja";
  fill(document.getElementById("gone"), t("The connection is gone; is jp-adapt ui still running?"));
  fill(document.querySelector(".skip"), t("Skip to the content"));
}

async function show() {
  leave();
  const [name, query] = asked();
  const again = shown === name;
  shown = name;
  frame(name);
  const place = h("div", { class: `view ${name}` });
  const ends = [];
  leave = () => ends.splice(0).forEach((end) => end());
  fill(main, place);
  if (!again) main.focus({ preventScroll: true });
  try {
    fill(place, h("p", { class: "note", role: "status" }, `${t("Loading")} …`));
    await views[name](place, query, (end) => ends.push(end));
  } catch (error) {
    fill(place, h("h1", {}, t("Could not be shown")), h("p", { class: "warning", role: "alert" }, error instanceof TypeError ? t("The connection is gone; is jp-adapt ui still running?") : error.message));
    if (error instanceof TypeError) console.error(error);
  }
}

const root = document.documentElement;
const kept = localStorage.getItem("theme");
if (kept) root.dataset.theme = kept;
document.getElementById("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  show();
};
document.getElementById("lang").onclick = () => {
  switchLanguage();
  show();
};
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  main.focus();
};
addEventListener("hashchange", show);
show();
