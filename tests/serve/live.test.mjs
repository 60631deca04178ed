// The living page in a real browser. URL: its address. FILE: the file it serves.
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

const require = createRequire(path.join(process.env.TOOLS, "package.json"));
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const origin = new URL(process.env.URL).origin;
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: quiet });
});
after(() => browser.close());

async function open(options = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.requests = [];
  page.errors = [];
  page.on("request", (r) => page.requests.push(r.url()));
  page.on("pageerror", (e) => page.errors.push(e.message));
  page.on("dialog", (d) => (page.errors.push(`dialog: ${d.message()}`), d.dismiss()));
  await page.goto(process.env.URL);
  await page.locator("#body .walk .controls").first().waitFor({ timeout: 60000 });
  return page;
}

// the next derivation, whatever asks for it
async function derived(page, act) {
  const answer = page.waitForResponse((r) => r.url().endsWith("/derive"), { timeout: 60000 });
  await act();
  await answer;
  await page.waitForTimeout(50);
}
const step = (page, name) => page.locator(`.derivation .step[data-step="${name}"]`).first().textContent();

test("a changed number is followed by everything, and the step stays", async () => {
  const page = await open();
  assert.match(await step(page, "dx"), /=6because/);
  for (let k = 0; k < 2; k++) await page.getByRole("button", { name: /step back/ }).click();
  const said = await page.locator("output").textContent();
  await page.getByRole("button", { name: /As it was/ }).focus();
  await derived(page, () => page.getByLabel("x", { exact: true }).fill("5"));
  assert.match(await step(page, "dx"), /=10because/);
  assert.equal((await page.locator("output").textContent()).split(":")[0], said.split(":")[0]);
  await derived(page, () => page.getByRole("button", { name: "As it was" }).click());
  assert.match(await step(page, "dx"), /=6because/);
  assert.deepEqual(page.errors, []);
  assert.ok(page.requests.every((url) => url.startsWith(origin)), page.requests.join());
  await page.context().close();
});

test("a formula, its shapes, its seed, and a mistake in it", async () => {
  const page = await open();
  await derived(page, () => page.locator("#source").selectOption("formula"));
  await derived(page, () => page.locator("#formula").fill("softmax(x yᵀ)"));
  assert.equal(await page.locator("#title").textContent(), "softmax(x yᵀ)");
  await derived(page, () => page.locator("#shapes").fill("x: 4×2"));
  assert.equal(await page.getByLabel("shape of x").inputValue(), "4×2");
  const before = await page.getByLabel("x(1, 1)", { exact: true }).inputValue();
  const numbers = () => page.locator("#arrays .row input").evaluateAll((all) => all.map((e) => e.value).join());
  const old = await numbers();
  await derived(page, () => page.getByRole("button", { name: "Other numbers" }).click());
  assert.notEqual(await numbers(), old);
  await derived(page, () => page.getByLabel("shape of y").evaluate((e) => {
    e.value = "3x2";
    e.dispatchEvent(new Event("change"));
  }));
  assert.equal(await page.getByLabel(/^y\(/).count(), 6);
  await derived(page, () => page.locator("#formula").fill("softmax(x yᵀ"));
  assert.match(await page.getByRole("alert").textContent(), /ends too early/);
  await derived(page, () => page.locator("#formula").fill("softmax(x yᵀ)"));
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.ok(before);
  await page.context().close();
});

test("a system of the lecture, with a number of the reader's", async () => {
  const page = await open();
  await derived(page, () => page.locator("#source").selectOption("residual"));
  assert.match(await page.locator("#title").textContent(), /residual/);
  await derived(page, () => page.getByLabel("x(1, 1)", { exact: true }).fill("−2,5"));
  assert.match(await step(page, "dw1"), /−2.5/);
  await page.context().close();
});

test("a changed file is derived anew, and its mistake is said with the line", async () => {
  const page = await open();
  const text = fs.readFileSync(process.env.FILE, "utf8");
  await derived(page, async () => fs.writeFileSync(process.env.FILE, text.replace("y = x ** 2", "y = x ** 3")));
  assert.match(await step(page, "dx"), /=27because/);
  await derived(page, async () => fs.writeFileSync(process.env.FILE, text.replace("y = x ** 2", "y = x ** oops")));
  assert.match(await page.getByRole("alert").textContent(), /NameError.*y = x \*\* oops/s);
  await derived(page, async () => fs.writeFileSync(process.env.FILE, text));
  assert.match(await step(page, "dx"), /=6because/);
  await page.context().close();
});

test("what a reader types injects nothing", async () => {
  const page = await open();
  await derived(page, () => page.locator("#source").selectOption("formula"));
  for (const evil of ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "X<b>", "X;Y"]) {
    await derived(page, () => page.locator("#formula").fill(evil));
    assert.equal(await page.getByRole("alert").count(), 1, evil);
  }
  await derived(page, () => page.locator("#formula").fill("X W"));
  await derived(page, () => page.locator("#shapes").fill("X: <img src=x onerror=alert(3)>"));
  assert.equal(await page.locator("img, iframe, object").count(), 0);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test("axe finds nothing in both schemes, and nothing is wider than a phone", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open({ colorScheme, bypassCSP: true, viewport: { width: 360, height: 740 } });
    await derived(page, () => page.locator("#source").selectOption("formula"));
    await page.locator("details").evaluateAll((all) => all.forEach((e) => (e.open = true)));
    for (const formula of ["softmax(x yᵀ)", "foo("]) {
      await derived(page, () => page.locator("#formula").fill(formula));
      await page.addScriptTag({ content: axe });
      const found = await page.evaluate(() =>
        axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
      const said = found.violations.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`);
      assert.deepEqual(said, [], `${formula}, ${colorScheme}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${over} px too wide`);
    }
    await page.context().close();
  }
});
