// Builds page/ into one file, dist/inspector.html: an inline classic script, so that it also runs from file://.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig } from "vite";

const licence = readFileSync(new URL("node_modules/fzstd/LICENSE", import.meta.url), "utf8");

function hashSource(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Moves the script and the style sheet into the page, and allows exactly these two in its content security policy. */
function oneFile() {
  return {
    name: "one-file",
    enforce: "post",
    generateBundle(_options, bundle) {
      const files = Object.values(bundle);
      const html = files.find((f) => f.fileName.endsWith(".html"));
      const chunks = files.filter((f) => f.type === "chunk");
      const styles = files.filter((f) => f.type === "asset" && f.fileName.endsWith(".css"));
      if (chunks.length !== 1 || styles.length !== 1) this.error("the page needs exactly one script and one style sheet");
      // "</script" and "<!--" would end or change the script element; both occur in string literals only.
      const script = chunks[0].code.trim().replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "<\\!--");
      const style = String(styles[0].source).trim();
      const source = String(html.source)
        .replace(/\s*<script type="module"[^>]*><\/script>/, "")
        .replace(/\s*<link rel="stylesheet"[^>]*>/, "")
        .replace("SCRIPT_HASH", () => hashSource(script))
        .replace("STYLE_HASH", () => hashSource(style))
        .replace("</head>", () => `  <style>${style}</style>\n</head>`)
        .replace("</body>", () => `<script>${script}</script>\n</body>`)
        .replace("LICENCES", () => `Contains fzstd:\n${licence.trim().replaceAll("--", "- -")}`);
      for (const file of files) delete bundle[file.fileName];
      this.emitFile({ type: "asset", fileName: "inspector.html", source });
    },
  };
}

export default defineConfig({
  root: "page",
  base: "./",
  logLevel: "warn",
  publicDir: false,
  plugins: [oneFile()],
  build: {
    outDir: "../dist",
    emptyOutDir: false,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rolldownOptions: { output: { format: "iife" } },
  },
});
