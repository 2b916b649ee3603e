// Which curves there are in the metrics of a stage, and how they are grouped into charts.

import { t } from "./words.js";

export const AXES = [["step", "step"], ["tokens", "tokens"], ["elapsed_s", "time"]];
const passed = new Set(["step", "num_steps", "tokens", "elapsed_s", "num_targets", "loss_nats", "epoch"]);
const groups = [
  ["Loss", (name) => name === "loss_nats_per_token" || name === "loss"],
  ["Held-out bits per character", (name) => name.startsWith("bits_per_char/")],
  ["Held-out bits per byte", (name) => name.startsWith("bits_per_byte/")],
  ["Held-out", (name) => name.includes("/") && !name.startsWith("tokens/")],
  ["Tokens per second", (name) => name === "tokens_per_s"],
  ["Gradient norm", (name) => name.startsWith("grad_norm")],
  ["Norm of embedding rows", (name) => name.startsWith("row_norm")],
  ["Peak memory", (name) => name === "peak_memory_bytes"],
  ["Learning rate", (name) => name === "lr" || name === "learning_rate"],
];

// The charts of columns: [{ title, names }].
export function chartsOf(names) {
  const left = names.filter((name) => !passed.has(name) && !name.startsWith("tokens/"));
  return groups.map(([title, belongs]) => ({ title, names: left.filter((name) => belongs(name) && groups.find(([, first]) => first(name))[0] === title) })).filter((chart) => chart.names.length);
}

// "bits_per_char/ja_heldout" -> "ja_heldout"; others as they are.
export const shortName = (name) => (name.includes("/") ? name.slice(name.indexOf("/") + 1) : name.replace("loss_nats_per_token", "nats/token").replaceAll("_", " "));

export const axisLabel = (axis) => (axis === "elapsed_s" ? `${t("time")} (s)` : t(axis));

// New lines behind old ones; a resumed run begins anew.
export function appended(columns, news, reset) {
  if (reset || !columns) return news;
  const length = columns.step?.length ?? 0;
  const added = news.step.length;
  const result = {};
  for (const name of new Set([...Object.keys(columns), ...Object.keys(news)])) {
    result[name] = [...(columns[name] ?? Array(length).fill(null)), ...(news[name] ?? Array(added).fill(null))];
  }
  return result;
}
