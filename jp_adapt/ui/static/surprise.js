// The tokens of an item's texts, coloured by how surprising each is to a model of the folder; asked for, since the model has to be loaded.

import { get, post } from "./api.js";
import { fill, h, select } from "./dom.js";
import { number } from "./format.js";
import { spaces } from "./tokens.js";
import { t } from "./words.js";

const FULL = 10; // bits from which a colour is at its strongest: one of a thousand
const STEPS = [0, 2.5, 5, 7.5, 10];
let last = ""; // the model that was asked last

const depth = (bits) => ({ surprise: Math.min(1, Math.max(0, bits / FULL)) });
const chip = ([text, bits, partial, before]) => h("li", { class: `chip surprise${before ? " before" : ""}`, title: `${number(bits, 2)} bits`, vars: depth(bits) }, partial ? h("code", {}, text) : spaces(text));

// `texts`: [name, text] of what stands behind `before`.
export function surprisePanel(before, texts) {
  const results = h("div", { "aria-live": "polite" });
  const place = h("details", { class: "surprise-panel" }, h("summary", {}, t("Tokens by surprise")));
  place.addEventListener("toggle", async () => {
    if (!place.open || place.children.length > 1) return;
    const { readers } = await get("playground");
    if (!readers.length) {
      place.append(h("p", { class: "note" }, t("There is no model folder here that could be asked; --model PATH adds one.")));
      return;
    }
    if (!readers.includes(last)) last = readers[0];
    const button = h("button", { type: "button", onclick: async () => {
      fill(button, `${t("Computing")} …`).disabled = true;
      try {
        const found = [];
        for (const [name, text] of texts) found.push([name, (await post("surprise", { model: last, before, text })).tokens]);
        fill(results, found.map(([name, tokens]) => [h("h4", {}, name), h("ol", { class: "chips", lang: "ja" }, tokens.map(chip))]));
      } catch (error) {
        fill(results, h("p", { class: "warning", role: "alert" }, error.message));
      }
      fill(button, t("Ask")).disabled = false;
    } }, t("Ask"));
    place.append(h("div", { class: "controls" }, select(t("Model"), readers.map((name) => [name, name]), last, (value) => { last = value; }), button),
      h("p", { class: "key note" }, STEPS.map((bits) => h("span", { class: "chip surprise", vars: depth(bits) }, `${bits}${bits === FULL ? "+" : ""}`)), " bits"), results);
  });
  return place;
}
