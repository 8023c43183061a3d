// Pictures of the page, to be looked at: node test-page/shots.mjs FOLDER PAYLOAD [MANIFEST [POOL]]
import { join } from "node:path";
import { launch, openPage } from "./support.mjs";

const [folder, payload, manifest, pool] = process.argv.slice(2);
const { context, close } = await launch();
try {
  for (const scheme of ["light", "dark"]) {
    for (const width of [320, 768, 1440]) {
      const { tab } = await openPage(context);
      await tab.emulateMedia({ colorScheme: scheme });
      await tab.setViewportSize({ width, height: 900 });
      if (payload) await tab.setInputFiles("#file", payload);
      if (manifest) {
        await tab.click("#expect summary");
        await tab.setInputFiles("#manifest", manifest);
        await tab.waitForFunction(() => document.getElementById("expect-message").textContent.startsWith("Pool"));
      }
      if (pool) {
        await tab.setInputFiles("#folder", pool);
        await tab.waitForSelector(".thumbs img");
        for (const image of await tab.$$(".thumbs img")) await image.scrollIntoViewIfNeeded();
      }
      await tab.waitForTimeout(400);
      const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) console.log(`${scheme} ${width}: ${overflow} pixels too wide`);
      await tab.screenshot({ path: join(folder, `${scheme}-${width}.png`), fullPage: true });
      await tab.close();
    }
  }
} finally {
  await close();
}
