/** The kept images as a table, page by page, and as CSV. */

import { type Payload, weightOf } from "../src/index.js";
import { className } from "./charts.js";
import { download, formatCount, h, untrusted } from "./dom.js";

const PER_PAGE = 25;

/** Key of the j-th kept image, or null where it is not known. */
export type KeyOf = (j: number) => string | null;

export interface Records {
  readonly element: HTMLElement;
  /** File names have become known. */
  setKeys(keyOf: KeyOf): void;
}

export function records(payload: Payload, fileName: string): Records {
  const { indices, labels, weights } = payload;
  let keyOf: KeyOf | null = null;
  let shown: Uint32Array = all(indices.length);
  let page = 0;

  const body = h("tbody", {});
  const head = h("thead", {});
  const where = h("span", { class: "muted", "aria-live": "polite" });
  const back = h("button", { type: "button", click: () => turn(page - 1) }, "Previous");
  const next = h("button", { type: "button", click: () => turn(page + 1) }, "Next");
  const filter = h("input", {
    id: "class-filter",
    inputmode: "numeric",
    size: 8,
    autocomplete: "off",
    placeholder: "all",
    input: () => {
      const text = filter.value.trim();
      const wanted = /^[0-9]+$/.test(text) ? Number(text) : null;
      shown = wanted === null ? all(indices.length) : all(indices.length).filter((j) => labels[j] === wanted);
      turn(0);
    },
  });
  const save = h("button", { type: "button", click: () => saveCsv() }, "Download CSV");
  const table = h("table", { class: "records" }, h("caption", { class: "hidden" }, "Kept images"), head, body);
  const element = h(
    "div",
    {},
    h("div", { class: "row pager" }, back, next, where, h("label", { for: "class-filter" }, "Only class number"), filter, save),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Kept images" }, table),
  );

  function columns(): string[] {
    const names = ["image", "label", "class"];
    if (weights !== null) names.push("weight");
    if (keyOf !== null) names.push("file");
    return names;
  }

  function turn(to: number): void {
    const last = Math.max(0, Math.ceil(shown.length / PER_PAGE) - 1);
    page = Math.max(0, Math.min(last, to));
    const start = page * PER_PAGE;
    const stop = Math.min(shown.length, start + PER_PAGE);
    const number = (name: string): string | false => (name === "image" || name === "label" || name === "weight") && "number";
    head.replaceChildren(h("tr", {}, ...columns().map((name) => h("th", { scope: "col", class: number(name) }, name))));
    const rows: HTMLElement[] = [];
    for (let at = start; at < stop; at++) {
      const j = shown[at];
      const key = keyOf?.(j) ?? null;
      rows.push(
        h(
          "tr",
          {},
          h("td", { class: "number" }, formatCount(indices[j])),
          h("td", { class: "number" }, labels[j]),
          h("td", {}, className(payload, labels[j])),
          weights !== null && h("td", { class: "number" }, weightOf(weights[j]).toPrecision(4)),
          keyOf !== null && h("td", {}, key === null ? h("span", { class: "muted" }, "not found") : untrusted(key)),
        ),
      );
    }
    body.replaceChildren(...rows);
    where.textContent = shown.length === 0 ? "no images" : `${formatCount(start + 1)} to ${formatCount(stop)} of ${formatCount(shown.length)}`;
    back.disabled = page === 0;
    next.disabled = page === last;
  }

  function saveCsv(): void {
    download(fileName.replace(/\.plada$/i, "") + ".csv", [toCsv(payload, keyOf)], "text/csv");
  }

  turn(0);
  return {
    element,
    setKeys(given) {
      keyOf = given;
      turn(page);
    },
  };
}

function all(n: number): Uint32Array {
  const numbers = new Uint32Array(n);
  for (let i = 0; i < n; i++) numbers[i] = i;
  return numbers;
}

/** RFC 4180. Text that a spreadsheet would take for a formula gets an apostrophe in front. */
export function csvText(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function toCsv(payload: Payload, keyOf: KeyOf | null): string {
  const { indices, labels, weights, classNames } = payload;
  const head = ["index", "label"];
  if (classNames !== null) head.push("class_name");
  if (weights !== null) head.push("weight");
  if (keyOf !== null) head.push("file");
  const names = classNames?.map(csvText) ?? null;
  const lines = [head.join(",")];
  for (let j = 0; j < indices.length; j++) {
    let line = `${indices[j]},${labels[j]}`;
    if (names !== null) line += `,${names[labels[j]]}`;
    if (weights !== null) line += `,${weightOf(weights[j])}`;
    if (keyOf !== null) line += `,${csvText(keyOf(j) ?? "")}`;
    lines.push(line);
  }
  return `${lines.join("\r\n")}\r\n`;
}
