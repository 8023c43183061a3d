/** Everything that the page says about one file. */

import { type Header, type Payload, type PladaError, weightOf } from "../src/index.js";
import type { Manifest } from "../src/manifest.js";
import type { Outcome } from "./apart.js";
import { classHistogram, gapDistribution, poolStrip, setEntropy } from "./charts.js";
import { dissect } from "./dissect.js";
import { card, formatBytes, formatCount, h, halfCard, hexByte, untrusted } from "./dom.js";
import { type HexView, hexView } from "./hexview.js";
import { poolView } from "./pool.js";
import { records } from "./records.js";

const ADVICE: { readonly [kind: string]: string } = {
  "not a payload": "This is another kind of file.",
  truncated: "Bytes are missing. Fetch the file again.",
  checksum: "The file was damaged on its way or on disk. Fetch it again.",
  unsupported: "The file needs a newer or more complete reader.",
  corrupt: "The file contradicts the format. Whoever wrote it has a fault, or somebody tampered with it.",
  "not canonical": "The same content must be written in another way. Whoever wrote the file has a fault, or somebody tampered with it.",
  limit: "Give the size of your pool above: then the file is read whatever its size.",
  "wrong pool": "The file belongs to another pool than the one described above.",
  local: "Correct the entries above.",
};

export interface Report {
  readonly status: HTMLElement;
  readonly alert: HTMLElement | null;
  readonly parts: readonly HTMLElement[];
}

export function makeReport(
  bytes: Uint8Array,
  name: string,
  outcome: Exclude<Outcome, { fault: string }>,
  manifest: () => Manifest | null,
  decodeOn: () => void,
): Report {
  const error = "error" in outcome ? outcome.error : null;
  const { header, ranges } = dissect(bytes);
  const view = hexView(bytes, ranges, error?.offset ?? null);
  const parts: HTMLElement[] = [];
  if (header !== null) {
    parts.push(halfCard("Header", headerFacts(header, bytes.length)), halfCard("Sections", sectionTable(header, view, error)));
  }
  parts.push(card("Bytes", view.element));
  const status = h("p", { class: "file-name" }, untrusted(name), h("span", { class: "muted" }, ` ${formatBytes(bytes.length)}`));
  if ("payload" in outcome) {
    parts.push(...contentCards(outcome.payload, name, manifest));
    const text = "Valid payload: every check of the format has passed.";
    return { status: h("div", { class: "verdict good" }, status, h("p", {}, text)), alert: null, parts };
  }
  const alert = "error" in outcome ? verdict(outcome.error, status) : stopped(outcome.tooSlow, status, decodeOn);
  return { status: h("div", { class: "hidden" }), alert, parts };
}

/** Decoding was stopped after that many seconds. */
function stopped(seconds: number, fileName: HTMLElement, decodeOn: () => void): HTMLElement {
  return h(
    "div",
    { class: "verdict bad" },
    fileName,
    h("p", {}, h("strong", {}, "Decoding took too long"), `: it was stopped after ${seconds} s. A Zstandard frame may be damaged, or the file is very large.`),
    h("p", {}, h("button", { type: "button", click: decodeOn }, "Decode without a time limit")),
  );
}

function verdict(error: PladaError, fileName: HTMLElement): HTMLElement {
  const place = error.section === null ? "" : `; section ${hexByte(error.section)}`;
  const where = error.offset === null ? "" : ` (at byte ${formatCount(error.offset)}, 0x${error.offset.toString(16)}${place})`;
  const advice =
    error.name === "GROUPS_REQUIRED"
      ? "Give the pool's manifest or its groups above."
      : error.name === "POOL_UNIDENTIFIED"
        ? "To read it all the same, clear the fingerprint above."
        : ADVICE[error.kind];
  return h(
    "div",
    { class: "verdict bad", "data-code": error.code },
    fileName,
    h("p", {}, h("strong", {}, `Error ${error.code}, ${error.name}`), `: ${error.message}${where}.`),
    h("p", {}, advice),
  );
}

function headerFacts(header: Header, size: number): HTMLElement {
  const { poolSize: N, count: k, numClasses: K, sections } = header;
  const facts: [string, Node | string][] = [
    ["Format version", `${header.majorVersion}.${header.minorVersion}`],
    ["Pool size N", formatCount(N)],
    ["Kept images k", `${formatCount(k)}${N > 0 ? ` (${((100 * k) / N).toPrecision(3)} % of the pool)` : ""}`],
    ["Classes K", formatCount(K)],
    ["Size", `${formatBytes(size)}${k > 0 ? `, ${((8 * size) / k).toFixed(2)} bits an image` : ""}`],
    ["Pool fingerprint", header.fingerprint === null ? "none: the payload names no pool" : code(header.fingerprint)],
    ["Content digest", code(header.contentDigest)],
  ];
  if (header.groupDigest !== null) facts.push(["Group digest", code(header.groupDigest)]);
  if (k > 0 && k < N) {
    const entropy = setEntropy(N, k) / k;
    const coded = (8 * sections[0].length) / k;
    const share = `${coded.toFixed(2)} bits an image; a set without structure takes ${entropy.toFixed(2)}`;
    facts.push(["Index stream", share]);
  }
  if (k > 0 && K > 1) {
    const coded = (8 * sections[1].length) / k;
    facts.push(["Label stream", `${coded.toFixed(2)} bits an image; log2 K is ${Math.log2(K).toFixed(2)}`]);
  }
  return h("dl", { class: "facts" }, ...facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

function code(text: string): HTMLElement {
  return h("code", {}, text);
}

function sectionTable(header: Header, view: HexView, error: PladaError | null): HTMLElement {
  const line = (cells: (Node | string)[], start: number, end: number, broken: boolean, name: string): HTMLElement => {
    const show = h("button", { type: "button", click: () => view.highlight(start, end, true), "aria-label": `Show ${name} in the bytes` }, "Show");
    const row = h(
      "tr",
      {
        class: broken && "broken",
        mouseenter: () => view.highlight(start, end, false),
        mouseleave: () => view.clear(),
        focusin: () => view.highlight(start, end, false),
      },
      ...cells.map((cell, i) => h("td", { class: i >= 1 && "number" }, cell)),
      h("td", {}, show),
    );
    return row;
  };
  const rows = [
    line(["header", "0", formatCount(header.headerLength)], 0, header.headerLength, error?.section === null && error.offset !== null && error.offset < header.headerLength, "header"),
    ...header.sections.map((s) =>
      line(
        [h("span", {}, s.name, " ", code(hexByte(s.type))), formatCount(s.offset), formatCount(s.length)],
        s.offset,
        s.offset + s.length + 4,
        error?.section === s.type,
        s.name,
      ),
    ),
  ];
  const head = ["section", "offset", "bytes", ""].map((text, i) =>
    text === "" ? h("td", {}) : h("th", { scope: "col", class: (i === 1 || i === 2) && "number" }, text),
  );
  const table = h("table", { class: "sections" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
  return h("div", { class: "scroll" }, table);
}

function contentCards(payload: Payload, name: string, manifest: () => Manifest | null): HTMLElement[] {
  const list = records(payload, name);
  const pool = poolView(payload, manifest, (keyOf) => list.setKeys(keyOf));
  const cards = [
    card("Where in the pool", poolStrip(payload)),
    halfCard("Images per class", classHistogram(payload)),
    halfCard("Gaps", gapDistribution(payload)),
  ];
  const { metadata, weights, softLabels } = payload;
  if (metadata !== null) cards.push(halfCard("Metadata", metadataTable(metadata)));
  if (weights !== null) cards.push(halfCard("Image weights", weightFacts(weights)));
  if (softLabels !== null) {
    const K = payload.header.numClasses;
    const text = `A table of ${formatCount(K)} rows of ${formatCount(K)} probabilities, one row for each label.`;
    cards.push(halfCard("Average soft labels", h("p", {}, text)));
  }
  cards.push(card("Kept images", list.element), card("Images of the pool", pool.element));
  return cards;
}

function metadataTable(metadata: ReadonlyMap<string, string>): HTMLElement {
  const rows = Array.from(metadata, ([key, value]) =>
    h("tr", {}, h("th", { scope: "row" }, untrusted(key)), h("td", { class: "text" }, untrusted(value))),
  );
  return h("div", { class: "scroll" }, h("table", { class: "metadata" }, h("tbody", {}, ...rows)));
}

function weightFacts(symbols: Uint8Array): HTMLElement {
  let least = 255;
  let most = 0;
  for (const q of symbols) {
    if (q < least) least = q;
    if (q > most) most = q;
  }
  return h("p", {}, `From ${weightOf(least).toPrecision(4)} to ${weightOf(most).toPrecision(4)}.`);
}
