/** Opens files, keeps what the user expects, and shows the report. */

import "./style.css";
import type { DecodeOptions } from "../src/index.js";
import { PladaError } from "../src/index.js";
import { blobSource, type Manifest, openManifest } from "../src/manifest.js";
import { cancel, decodeApart, serve, useScript } from "./apart.js";
import { byId, h, untrusted } from "./dom.js";
import { makeReport } from "./report.js";

const LARGEST_FILE = 2 ** 30;
const SECONDS = 10; // for decoding
const NOTICEABLE_MS = 300;

function start(): void {
  let current: { bytes: Uint8Array; name: string } | null = null;
  let manifest: Manifest | null = null;
  let groups: Uint32Array | null = null;

  const status = byId("status");
  const alertBox = byId("alert");
  const report = byId("report");
  const poolSize = byId<HTMLInputElement>("pool-size");
  const fingerprint = byId<HTMLInputElement>("fingerprint");
  const expectMessage = byId("expect-message");

  function options(): DecodeOptions {
    const size = poolSize.value.replaceAll(/[,\s]/g, "");
    const print = fingerprint.value.trim();
    if (size !== "" && !/^[0-9]+$/.test(size)) throw new PladaError("INVALID_ARGUMENT", "the pool size must be a number");
    return {
      poolSize: size === "" ? undefined : Number(size),
      fingerprint: print === "" ? undefined : print,
      groups: groups ?? undefined,
    };
  }

  function problem(text: string): void {
    cancel();
    report.ariaBusy = "false";
    status.replaceChildren();
    alertBox.replaceChildren(h("div", { class: "verdict bad" }, h("p", {}, text)));
  }

  /** Decodes the open file, for at most `seconds`, and shows what comes of it. */
  async function render(seconds = SECONDS): Promise<void> {
    if (current === null) return;
    const { bytes, name } = current;
    let expected;
    try {
      expected = options();
    } catch (error) {
      if (!(error instanceof PladaError)) throw error;
      report.replaceChildren();
      problem(`${error.message}.`);
      return;
    }
    report.ariaBusy = "true";
    const notice = setTimeout(() => {
      alertBox.replaceChildren();
      report.replaceChildren();
      status.replaceChildren(h("p", { class: "muted" }, "Decoding ", untrusted(name), "…"));
    }, NOTICEABLE_MS);
    const outcome = await decodeApart(bytes, expected, seconds);
    clearTimeout(notice);
    if (outcome === null) return;
    report.ariaBusy = "false";
    try {
      if ("fault" in outcome) throw new Error(outcome.fault);
      const made = makeReport(bytes, name, outcome, () => manifest, () => void render(Infinity));
      document.title = `${name} - plada inspector`;
      status.replaceChildren(made.status);
      alertBox.replaceChildren(...(made.alert === null ? [] : [made.alert]));
      report.replaceChildren(...made.parts);
    } catch (error) {
      report.replaceChildren();
      problem(`This page has a fault: ${String(error)}`);
      throw error;
    }
  }

  async function openFile(file: Blob, name: string): Promise<void> {
    if (file.size > LARGEST_FILE) {
      problem(`The file has ${file.size} bytes; this page reads up to 1 GiB.`);
      return;
    }
    try {
      current = { bytes: new Uint8Array(await file.arrayBuffer()), name };
    } catch (error) {
      problem(`The file cannot be read: ${(error as Error).message}`);
      return;
    }
    void render();
  }

  async function openUrl(text: string): Promise<void> {
    let url: URL;
    try {
      url = new URL(text);
    } catch {
      problem("This is not a web address.");
      return;
    }
    cancel();
    alertBox.replaceChildren();
    status.replaceChildren(h("p", { class: "muted" }, `Loading ${url.href}…`));
    try {
      const response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
      if (!response.ok) {
        problem(`The server answered ${response.status} ${response.statusText}.`);
        return;
      }
      const blob = await response.blob();
      await openFile(blob, decodeURIComponent(url.pathname.split("/").pop() ?? "") || url.hostname);
    } catch (error) {
      if (error instanceof PladaError) throw error;
      problem(
        `${url.href} cannot be loaded. The server may be out of reach, or it does not allow other pages to read its files (CORS). ` +
          "Download the file and open it here instead.",
      );
    }
  }

  async function openManifestFile(file: File): Promise<void> {
    try {
      const opened = await openManifest(blobSource(file));
      const known = await opened.groups();
      manifest = opened;
      groups = known?.starts ?? null;
      byId<HTMLInputElement>("groups").value = "";
      poolSize.value = String(opened.poolSize);
      fingerprint.value = opened.fingerprint;
      const named = opened.name === "" ? "the manifest" : `“${opened.name}”`;
      const grouped = known === null ? "no groups" : `${known.starts.length.toLocaleString("en")} groups`;
      expectMessage.textContent = `Pool ${named}: ${opened.poolSize.toLocaleString("en")} images, ${grouped}.`;
    } catch (error) {
      manifest = null;
      expectMessage.textContent = error instanceof PladaError ? `${error.name}: ${error.message}` : String(error);
      return;
    }
    void render();
  }

  async function openGroups(file: File): Promise<void> {
    try {
      const text = await file.text();
      const given: unknown = text.trim().startsWith("[") ? JSON.parse(text) : text.trim().split(/[\s,]+/).map(Number);
      if (!Array.isArray(given) || given.some((x) => !Number.isInteger(x) || x < 0 || x > 0xffffffff)) {
        throw new Error("numbers of images are expected, one for each group");
      }
      groups = Uint32Array.from(given as number[]);
      expectMessage.textContent = `${groups.length.toLocaleString("en")} groups.`;
    } catch (error) {
      groups = null;
      expectMessage.textContent = `The groups cannot be read: ${(error as Error).message}`;
      return;
    }
    void render();
  }

  /** Opens what was dropped or chosen, by what it is. */
  async function openAny(file: File): Promise<void> {
    if (/\.pladapool$/i.test(file.name)) {
      byId<HTMLDetailsElement>("expect").open = true;
      await openManifestFile(file);
    } else await openFile(file, file.name);
  }

  function forget(): void {
    manifest = null;
    groups = null;
    for (const id of ["pool-size", "fingerprint", "manifest", "groups"]) byId<HTMLInputElement>(id).value = "";
    expectMessage.textContent = "Any pool is accepted.";
    void render();
  }

  function onChosen(id: string, open: (file: File) => Promise<void>): void {
    const input = byId<HTMLInputElement>(id);
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file !== undefined) void open(file);
    });
    // The same file may be chosen again after it has changed on disk.
    input.addEventListener("click", () => (input.value = ""));
  }

  onChosen("file", openAny);
  onChosen("manifest", openManifestFile);
  onChosen("groups", openGroups);
  byId("forget").addEventListener("click", forget);
  poolSize.addEventListener("change", () => void render());
  fingerprint.addEventListener("change", () => void render());
  byId("url-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void openUrl(byId<HTMLInputElement>("url").value.trim());
  });

  const drop = byId("drop");
  let depth = 0;
  const hover = (change: number): void => {
    depth = Math.max(0, depth + change);
    drop.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", () => hover(1));
  document.addEventListener("dragleave", () => hover(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    hover(-depth);
    for (const file of Array.from(event.dataTransfer?.files ?? [])) void openAny(file);
  });

  const theme = byId<HTMLSelectElement>("theme");
  theme.addEventListener("change", () => {
    if (theme.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
  });

  // A link may name a payload: inspector.html#url=https://example.org/task.plada
  const linked = new URLSearchParams(location.hash.slice(1)).get("url");
  if (linked !== null) {
    byId<HTMLInputElement>("url").value = linked;
    void openUrl(linked);
  }
}

// The page starts this script again as a worker, which has no document.
if (typeof document === "undefined") serve();
else {
  useScript(document.currentScript?.textContent ?? "");
  start();
}
