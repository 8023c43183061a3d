/** The kept images themselves, out of the pool's folder: by the manifest's keys, else by sorted order. */

import { BLOCK_SIZE, type Block, type Manifest } from "../src/manifest.js";
import { type Payload, PladaError } from "../src/index.js";
import { sha256 } from "../src/sha256.js";
import { className, classCounts } from "./charts.js";
import { formatCount, h, untrusted } from "./dom.js";
import type { KeyOf } from "./records.js";

const IMAGE = /\.(jpe?g|png|webp|gif|bmp|avif|ico|svg)$/i;
const FIRST_IMAGES = 12;
const MORE_IMAGES = 48;
const CLASSES_PER_PAGE = 10;

interface Match {
  /** File of the j-th kept image, or null. */
  readonly files: readonly (File | null)[];
  readonly keyOf: KeyOf;
  /** SHA-256 that the file must have, or null where no manifest says. */
  digestOf(j: number): Uint8Array | null;
  readonly note: string;
  readonly warning: string | null;
}

export interface PoolView {
  readonly element: HTMLElement;
}

export function poolView(payload: Payload, manifest: () => Manifest | null, onKeys: (keyOf: KeyOf) => void): PoolView {
  const message = h("div", { "aria-live": "polite" });
  const gallery = h("div", {});
  const input = h("input", {
    type: "file",
    id: "folder",
    webkitdirectory: true,
    multiple: true,
    change: () => void show(Array.from(input.files ?? [])),
  });
  const element = h(
    "div",
    {},
    h("p", {}, "Choose the folder that holds the pool, and the kept images are shown by class. The files stay where they are."),
    h("div", { class: "row" }, h("label", { for: "folder" }, "Pool folder"), input),
    message,
    gallery,
  );

  async function show(files: File[]): Promise<void> {
    gallery.replaceChildren();
    if (files.length === 0) return;
    message.replaceChildren(h("p", { class: "muted" }, "Looking for the kept images…"));
    try {
      const known = manifest();
      const match = known === null ? bySortedOrder(files, payload) : await byManifest(files, payload, known);
      message.replaceChildren(h("p", {}, match.note), match.warning === null ? "" : h("p", { class: "warning" }, match.warning));
      onKeys(match.keyOf);
      gallery.replaceChildren(classGallery(payload, match));
    } catch (error) {
      const text = error instanceof PladaError ? `${error.name}: ${error.message}` : (error as Error).message;
      message.replaceChildren(h("p", { class: "warning" }, text));
    }
  }

  return { element };
}

/** Path within the chosen folder. */
function pathOf(file: File): string {
  const path = file.webkitRelativePath || file.name;
  return path.slice(path.indexOf("/") + 1);
}

const encoder = new TextEncoder();

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

function bySortedOrder(files: readonly File[], payload: Payload): Match {
  const images = files.map((file) => ({ file, path: pathOf(file) })).filter(({ path }) => IMAGE.test(path));
  const N = payload.header.poolSize;
  if (images.length !== N) {
    throw new Error(
      `The folder holds ${formatCount(images.length)} image files, the payload's pool ${formatCount(N)}. ` +
        "Without a manifest, images are found by their sorted order alone, so the numbers must be equal. Give the pool's manifest above.",
    );
  }
  const sorted = images.map((image) => ({ ...image, bytes: encoder.encode(image.path) }));
  sorted.sort((a, b) => compareBytes(a.bytes, b.bytes));
  const { indices } = payload;
  return {
    files: Array.from(indices, (i) => sorted[i].file),
    keyOf: (j) => sorted[indices[j]].path,
    digestOf: () => null,
    note: `${formatCount(N)} image files, as many as the pool has.`,
    warning:
      "No manifest was given: images are numbered by the sorted order of their paths (bytewise). " +
      "If the pool was built in another order, these are not the kept images.",
  };
}

async function byManifest(files: readonly File[], payload: Payload, manifest: Manifest): Promise<Match> {
  manifest.checkPayload(payload.header, true);
  const byPath = new Map(files.map((file) => [pathOf(file), file]));
  const { indices } = payload;
  const blocks = new Map<number, Block>();
  const found: (File | null)[] = [];
  let present = 0;
  for (let j = 0; j < indices.length; j++) {
    const b = Math.floor(indices[j] / BLOCK_SIZE);
    if (!blocks.has(b)) blocks.set(b, await manifest.block(b));
    const file = byPath.get(blocks.get(b)!.keys[indices[j] - b * BLOCK_SIZE]) ?? null;
    if (file !== null) present++;
    found.push(file);
  }
  const placeOf = (j: number): [Block, number] => {
    const b = Math.floor(indices[j] / BLOCK_SIZE);
    return [blocks.get(b)!, indices[j] - b * BLOCK_SIZE];
  };
  const warnings: string[] = [];
  if (present < indices.length) warnings.push(`${formatCount(indices.length - present)} kept images are not in this folder.`);
  if (payload.header.fingerprint === null) {
    warnings.push("The payload does not say to which pool it belongs; only the size was compared.");
  }
  return {
    files: found,
    keyOf: (j) => {
      const [block, i] = placeOf(j);
      return block.keys[i];
    },
    digestOf: (j) => {
      const [block, i] = placeOf(j);
      return block.digests.subarray(32 * i, 32 * i + 32);
    },
    note:
      `${formatCount(present)} of ${formatCount(indices.length)} kept images found by the names of the manifest. ` +
      "Each file is compared with its SHA-256 as it is shown.",
    warning: warnings.length === 0 ? null : warnings.join(" "),
  };
}

function classGallery(payload: Payload, match: Match): HTMLElement {
  const counts = classCounts(payload);
  const used = Array.from(counts.keys()).filter((c) => counts[c] > 0);
  const members = new Map<number, number[]>(used.map((c) => [c, []]));
  payload.labels.forEach((label, j) => members.get(label)!.push(j));
  const box = h("div", {});
  let shown = 0;
  const more = h("button", { type: "button", click: () => grow() }, "More classes");
  const grow = (): void => {
    for (const c of used.slice(shown, shown + CLASSES_PER_PAGE)) box.append(classRow(payload, match, c, members.get(c)!));
    shown = Math.min(used.length, shown + CLASSES_PER_PAGE);
    more.hidden = shown >= used.length;
  };
  grow();
  return h("div", { class: "gallery" }, box, more);
}

function classRow(payload: Payload, match: Match, c: number, members: readonly number[]): HTMLElement {
  const thumbs = h("ul", { class: "thumbs" });
  let shown = 0;
  const more = h("button", { type: "button", click: () => grow(MORE_IMAGES) }, "More images");
  const grow = (count: number): void => {
    for (const j of members.slice(shown, shown + count)) thumbs.append(thumb(payload, match, j));
    shown = Math.min(members.length, shown + count);
    more.hidden = shown >= members.length;
  };
  grow(FIRST_IMAGES);
  const title = h("h3", {}, className(payload, c), h("span", { class: "muted" }, ` ${formatCount(members.length)} images`));
  return h("div", { class: "class-row" }, title, thumbs, more);
}

function thumb(payload: Payload, match: Match, j: number): HTMLElement {
  const file = match.files[j];
  const key = match.keyOf(j) ?? "";
  const caption = h("span", { class: "thumb-name" }, untrusted(key.slice(key.lastIndexOf("/") + 1)));
  const item = h("li", { title: `image ${payload.indices[j]}: ${key}` });
  if (file === null) {
    item.append(h("span", { class: "missing" }, "not in the folder"), caption);
    return item;
  }
  const image = h("img", { alt: key, loading: "lazy", decoding: "async" });
  const url = URL.createObjectURL(file);
  const done = (): void => URL.revokeObjectURL(url);
  image.addEventListener("load", done);
  image.addEventListener("error", () => {
    done();
    image.replaceWith(h("span", { class: "missing" }, "cannot be shown"));
  });
  image.src = url;
  item.append(image, caption);
  const digest = match.digestOf(j);
  if (digest !== null) void mark(item, file, digest);
  return item;
}

/** Says whether a file is the one that the manifest means. */
async function mark(item: HTMLElement, file: File, expected: Uint8Array): Promise<void> {
  try {
    const actual = sha256(new Uint8Array(await file.arrayBuffer()));
    const same = actual.every((byte, i) => byte === expected[i]);
    item.append(h("span", { class: same ? "badge good" : "badge bad" }, same ? "verified" : "another file"));
  } catch {
    item.append(h("span", { class: "badge bad" }, "unreadable"));
  }
}
