/** The bytes of the file: one screenful at a time, coloured by part, with a cursor for the keyboard. */

import type { Range } from "./dissect.js";
import { formatCount, h } from "./dom.js";

const ROWS = 24;

export interface HexView {
  readonly element: HTMLElement;
  /** Shows where a range lies; `jump` turns to its page. */
  highlight(start: number, end: number, jump: boolean): void;
  clear(): void;
}

export function hexView(bytes: Uint8Array, ranges: readonly Range[], errorAt: number | null): HexView {
  let columns = columnsThatFit();
  let page = 0;
  let cursor = Math.min(errorAt ?? 0, Math.max(0, bytes.length - 1));
  let marked: [number, number] = [0, 0];
  const cells = new Map<number, HTMLElement>();

  const grid = h("div", {
    class: "hex",
    tabindex: 0,
    role: "group",
    "aria-label": "Bytes of the file. Arrow keys move, Page Up and Page Down turn pages.",
    "aria-describedby": "hex-note",
  });
  const note = h("p", { class: "hex-note", id: "hex-note", "aria-live": "polite" });
  const where = h("span", { class: "muted" });
  const back = h("button", { type: "button", click: () => turn(page - 1) }, "Previous");
  const next = h("button", { type: "button", click: () => turn(page + 1) }, "Next");
  const jump = h("input", { id: "hex-jump", inputmode: "numeric", autocomplete: "off", size: 8, placeholder: "offset" });
  const form = h(
    "form",
    {
      class: "row",
      submit: (event) => {
        event.preventDefault();
        const offset = parseOffset(jump.value);
        if (offset === null || offset >= bytes.length) note.textContent = `There is no byte ${jump.value}.`;
        else moveTo(offset, true);
      },
    },
    h("label", { for: "hex-jump" }, "Go to byte"),
    jump,
    h("button", { type: "submit" }, "Go"),
  );
  const element = h("div", { class: "hex-box" }, h("div", { class: "row pager" }, back, next, where, form), grid, note, legend());

  const perPage = (): number => ROWS * columns;

  function rangeAt(offset: number): Range | undefined {
    return ranges.find((r) => offset >= r.start && offset < r.end);
  }

  function turn(to: number): void {
    const last = Math.max(0, Math.ceil(bytes.length / perPage()) - 1);
    page = Math.max(0, Math.min(last, to));
    draw();
  }

  function draw(): void {
    const start = page * perPage();
    const stop = Math.min(bytes.length, start + perPage());
    const total = Math.max(1, Math.ceil(bytes.length / perPage()));
    cells.clear();
    const rows: HTMLElement[] = [];
    let range = rangeAt(start);
    for (let row = start; row < stop; row += columns) {
      const line = h("div", { class: "hex-row" }, h("span", { class: "hex-offset" }, row.toString(16).padStart(6, "0")));
      const printed = h("span", { class: "hex-text", "aria-hidden": "true" });
      for (let i = row; i < row + columns; i++) {
        if (i >= stop) {
          line.append(h("span", { class: "hex-byte" }, "  "));
          continue;
        }
        if (range === undefined || i >= range.end || i < range.start) range = rangeAt(i);
        const cell = h("span", { class: `hex-byte part-${range?.part ?? "rest"}`, "data-offset": i }, hex(bytes[i]));
        if (range !== undefined && i === range.start) cell.classList.add("first");
        cells.set(i, cell);
        line.append(cell);
        printed.append(bytes[i] > 0x20 && bytes[i] < 0x7f ? String.fromCharCode(bytes[i]) : "·");
      }
      line.append(printed);
      rows.push(line);
    }
    if (bytes.length === 0) rows.push(h("p", {}, "The file is empty."));
    grid.replaceChildren(...rows);
    where.textContent = `bytes ${formatCount(start)} to ${formatCount(Math.max(start, stop - 1))} of ${formatCount(bytes.length)}`;
    back.disabled = page === 0;
    next.disabled = page >= total - 1;
    paint();
  }

  function paint(): void {
    for (const [offset, cell] of cells) {
      cell.classList.toggle("marked", offset >= marked[0] && offset < marked[1]);
      cell.classList.toggle("cursor", offset === cursor);
      cell.classList.toggle("error", offset === errorAt);
    }
  }

  function describe(offset: number): void {
    if (bytes.length === 0) return;
    const range = rangeAt(offset);
    const what = range === undefined ? "not part of anything" : `${range.label}: ${range.value}`;
    const failed = offset === errorAt ? " The error shows here." : "";
    note.textContent = `Byte ${formatCount(offset)} (0x${offset.toString(16)}) is 0x${hex(bytes[offset])}: ${what}.${failed}`;
  }

  function moveTo(offset: number, mark: boolean): void {
    cursor = Math.max(0, Math.min(bytes.length - 1, offset));
    const range = rangeAt(cursor);
    if (mark && range !== undefined) marked = [range.start, range.end];
    const home = Math.floor(cursor / perPage());
    if (home !== page) turn(home);
    else paint();
    describe(cursor);
  }

  grid.addEventListener("keydown", (event) => {
    const steps: { [key: string]: number } = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      PageUp: -perPage(),
      PageDown: perPage(),
      Home: -cursor,
      End: bytes.length,
    };
    const step = steps[event.key];
    if (step === undefined || bytes.length === 0) return;
    event.preventDefault();
    moveTo(cursor + step, true);
  });
  const offsetOf = (event: Event): number | null => {
    const cell = (event.target as HTMLElement).closest<HTMLElement>("[data-offset]");
    return cell === null ? null : Number(cell.dataset.offset);
  };
  grid.addEventListener("mouseover", (event) => {
    const offset = offsetOf(event);
    if (offset === null) return;
    const range = rangeAt(offset);
    marked = range === undefined ? [offset, offset + 1] : [range.start, range.end];
    paint();
    describe(offset);
  });
  grid.addEventListener("click", (event) => {
    const offset = offsetOf(event);
    if (offset !== null) moveTo(offset, true);
  });
  const resized = (): void => {
    if (!element.isConnected) {
      window.removeEventListener("resize", resized); // another file is shown
      return;
    }
    if (columnsThatFit() === columns) return;
    columns = columnsThatFit();
    turn(Math.floor(cursor / perPage()));
  };
  window.addEventListener("resize", resized);

  turn(Math.floor(cursor / perPage()));
  if (errorAt !== null && errorAt >= bytes.length) {
    note.textContent = `The error shows at byte ${formatCount(errorAt)}, the end of the file.`;
  } else describe(cursor);

  return {
    element,
    highlight(start, end, jumpThere) {
      marked = [start, end];
      const visible = start < (page + 1) * perPage() && end > page * perPage();
      if (jumpThere && start < bytes.length) moveTo(start, false);
      else if (visible) paint();
    },
    clear() {
      marked = [0, 0];
      paint();
    },
  };
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

function columnsThatFit(): number {
  return window.innerWidth < 720 ? 8 : window.innerWidth < 1280 ? 16 : 32;
}

function parseOffset(text: string): number | null {
  const trimmed = text.trim();
  if (/^0x[0-9a-f]+$/i.test(trimmed)) return parseInt(trimmed, 16);
  return /^[0-9]+$/.test(trimmed) ? Number(trimmed) : null;
}

function legend(): HTMLElement {
  const parts = [
    ["header", "header"],
    ["table", "section table"],
    ["index", "index stream"],
    ["label", "label stream"],
    ["ancillary", "ancillary"],
    ["crc", "CRC-32"],
    ["rest", "not part of the payload"],
  ];
  const items = parts.map(([part, name]) => h("li", {}, h("span", { class: `swatch part-${part}`, "aria-hidden": "true" }), name));
  return h("ul", { class: "legend", "aria-label": "Colours of the bytes" }, ...items);
}
