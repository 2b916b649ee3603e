// A line chart around uPlot: colours of the theme, a legend with the values under the pointer, zoom by dragging, the same pointer in all charts of a view.

import uPlot from "./vendor/uPlot.esm.js";
import { h } from "./dom.js";
import { short } from "./format.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const PALETTE = 8;

// Exponential smoothing that passes over what is missing; 0 is none.
export function smoothed(values, strength) {
  let last = null;
  let weight = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    last = last === null ? value * (1 - strength) : strength * last + (1 - strength) * value;
    weight = strength * weight + (1 - strength);
    return last / weight;
  });
}

// series: [{ name, x, y, colour }], each with its own x in rising order.
export function lineChart({ title, xLabel, series, smoothing = 0, sync = "run", height = 220, label = null }) {
  const box = h("div", { class: "plot" });
  const figure = h("figure", { class: "chart" }, h("figcaption", {}, title), box);
  let plot = null;
  let zoomed = false;

  function drawn(given) {
    return smoothing ? given.flatMap((one) => [{ ...one, faint: true }, { ...one, y: smoothed(one.y, smoothing) }]) : given;
  }

  function table(given) {
    const whole = given.map((one) => {
      const at = one.x.map((_, index) => index).filter((index) => one.x[index] !== null && one.x[index] !== undefined && one.y[index] !== null && one.y[index] !== undefined);
      return [at.map((index) => one.x[index]), at.map((index) => one.y[index])];
    });
    return whole.length ? uPlot.join(whole) : [[], []];
  }

  function told(given) {
    return given.map((one) => {
      const known = one.y.filter((value) => value !== null && value !== undefined);
      return known.length ? `${one.name}: ${short(known[0])} → ${short(known.at(-1))}` : `${one.name}: –`;
    }).join("; ");
  }

  function build(given) {
    const lines = drawn(given);
    const axis = { stroke: colour("chart-muted"), grid: { stroke: colour("chart-grid"), width: 1 }, ticks: { stroke: colour("chart-grid"), width: 1 }, font: "12px system-ui, sans-serif" };
    const options = {
      width: Math.max(240, box.clientWidth || 480),
      height,
      scales: { x: { time: false } },
      cursor: { sync: { key: sync, setSeries: false }, drag: { x: true, y: false }, points: { size: 7 } },
      legend: { live: true },
      axes: [
        { ...axis, label: xLabel, labelSize: 18, labelFont: "12px system-ui, sans-serif", size: 34, values: (_, ticks) => ticks.map(short) },
        { ...axis, size: (self, values) => 24 + 7 * Math.max(3, ...(values ?? []).map((value) => value.length)), values: (_, ticks) => ticks.map(short) },
      ],
      series: [
        { label: xLabel, value: (self, value, _, at) => short(at === null ? self.data[0].at(-1) : value) },
        ...lines.map((one) => ({
          label: one.name,
          stroke: colour(`series-${one.colour % PALETTE}`),
          width: one.faint ? 1 : 2,
          alpha: one.faint ? 0.25 : 1,
          spanGaps: true,
          points: { show: one.y.filter((value) => value !== null).length < 30 && !one.faint, size: 5 },
          value: (self, value, line, at) => short(at === null ? self.data[line].findLast((one) => one !== null && one !== undefined) : value),
        })),
      ],
      hooks: {
        setSelect: [(self) => { zoomed = self.select.width > 0 || zoomed; }],
      },
    };
    plot = new uPlot(options, table(lines), box);
    plot.over.addEventListener("dblclick", () => { zoomed = false; });
    plot.root.querySelectorAll(".u-series").forEach((row, index) => row.classList.toggle("faint", index > 0 && Boolean(lines[index - 1].faint)));
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", `${label ?? title}. ${told(given)}`);
  }

  const observer = new ResizeObserver(() => {
    if (plot && box.clientWidth) plot.setSize({ width: Math.max(240, box.clientWidth), height });
  });

  return {
    figure,
    start() {
      build(series);
      observer.observe(box);
    },
    // New values of the same lines; a zoom stays.
    update(given) {
      if (!plot) return;
      plot.setData(table(drawn(given)), !zoomed);
      box.setAttribute("aria-label", `${label ?? title}. ${told(given)}`);
    },
    end() {
      observer.disconnect();
      plot?.destroy();
      plot = null;
    },
  };
}
