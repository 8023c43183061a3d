// The built page in headless Chromium, opened from file://.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { decode } from "../dist/index.js";
import { zstd } from "../dist/fzstd.js";
import * as write from "../test/encode.mjs";
import { hostile as hostileFrames } from "../test/hostile.mjs";
import { manifest, optionsOf, vector } from "../test/support.mjs";
import { findBrowser, launch, openPage, page, pageUrl } from "./support.mjs";

let browser;
const scratch = mkdtempSync(join(tmpdir(), "plada-page-files-"));
before(async () => {
  assert.ok(findBrowser(), "no Chromium: install Debian's chromium, or set CHROMIUM to a browser's path");
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Opens the page for `f`, and afterwards checks that nothing went wrong in it and nothing was asked of the network. */
async function withPage(f, prepare) {
  const { tab, problems } = await openPage(browser.context, pageUrl, prepare);
  try {
    await f(tab, problems);
    assert.deepEqual(problems, []);
  } finally {
    await tab.close();
  }
}

/** Gives the page a file and waits until it has been shown. */
async function show(tab, name, bytes) {
  await tab.setInputFiles("#file", { name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });
  await tab.waitForFunction((wanted) => document.title.startsWith(wanted), `${name} -`);
}

const verdict = (tab) =>
  tab.evaluate(() => {
    const bad = document.querySelector("#alert .verdict");
    const good = document.querySelector("#status .verdict.good");
    return { code: bad === null ? 0 : Number(bad.dataset.code), text: (bad ?? good)?.textContent ?? "" };
  });

const hostile = `<img src=x onerror="document.title='owned'">`;
const names = ["cat", hostile, "</script><script>document.title='owned'</script>", "=1+1"];
const content = { N: 40, K: 4, indices: [3, 4, 5, 17, 18, 31], labels: [2, 2, 0, 1, 1, 3] };
const sections = [
  write.golombIndices(content.indices, content.N),
  write.fixedLabels(content.labels, content.K),
  write.classNames(names),
  write.metadata([["a", hostile], ["b", "two\u202ewords"]]),
];
const example = write.payload({ ...content, sections });

const far = { N: 4294967295, K: 60000, indices: [3, 70000, 20000000, 4000000000], labels: [2, 59999, 0, 31] };
const longText = "x".repeat(300);
const wide = write.payload({
  ...far,
  sections: [write.golombIndices(far.indices, far.N, 55), write.fixedLabels(far.labels, far.K), write.metadata([["k".repeat(200), longText]])],
});

test("the page is one small file that loads nothing", () => {
  const html = readFileSync(page, "utf8");
  assert.ok(statSync(page).size < 200_000, `${statSync(page).size} bytes`);
  assert.doesNotMatch(html.slice(0, html.indexOf("<script>")), /<script|type="module"| src=|<link rel="stylesheet"/);
  assert.match(html, /Content-Security-Policy" content="default-src 'none'; script-src 'sha256-/);
  assert.match(html, /MIT License/);
  assert.doesNotMatch(html, /SCRIPT_HASH|STYLE_HASH|LICENCES/);
});

/** Runs in the page: gives it one file after another, as a user would, and reads what it says. */
async function showAll(cases) {
  const choose = (id, name, bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name));
    const input = document.getElementById(id);
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
  };
  const until = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 0));
  };
  const answers = [];
  const report = document.getElementById("report");
  for (const [i, { poolSize, fingerprint, groups, base64 }] of cases.entries()) {
    document.getElementById("forget").click();
    await until(() => report.ariaBusy !== "true");
    document.getElementById("pool-size").value = poolSize;
    document.getElementById("fingerprint").value = fingerprint;
    if (groups !== null) {
      const message = document.getElementById("expect-message");
      message.textContent = "";
      choose("groups", "groups.json", groups);
      await until(() => message.textContent.includes("group"));
      await until(() => report.ariaBusy !== "true");
    }
    choose("file", `${i}.plada`, Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
    await until(() => document.title.startsWith(`${i}.plada -`));
    const bad = document.querySelector("#alert .verdict");
    const good = document.querySelector("#status .verdict.good");
    answers.push({
      code: bad === null ? 0 : Number(bad.dataset.code),
      text: (bad ?? good)?.textContent ?? "nothing",
      facts: document.querySelector(".facts")?.textContent ?? "",
      marked: document.querySelectorAll(".hex-byte.error").length,
    });
  }
  return answers;
}

test("every vector: the right code, the right content, nothing thrown", { timeout: 120_000 }, async () => {
  const cases = manifest.vectors.map((v) => {
    const { poolSize, fingerprint, groups } = optionsOf(v);
    return {
      poolSize: poolSize === undefined ? "" : String(poolSize),
      fingerprint: fingerprint ?? "",
      groups: groups === undefined ? null : JSON.stringify(Array.from(groups)),
      base64: Buffer.from(vector(v.file)).toString("base64"),
    };
  });
  await withPage(async (tab) => {
    // Hundreds of reports are made; nobody needs to see them drawn.
    await tab.setViewportSize({ width: 320, height: 300 });
    await tab.evaluate(() => (document.body.style.display = "none"));
    const answers = await tab.evaluate(showAll, cases);
    assert.equal(answers.length, manifest.vectors.length);
    answers.forEach(({ code, text, facts, marked }, at) => {
      const v = manifest.vectors[at];
      assert.equal(code, v.error ?? 0, `${v.file}: ${text}`);
      if (v.error === undefined) {
        assert.match(text, /Valid payload/);
        assert.ok(facts.includes(v.content_digest) && facts.includes(v.count.toLocaleString("en")), v.file);
      } else {
        assert.ok(text.includes(v.error_name), text);
        const offset = text.match(/at byte ([\d,]+), 0x/);
        if (offset !== null && Number(offset[1].replaceAll(",", "")) < v.size) assert.equal(marked, 1, v.file);
      }
    });
  });
});

test("text from a file is shown and never becomes markup", async () => {
  await withPage(async (tab) => {
    await show(tab, `${hostile.replaceAll("/", "")}.plada`, example);
    assert.equal(await tab.locator("#report img, #status img").count(), 0);
    assert.equal(await tab.locator("#report script").count(), 0);
    const shown = await tab.textContent("#report");
    for (const name of names) assert.ok(shown.includes(name), name);
    assert.notEqual(await tab.title(), "owned");
  });
});

test("errors show where: verdict, broken section, marked byte", async () => {
  await withPage(async (tab) => {
    const broken = Uint8Array.from(example);
    const last = broken.length - 1;
    broken[last] ^= 1; // the CRC of the metadata
    await show(tab, "broken.plada", broken);
    const { code, text } = await verdict(tab);
    assert.equal(code, 19);
    assert.match(text, new RegExp(`at byte ${last - 3}, 0x[0-9a-f]+; section 0x81`));
    assert.equal(await tab.getAttribute("#alert", "role"), "alert");
    assert.match(await tab.textContent(".sections .broken"), /metadata/);
    assert.equal(await tab.getAttribute(".hex-byte.error", "data-offset"), String(last - 3));
    assert.match(await tab.textContent("#hex-note"), /The error shows here/);
    await tab.setViewportSize({ width: 700, height: 800 });
    assert.equal(await tab.getAttribute(".hex-byte.error", "data-offset"), String(last - 3));
  });
});

test("sections are marked in the bytes on hover and on focus, and bytes explain themselves by keyboard", async () => {
  await withPage(async (tab) => {
    await show(tab, "example.plada", example);
    const marked = () => tab.locator(".hex-byte.marked").evaluateAll((cells) => cells.map((cell) => Number(cell.dataset.offset)));
    const rows = tab.locator(".sections tbody tr");
    await rows.nth(1).hover();
    const header = decode(example).header;
    const [index] = header.sections;
    const expected = Array.from({ length: index.length + 4 }, (_, i) => index.offset + i);
    assert.deepEqual(await marked(), expected);
    await tab.mouse.move(0, 0);
    await rows.nth(1).locator("button").focus();
    assert.deepEqual(await marked(), expected);
    await tab.focus(".hex");
    await tab.keyboard.press("Home");
    assert.match(await tab.textContent("#hex-note"), /^Byte 0 .*signature/);
    for (let i = 0; i < 12; i++) await tab.keyboard.press("ArrowRight");
    assert.match(await tab.textContent("#hex-note"), /^Byte 12 .*N, pool size: 40/);
    await tab.keyboard.press("End");
    assert.match(await tab.textContent("#hex-note"), new RegExp(`^Byte ${example.length - 1} .*CRC-32 of section 0x81`));
    await tab.fill("#hex-jump", "0x10");
    await tab.keyboard.press("Enter");
    assert.match(await tab.textContent("#hex-note"), /^Byte 16 .*k, kept images: 6/);
  });
});

/** The rows that CSV text stands for. */
function parseCsv(csv) {
  const rows = [[]];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)/y;
  for (let match; (match = cell.exec(csv)) !== null; ) {
    rows.at(-1).push(match[1].startsWith('"') ? match[1].slice(1, -1).replaceAll('""', '"') : match[1]);
    if (match[2] === "\r\n") rows.push([]);
  }
  return rows.slice(0, -1);
}

async function savedCsv(tab) {
  const [download] = await Promise.all([tab.waitForEvent("download"), tab.click("text=Download CSV")]);
  return [download.suggestedFilename(), parseCsv(readFileSync(await download.path(), "utf8"))];
}

test("the table turns pages, filters by class, and can be saved as CSV", async () => {
  await withPage(async (tab) => {
    await show(tab, "example.plada", example);
    const [file, rows] = await savedCsv(tab);
    assert.equal(file, "example.csv");
    const safe = (name) => (name.startsWith("=") ? `'${name}` : name);
    const expected = content.indices.map((i, j) => [String(i), String(content.labels[j]), safe(names[content.labels[j]])]);
    assert.deepEqual(rows, [["index", "label", "class_name"], ...expected]);
    await tab.fill("#class-filter", "1");
    assert.deepEqual(await tab.locator(".records tbody tr td:first-child").allTextContents(), ["17", "18"]);
    await tab.fill("#class-filter", "");
    assert.equal(await tab.locator(".records tbody tr").count(), 6);
  });
});

test("damaged Zstandard frames are refused", async () => {
  await withPage(async (tab) => {
    for (const [i, [what, bytes]] of hostileFrames.entries()) {
      await show(tab, `${i}.plada`, bytes);
      assert.equal((await verdict(tab)).code, 29, what);
    }
  });
});

/** In the page: workers that never come back from what they are asked, as long as `stuck` is true. */
function stickyWorkers() {
  const Real = Worker;
  window.stuck = true;
  const loop = new Blob(["onmessage = () => { for (;;); };"]);
  window.Worker = class extends Real {
    constructor(url) {
      super(window.stuck ? URL.createObjectURL(loop) : url);
    }
  };
}

test("decoding that takes too long is stopped, and the page answers all the while", async () => {
  const prepare = async (tab) => {
    await tab.clock.install();
    await tab.addInitScript(stickyWorkers);
  };
  await withPage(async (tab) => {
    const choose = (name) => tab.setInputFiles("#file", { name, mimeType: "", buffer: Buffer.from(example) });
    await choose("slow.plada");
    await tab.waitForFunction(() => document.getElementById("status").textContent.includes("Decoding slow.plada"));
    assert.equal(tab.workers().length, 1);
    await tab.click("#expect summary");
    assert.ok(await tab.isVisible("#pool-size"));
    await choose("other.plada"); // takes the place of the first one
    await tab.waitForFunction(() => document.getElementById("status").textContent.includes("Decoding other.plada"));
    await tab.clock.fastForward(10_000);
    await tab.waitForSelector("#alert .verdict");
    const { text } = await verdict(tab);
    assert.match(text, /other\.plada.*Decoding took too long: it was stopped after 10 s\. A Zstandard frame may be damaged/);
    assert.match(await tab.textContent("#report"), /Pool size N40.*index-golomb/s);
    assert.deepEqual(await tab.evaluate(poorContrast), []);
    await tab.click("text=Decode without a time limit");
    await tab.waitForFunction(() => document.getElementById("status").textContent.includes("Decoding other.plada"));
    await tab.clock.fastForward(3_600_000);
    assert.match(await tab.textContent("#status"), /Decoding/);
    await tab.evaluate(() => (window.stuck = false));
    await show(tab, "last.plada", example);
    assert.equal((await verdict(tab)).code, 0);
    // A browser gives workers that do not end by themselves some seconds.
    for (let i = 0; i < 200 && tab.workers().length > 1; i++) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(tab.workers().length, 1);
  }, prepare);
});

function refuseWorkersAtOnce() {
  window.Worker = function () {
    throw new DOMException("no", "SecurityError");
  };
}

function refuseWorkersLater() {
  window.Worker = class {
    postMessage() {
      setTimeout(() => this.onerror(new ErrorEvent("error")));
    }
    terminate() {}
  };
}

for (const script of [refuseWorkersAtOnce, refuseWorkersLater]) {
  test(`${script.name}: then the page decodes itself`, async () => {
    await withPage(async (tab) => {
      await show(tab, "example.plada", example);
      assert.equal(tab.workers().length, 0);
      assert.match((await verdict(tab)).text, /Valid payload/);
      await show(tab, "cut.plada", example.subarray(0, 100));
      assert.equal((await verdict(tab)).code, 2);
    }, (tab) => tab.addInitScript(script));
  });
}

test("a real payload made by plada encode", { skip: !process.env.PLADA_JS_PAYLOAD && "PLADA_JS_PAYLOAD is not set" }, async () => {
  const bytes = readFileSync(process.env.PLADA_JS_PAYLOAD);
  const { header, indices, labels } = decode(new Uint8Array(bytes), { zstd });
  assert.ok(indices.length > 1000);
  await withPage(async (tab) => {
    await show(tab, "real.plada", bytes);
    assert.equal((await verdict(tab)).code, 0);
    const titles = await tab.locator("#report h2").allTextContents();
    for (const title of ["Header", "Sections", "Bytes", "Where in the pool", "Images per class", "Gaps", "Kept images"]) {
      assert.ok(titles.includes(title), title);
    }
    const [, rows] = await savedCsv(tab);
    assert.equal(rows.length, indices.length + 1);
    for (const j of [0, 1, indices.length >> 1, indices.length - 1]) {
      assert.deepEqual(rows[j + 1].slice(0, 2), [String(indices[j]), String(labels[j])]);
    }
    const pager = tab.locator("section", { hasText: "Download CSV" }).getByRole("button", { name: "Next" });
    await pager.click();
    assert.equal(await tab.locator(".records tbody td").first().textContent(), indices[25].toLocaleString("en"));
    const bars = await tab.locator(".strip > span > span").count();
    assert.ok(bars > 0 && bars <= Math.min(200, header.poolSize));
  });
});

test("a payload and a manifest can be dropped on the page", async () => {
  await withPage(async (tab) => {
    await tab.evaluate((bytes) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(bytes)], "dropped.plada"));
      const send = (type) => document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      send("dragenter");
      if (!document.getElementById("drop").classList.contains("over")) throw new Error("not marked");
      send("dragover");
      send("drop");
    }, Array.from(example));
    await tab.waitForFunction(() => document.title.startsWith("dropped.plada -"));
    assert.equal((await verdict(tab)).code, 0);
  });
});

test("a payload is loaded from a web address where the server allows it", async () => {
  const server = createServer((request, response) => {
    if (request.url.startsWith("/open")) response.setHeader("Access-Control-Allow-Origin", "*");
    if (request.url.endsWith("missing")) response.statusCode = 404;
    response.end(Buffer.from(example));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${server.address().port}`;
  const { tab } = await openPage(browser.context, `${pageUrl}#url=${encodeURIComponent(`${base}/open/linked.plada`)}`);
  try {
    await tab.waitForFunction(() => document.title.startsWith("linked.plada -"));
    assert.equal((await verdict(tab)).code, 0);
    const load = async (path) => {
      await tab.fill("#url", path);
      await tab.getByRole("button", { name: "Load", exact: true }).click();
    };
    await load(`${base}/open/a%20b.plada`);
    await tab.waitForFunction(() => document.title.startsWith("a b.plada -"));
    await load(`${base}/closed/c.plada`);
    await tab.waitForFunction(() => document.getElementById("alert").textContent.includes("CORS"));
    await load(`${base}/open/missing`);
    await tab.waitForFunction(() => document.getElementById("alert").textContent.includes("404"));
  } finally {
    await tab.close();
    server.close();
  }
});

/** An 8 x 8 picture of one colour, as BMP. */
function bitmap(red, green, blue) {
  const bytes = Buffer.alloc(54 + 192);
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(8, 18);
  bytes.writeInt32LE(8, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  for (let i = 54; i < bytes.length; i += 3) bytes.set([blue, green, red], i);
  return bytes;
}

const keys = Array.from({ length: 40 }, (_, i) => `${["cat", "dog", "emu", "fox"][Math.floor(i / 10)]}/${i}.bmp`);
const pictures = keys.map((_, i) => bitmap(6 * i, 100, 200));

function makePool() {
  const folder = join(scratch, "pool");
  rmSync(folder, { recursive: true, force: true });
  for (const name of ["cat", "dog", "emu", "fox"]) mkdirSync(join(folder, name), { recursive: true });
  keys.forEach((key, i) => writeFileSync(join(folder, key), pictures[i]));
  return folder;
}

test("with folder and manifest the kept images are shown by class, each compared with its digest", async () => {
  const folder = makePool();
  const digests = pictures.map((picture) => createHash("sha256").update(picture).digest());
  const pool = write.poolManifest(keys, digests, { name: hostile });
  const bytes = write.payload({ ...content, sections, fingerprint: pool.subarray(16, 32) });
  writeFileSync(join(folder, keys[4]), bitmap(1, 2, 3));
  rmSync(join(folder, keys[31]));
  await withPage(async (tab) => {
    await show(tab, "pool.plada", bytes);
    await tab.click("#expect summary");
    await tab.setInputFiles("#manifest", { name: "p.pladapool", mimeType: "", buffer: Buffer.from(pool) });
    await tab.waitForFunction(() => document.getElementById("expect-message").textContent.startsWith("Pool"));
    assert.equal(await tab.inputValue("#pool-size"), "40");
    assert.equal((await verdict(tab)).code, 0);
    await tab.setInputFiles("#folder", folder);
    await tab.waitForFunction(() => document.querySelectorAll(".badge").length === 5);
    const rows = await tab.locator(".class-row h3").allTextContents();
    assert.equal(rows.length, 4);
    for (const image of await tab.locator(".thumbs img").all()) await image.scrollIntoViewIfNeeded();
    await tab.waitForFunction(() => [...document.querySelectorAll(".thumbs img")].every((image) => image.naturalWidth === 8));
    assert.deepEqual((await tab.locator(".thumbs img").evaluateAll((images) => images.map((image) => image.alt))).sort(), [3, 4, 5, 17, 18].map((i) => keys[i]).sort());
    const badges = await tab.locator(".thumbs li").evaluateAll((items) => items.map((item) => `${item.title} ${item.querySelector(".badge")?.textContent}`));
    assert.ok(badges.includes(`image 4: ${keys[4]} another file`) && badges.includes(`image 5: ${keys[5]} verified`), badges.join("; "));
    assert.match(await tab.textContent("#report"), /1 kept images are not in this folder/);
    const [, csv] = await savedCsv(tab);
    assert.deepEqual(csv[1], ["3", "2", names[2], keys[3]]);
  });
});

test("without a manifest images are numbered by sorted path, and the page says so", async () => {
  const folder = makePool();
  const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  await withPage(async (tab) => {
    await show(tab, "example.plada", example);
    await tab.setInputFiles("#folder", folder);
    await tab.waitForSelector(".thumbs img");
    assert.match(await tab.textContent(".warning"), /sorted order/);
    const shown = await tab.locator(".thumbs li").evaluateAll((items) => items.map((item) => item.title));
    assert.deepEqual(shown.sort(), content.indices.map((i) => `image ${i}: ${sorted[i]}`).sort());
  });
  rmSync(join(folder, keys[0]));
  await withPage(async (tab) => {
    await show(tab, "example.plada", example);
    await tab.setInputFiles("#folder", folder);
    await tab.waitForSelector(".warning");
    assert.match(await tab.textContent(".warning"), /39 image files.*40/);
    assert.equal(await tab.locator(".thumbs").count(), 0);
  });
});

test("manifests and groups that cannot be read are named, and another pool's manifest is refused", async () => {
  await withPage(async (tab) => {
    await tab.click("#expect summary");
    const message = () => tab.textContent("#expect-message");
    await tab.setInputFiles("#manifest", { name: "x.pladapool", mimeType: "", buffer: Buffer.from("no manifest") });
    await tab.waitForFunction(() => document.getElementById("expect-message").textContent.includes("NOT_MANIFEST"));
    await tab.setInputFiles("#groups", { name: "g.json", mimeType: "", buffer: Buffer.from("[0, -1]") });
    await tab.waitForFunction(() => document.getElementById("expect-message").textContent.includes("cannot be read"));
    await tab.setInputFiles("#groups", { name: "g.txt", mimeType: "", buffer: Buffer.from("0\n8\n16\n") });
    await tab.waitForFunction(() => document.getElementById("expect-message").textContent.includes("3 groups"));
    assert.match(await message(), /3 groups/);
    const digests = keys.map(() => Buffer.alloc(32));
    const other = write.poolManifest(keys, digests);
    await show(tab, "other.plada", write.payload({ ...content, sections, fingerprint: Buffer.alloc(16, 7) }));
    await tab.setInputFiles("#manifest", { name: "o.pladapool", mimeType: "", buffer: Buffer.from(other) });
    await tab.waitForFunction(() => document.querySelector("#alert .verdict") !== null);
    assert.match((await verdict(tab)).text, /POOL_MISMATCH/);
    await tab.click("#forget");
    await tab.waitForSelector(".verdict.good");
    assert.equal((await verdict(tab)).code, 0);
    assert.deepEqual([await tab.inputValue("#pool-size"), await tab.inputValue("#manifest")], ["", ""]);
    await tab.fill("#pool-size", "many");
    await tab.press("#pool-size", "Enter");
    await tab.waitForFunction(() => document.getElementById("alert").textContent.includes("must be a number"));
  });
});

/** Texts whose contrast with what lies behind them is below 4.5, as seen in the page. */
function poorContrast() {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e !== null; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.textContent.trim() === "" || element.matches("script, style, :disabled, option")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.add(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
}

for (const scheme of ["light", "dark"]) {
  test(`${scheme}: contrast, names of controls, no sideways scrolling from 320 to 1600 pixels`, async () => {
    await withPage(async (tab) => {
      await tab.emulateMedia({ colorScheme: scheme });
      await tab.click("#expect summary");
      await tab.fill("#pool-size", String(far.N));
      for (const bytes of [wide, example, example.subarray(0, 80), Uint8Array.of(1, 2, 3)]) {
        if (bytes === example) await tab.fill("#pool-size", "");
        await show(tab, `a-rather-long-file-name-without-any-spaces-${bytes.length}.plada`, bytes);
        assert.deepEqual(await tab.evaluate(poorContrast), []);
        for (const width of [320, 375, 768, 1024, 1440, 1600]) {
          await tab.setViewportSize({ width, height: 800 });
          const excess = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(excess <= 0, `${width}: ${excess} pixels too wide`);
        }
      }
      await show(tab, "last.plada", example);
      const nameless = await tab.evaluate(() => {
        const named = (e) => e.getAttribute("aria-label") || e.textContent.trim() || (e.labels?.length ?? 0) > 0;
        return [...document.querySelectorAll("button, input, select, [tabindex='0'], [role=img]")].filter((e) => !named(e)).map((e) => e.outerHTML);
      });
      assert.deepEqual(nameless, []);
      const background = () => tab.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const before = await background();
      await tab.selectOption("#theme", scheme === "light" ? "dark" : "light");
      assert.notEqual(await background(), before);
      assert.deepEqual(await tab.evaluate(poorContrast), []);
    });
  });
}

test("everything can be reached by the Tab key alone", async () => {
  await withPage(async (tab) => {
    await show(tab, "example.plada", example);
    await tab.evaluate(() => document.activeElement.blur());
    const reached = new Set();
    for (let i = 0; i < 60; i++) {
      await tab.keyboard.press("Tab");
      reached.add(await tab.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.textContent));
    }
    for (const wanted of ["theme", "file", "url", "hex", "hex-jump", "class-filter", "folder", "Download CSV", "Show"]) {
      assert.ok(reached.has(wanted), `${wanted} of ${[...reached].join(", ")}`);
    }
  });
});
