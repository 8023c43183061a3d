// A headless Chromium that opens the built page, and watches that it asks the network for nothing and throws nothing.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export const page = fileURLToPath(new URL("../dist/inspector.html", import.meta.url));
export const pageUrl = pathToFileURL(page).href;

const CANDIDATES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Path of a browser, or null where there is none. */
export function findBrowser() {
  return CANDIDATES.find((path) => path && existsSync(path)) ?? null;
}

export async function launch() {
  const profile = mkdtempSync(join(tmpdir(), "plada-page-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findBrowser(),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    acceptDownloads: true,
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}

/** Opens the page, once `prepare` is through with the tab. `problems` collects uncaught errors, console errors and requests other than the page itself. */
export async function openPage(context, url = pageUrl, prepare = async () => {}) {
  const tab = await context.newPage();
  await prepare(tab);
  const problems = [];
  tab.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  tab.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()}`);
  });
  tab.on("request", (request) => {
    if (request.url() !== url && !/^(blob|data):/.test(request.url())) problems.push(`request: ${request.url()}`);
  });
  await tab.goto(url);
  return { tab, problems };
}
