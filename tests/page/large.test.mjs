// A net of ten thousand values in a real browser. PAGE: its page.
import { createRequire } from "node:module";
import { test } from "node:test";
import assert from "node:assert/strict";
import path from "node:path";

const require = createRequire(path.join(process.env.TOOLS, "package.json"));
const { chromium } = require("playwright-core");

test("it opens quickly, its pieces open, a name is found, and nothing is asked for", async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  const context = await browser.newContext({ reducedMotion: "reduce", viewport: { width: 360, height: 740 } });
  const times = [];
  let page;
  const requests = [], errors = [];
  for (let k = 0; k < 4; k++) {
    page = await context.newPage();
    page.on("request", (r) => requests.push(r.url()));
    page.on("pageerror", (e) => errors.push(e.message));
    const began = Date.now();
    await page.goto(`file://${process.env.PAGE}`);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    times.push(Date.now() - began);
  }
  assert.ok(Math.min(...times) < 2000, `opened in ${times} ms`);
  assert.ok(requests.every((url) => url === `file://${process.env.PAGE}`));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${over} px too wide`);
  await page.locator("figure a").nth(2).click();
  assert.ok(await page.locator("#part-2").evaluate((e) => e.open));
  const value = page.locator('p[data-name="x_2001"]');
  assert.equal(await value.isVisible(), false);
  await page.getByLabel("Go to the value").fill("x_2001");
  await page.getByLabel("Go to the value").press("Enter");
  assert.ok(await value.isVisible());
  await page.getByLabel("Go to the value").fill("nothing");
  await page.getByLabel("Go to the value").press("Enter");
  assert.match(await page.locator("output").textContent(), /no nothing/);
  assert.deepEqual(errors, []);
  await browser.close();
});
