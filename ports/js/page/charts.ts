/** Class histogram, where in the pool the kept images lie, and the distribution of gaps. */

import type { Payload } from "../src/index.js";
import { formatCount, h, untrusted } from "./dom.js";

const MOST_ROWS = 30;
const MOST_COLUMNS = 200;

interface Bar {
  readonly name: Node | string;
  readonly count: number;
}

function percent(part: number, whole: number): string {
  if (whole === 0) return "0 %";
  const share = (100 * part) / whole;
  return `${share >= 10 ? share.toFixed(1) : share.toPrecision(2)} %`;
}

/** A table whose middle column is drawn: readable by people and by screen readers alike. */
function barTable(heading: string, bars: readonly Bar[], total: number): HTMLElement {
  const largest = Math.max(1, ...bars.map((bar) => bar.count));
  const rows = bars.map((bar) => {
    const fill = h("span", { class: "bar" });
    fill.style.width = `${(100 * bar.count) / largest}%`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, bar.name),
      h("td", { class: "bar-cell", "aria-hidden": "true" }, fill),
      h("td", { class: "number" }, formatCount(bar.count)),
      h("td", { class: "number muted" }, percent(bar.count, total)),
    );
  });
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, heading),
    h("td", {}),
    h("th", { scope: "col", class: "number" }, "images"),
    h("th", { scope: "col", class: "number" }, "share"),
  );
  return h("table", { class: "bars" }, h("thead", {}, head), h("tbody", {}, ...rows));
}

/** Upright bars side by side, for many values. */
function columnChart(counts: readonly number[], label: string, title: (i: number) => string): HTMLElement {
  const largest = Math.max(1, ...counts);
  const chart = h("div", { class: "columns", role: "img", "aria-label": label });
  counts.forEach((count, i) => {
    const column = h("span", { title: title(i) });
    column.style.height = `${count === 0 ? 0 : Math.max(2, (100 * count) / largest)}%`;
    chart.append(h("span", { class: "slot" }, column));
  });
  return chart;
}

/** Splits 0..n-1 into at most `most` runs of nearly the same length. */
function bins(n: number, most: number): { readonly count: number; start(i: number): number } {
  const count = Math.min(n, most);
  return { count, start: (i) => Math.floor((i * n) / count) };
}

export function className(payload: Payload, label: number): HTMLElement | string {
  const name = payload.classNames?.[label];
  return name === undefined || name === "" ? `class ${label}` : untrusted(name);
}

export function classCounts(payload: Payload): Uint32Array {
  const counts = new Uint32Array(payload.header.numClasses);
  for (let j = 0; j < payload.labels.length; j++) counts[payload.labels[j]]++;
  return counts;
}

export function classHistogram(payload: Payload): HTMLElement {
  const counts = classCounts(payload);
  const K = counts.length;
  const k = payload.labels.length;
  const used = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  const order = Array.from(counts.keys());
  const summary = h("p", {}, `${formatCount(used)} of ${formatCount(K)} ${K === 1 ? "class has" : "classes have"} images.`);
  const bar = (c: number): Bar => ({ name: className(payload, c), count: counts[c] });
  if (K <= MOST_ROWS) return h("div", {}, summary, barTable("class", order.map(bar), k));
  const runs = bins(K, MOST_COLUMNS);
  const binned = Array.from({ length: runs.count }, (_, i) => {
    let sum = 0;
    for (let c = runs.start(i); c < runs.start(i + 1); c++) sum += counts[c];
    return sum;
  });
  const chart = columnChart(binned, `Images per class over ${K} classes`, (i) => {
    const last = runs.start(i + 1) - 1;
    const names = last === runs.start(i) ? `class ${last}` : `classes ${runs.start(i)} to ${last}`;
    return `${names}: ${formatCount(binned[i])} images`;
  });
  order.sort((a, b) => counts[b] - counts[a] || a - b);
  return h(
    "div",
    {},
    summary,
    chart,
    axis("class 0", `class ${formatCount(K - 1)}`),
    h("h3", {}, "Largest classes"),
    barTable("class", order.slice(0, 12).map(bar), k),
  );
}

function axis(left: string, right: string): HTMLElement {
  return h("div", { class: "axis muted", "aria-hidden": "true" }, h("span", {}, left), h("span", {}, right));
}

/** How many kept images lie in each part of the pool. */
export function poolStrip(payload: Payload): HTMLElement {
  const { indices } = payload;
  const N = payload.header.poolSize;
  const k = indices.length;
  if (N === 0) return h("p", {}, "The pool is empty.");
  const runs = bins(N, MOST_COLUMNS);
  const counts = new Array<number>(runs.count).fill(0);
  let cell = 0;
  for (let j = 0; j < k; j++) {
    while (indices[j] >= runs.start(cell + 1)) cell++;
    counts[cell]++;
  }
  const filled = counts.filter((count) => count > 0).length;
  const densest = Math.max(...counts.map((count, i) => count / (runs.start(i + 1) - runs.start(i))));
  const strip = h("div", {
    class: "strip",
    role: "img",
    "aria-label": `Where the kept images lie: they touch ${filled} of ${runs.count} equal parts of the pool.`,
  });
  counts.forEach((count, i) => {
    const first = runs.start(i);
    const last = runs.start(i + 1) - 1;
    const density = count / (last - first + 1);
    const where = first === last ? `image ${formatCount(first)}` : `images ${formatCount(first)} to ${formatCount(last)}`;
    const part = h("span", { title: `${where}: ${formatCount(count)} kept` });
    if (count > 0) {
      const ink = h("span", {});
      ink.style.opacity = String(0.25 + (0.75 * density) / densest);
      part.append(ink);
    }
    strip.append(part);
  });
  const share = `${formatCount(filled)} of ${formatCount(runs.count)}`;
  const text =
    k === 0
      ? "Nothing is kept."
      : runs.count === N
        ? `${share} images are kept; each cell is one image.`
        : `${share} parts of the pool hold kept images; the fullest part keeps ${percent(densest, 1)} of its images.`;
  return h("div", {}, h("p", {}, text), strip, axis("image 0", `image ${formatCount(N - 1)}`));
}

export function gapDistribution(payload: Payload): HTMLElement {
  const { indices } = payload;
  const k = indices.length;
  if (k === 0) return h("p", {}, "Nothing is kept, so there are no gaps.");
  const counts: number[] = [];
  let previous = -1;
  let runs = 0;
  let largest = 0;
  const gaps = new Float64Array(k);
  for (let j = 0; j < k; j++) {
    const gap = indices[j] - previous - 1;
    gaps[j] = gap;
    previous = indices[j];
    if (gap > 0 || j === 0) runs++;
    largest = Math.max(largest, gap);
    const bin = gap === 0 ? 0 : Math.floor(Math.log2(gap)) + 1;
    while (counts.length <= bin) counts.push(0);
    counts[bin]++;
  }
  gaps.sort();
  const bars = counts.map((count, bin) => {
    const least = bin === 0 ? 0 : 2 ** (bin - 1);
    const most = 2 ** bin - 1;
    const name = bin < 2 ? formatCount(least) : `${formatCount(least)} to ${formatCount(most)}`;
    return { name: h("span", { class: "gap" }, name), count };
  });
  const middle = formatCount(gaps[Math.floor((k - 1) / 2)]);
  const text =
    `How many images are skipped before each kept one: median ${middle}, largest ${formatCount(largest)}. ` +
    `The kept images form ${formatCount(runs)} ${runs === 1 ? "run" : "runs"} of neighbours.`;
  return h("div", {}, h("p", {}, text), barTable("gap", bars, k));
}

/** log2 of the number of sets of k out of N, in bits. */
export function setEntropy(N: number, k: number): number {
  if (k === 0 || k === N) return 0;
  return (lnGamma(N + 1) - lnGamma(k + 1) - lnGamma(N - k + 1)) / Math.LN2;
}

/** ln Gamma(x), x >= 1, by Stirling's series after a shift to x >= 10. */
function lnGamma(x: number): number {
  let shift = 0;
  while (x < 10) shift += Math.log(x++);
  const y = 1 / (x * x);
  const series = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y / 1680))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
