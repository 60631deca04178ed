// Pages in a real browser. Arguments by environment: TOOLS (node_modules), PAGES (folder of pages).
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

const require = createRequire(path.join(process.env.TOOLS, "package.json"));
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const folder = process.env.PAGES;
const names = fs.readdirSync(folder).filter((f) => f.endsWith(".html")).map((f) => f.slice(0, -5));
const systems = names.filter((name) => fs.existsSync(path.join(folder, `${name}.json`)));
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: quiet });
});
after(() => browser.close());

async function open(name, options = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.requests = [];
  page.errors = [];
  page.on("request", (r) => page.requests.push(r.url()));
  page.on("pageerror", (e) => page.errors.push(e.message));
  page.on("dialog", (d) => (page.errors.push(`dialog: ${d.message()}`), d.dismiss()));
  await page.goto(`file://${folder}/${name}.html`);
  if (options.javaScriptEnabled !== false) await page.locator(".packed").waitFor({ state: "detached" });
  return page;
}

const state = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll(".walk")].map((walk) =>
      [...walk.querySelectorAll(".step, .line, .value, .own-delta")].map((e) => e.className.baseVal ?? e.className)));

test("no page asks for anything but itself, and none has an error", async () => {
  for (const name of names) {
    const page = await open(name);
    await page.keyboard.press("Home");
    assert.deepEqual(page.requests, [`file://${folder}/${name}.html`], name);
    assert.deepEqual(page.errors, [], name);
    await page.context().close();
  }
});

test("every system walks forward to the end and back, and its state is restored", async () => {
  for (const name of systems) {
    const page = await open(name);
    const walks = await page.locator(".walk").count();
    for (let k = 0; k < walks; k++) {
      const walk = page.locator(".walk").nth(k);
      const range = walk.locator("input[type=range]");
      const count = Number(await range.getAttribute("max"));
      await walk.getByRole("button", { name: /beginning/ }).click();
      const shown = () => walk.locator(".derivation .step:not(.given):not(.later)").count();
      assert.equal(await shown(), 0, `${name}: nothing is computed at the beginning`);
      const begin = JSON.stringify(await state(page));
      for (let at = 1; at <= count; at++) {
        await walk.getByRole("button", { name: /step on/ }).click();
        assert.equal(await shown(), at, `${name}: a step appears once it has been computed`);
        assert.equal(await walk.locator(".derivation .step.now").count(), 1, `${name}: step ${at}`);
      }
      const hidden = await walk.locator("svg .later, .line.later").count();
      assert.equal(hidden, 0, `${name}: at the end everything is shown`);
      for (let at = count; at > 0; at--) await walk.getByRole("button", { name: /step back/ }).click();
      assert.equal(JSON.stringify(await state(page)), begin, name);
      await walk.getByRole("button", { name: /the end/ }).click();
    }
    await page.context().close();
  }
});

test("a δ in the picture appears with its own step, not before", async () => {
  const page = await open("neural-net");
  await page.keyboard.press("Home");
  const names = await page.evaluate(() =>
    JSON.parse(document.querySelector(".walk script").textContent).steps.filter((s) => s.back).map((s) => s.of));
  const forward = 6;
  for (let at = 1; at <= forward + names.length; at++) {
    await page.keyboard.press("ArrowRight");
    const shown = await page.evaluate(() =>
      [...document.querySelectorAll("svg [data-node] .own-delta:not(.later)")].map((e) => e.parentNode.dataset.node));
    assert.deepEqual(shown.sort(), names.slice(0, Math.max(0, at - forward)).sort(), `step ${at}`);
  }
  await page.context().close();
});

test("the numbers shown are those of the JSON, as far as they have digits", async () => {
  const plain = (text) => {
    const [mantissa, power] = text.trim().replace(/[−]/g, "-").split("·10");
    return Number(mantissa) * 10 ** Number(power ?? 0);
  };
  for (const name of systems) {
    const page = await open(name);
    const data = JSON.parse(fs.readFileSync(path.join(folder, `${name}.json`), "utf8"));
    const examples = data.sections.filter((s) => s.kind === "example");
    let compared = 0;
    for (let k = 0; k < examples.length; k++)
      for (const step of examples[k].steps) {
        if (step.value === null) continue;
        const rows = await page.evaluate(([k, name]) => {
          const walk = document.querySelectorAll(".walk")[k];
          const block = [...walk.querySelectorAll(".derivation .step")].find((e) => e.dataset.step === name);
          const tables = block ? [...block.querySelectorAll(":scope > .eq mtable")].filter((t) => !t.querySelector("mtable")) : [];
          return tables.length ? [...tables.at(-1).querySelectorAll("mtd")].map((c) => c.textContent) : null;
        }, [k, step.name]);
        const values = [step.value].flat(Infinity);
        if (!rows || rows.length !== values.length) continue;
        values.forEach((value, place) => {
          if (/[⁰-⁹]|10/.test(rows[place]) && !/^[−\d.]+$/.test(rows[place])) return;
          const decimals = (rows[place].split(".")[1] ?? "").length;
          const off = Math.abs(plain(rows[place]) - value);
          assert.ok(off <= 0.5000001 * 10 ** -decimals, `${name} ${step.name}: ${rows[place]} for ${value}`);
          compared++;
        });
      }
    if (!["scalar-net"].includes(name)) assert.ok(compared > 0, `${name}: nothing was compared`);
    await page.context().close();
  }
});

test("a cell of a convolution shows its window, also at the corners", async () => {
  const page = await open("convolution");
  const block = page.locator(".derivation .step[data-step=J]");
  const cells = block.locator("mtable").last().locator("mtd");
  const look = async (k) => {
    await cells.nth(k).dispatchEvent("pointerenter");
    const parts = await block.evaluate((b) => {
      const tables = [...b.querySelectorAll(":scope > .eq mtable")].filter((t) => !t.querySelector("mtable"));
      return [...tables.at(-3).querySelectorAll("mtd")].flatMap((e, at) => (e.classList.contains("part") ? [at] : []));
    });
    return [parts, await block.locator("p").last().textContent()];
  };
  assert.deepEqual((await look(0))[0], [0, 1, 2, 5, 6, 7]); // a 4×5 image under a 2×3 kernel
  assert.deepEqual((await look(8))[0], [12, 13, 14, 17, 18, 19]);
  assert.match((await look(0))[1], /^J\(1, 1\) = 1·1 \+ 2·3 \+ 0·5 \+ 0·2 \+ 1·4 \+ 1·6 = 17$/);
  await page.context().close();
});

test("a cell of a δ that went through softmax shows the Jacobian of its row", async () => {
  const page = await open("attention-scores");
  const data = JSON.parse(fs.readFileSync(path.join(folder, "attention-scores.json"), "utf8"));
  const s = data.sections.find((x) => x.kind === "example").steps.find((x) => x.name === "s").value;
  const block = page.locator(".derivation .step[data-step=dz]");
  const cells = block.locator(":scope > .eq mtable").last().locator("mtd");
  for (const [cell, row] of [[0, 0], [11, 2]]) {
    await cells.nth(cell).dispatchEvent("pointerenter");
    const shown = await block.locator("table.seen td").allTextContents();
    const right = s[row].flatMap((a, i) => s[row].map((b, k) => (i === k ? a * (1 - a) : -a * b)));
    assert.equal(shown.length, right.length);
    right.forEach((x, k) => assert.ok(Math.abs(Number(shown[k].replace("−", "-")) - x) < 6e-5, `${shown[k]} for ${x}`));
  }
  await page.context().close();
});

test("axe finds nothing, in light and in dark, at the beginning and in the middle", async () => {
  for (const colorScheme of ["light", "dark"])
    for (const name of names) {
      const page = await open(name, { colorScheme, bypassCSP: true });
      for (const key of ["Home", "ArrowRight", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
      await page.addScriptTag({ content: axe });
      const rules = colorScheme === "light" // colours alone differ in the dark
        ? ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
        : { type: "rule", values: ["color-contrast"] };
      const found = await page.evaluate((runOnly) => axe.run(document, { runOnly }), rules);
      const said = found.violations.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 120)}`);
      assert.deepEqual(said, [], `${name}, ${colorScheme}`);
      await page.context().close();
    }
});

const steps = ':is(.step, .wide)';
const over = (steps) => [...document.querySelectorAll(steps)]
  .map((e) => [e.scrollWidth / e.clientWidth, e.dataset.step ?? e.textContent.slice(0, 60)])
  .filter(([ratio]) => ratio > 1);

test("on a phone no step scrolls, and no letter of a formula is lost where it is broken", async () => {
  const told = () => [...document.querySelectorAll(":is(.step, .wide) > .eq")].map((e) => [...e.textContent].sort().join(""));
  const html = () => [...document.querySelectorAll(":is(.step, .wide) > .eq")].map((e) => e.innerHTML);
  for (const name of systems) {
    const page = await open(name, { viewport: { width: 1600, height: 740 } });
    const laid = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.waitForFunction(() => document.fonts.check("1em 'allbps math'"));
    await laid();
    await page.evaluate(() => mended());
    const [before, whole] = [await page.evaluate(told), await page.evaluate(html)];
    await page.setViewportSize({ width: 360, height: 740 });
    await laid();
    assert.deepEqual(await page.evaluate(over, steps), [], name);
    const after = await page.evaluate(told);
    before.forEach((text, k) => assert.equal(after[k].replace(/[()/√]/g, ""), text.replace(/[()/√]/g, ""), name));
    await page.evaluate(() => mended());
    assert.deepEqual((await page.evaluate(html)).map((text) => text.replaceAll(' form="infix"', "")), whole.map((text) => text.replaceAll(' form="infix"', "")), name);
    await page.context().close();
  }
});

test("on paper formulas are whole and have their size", async () => {
  for (const name of ["convolution", "transformer-block"]) {
    const page = await open(name, { viewport: { width: 360, height: 740 } });
    await page.waitForFunction(() => document.querySelector("[style*=zoom]"));
    await page.emulateMedia({ media: "print" });
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    const sizes = await page.evaluate(() => [...document.querySelectorAll("[style*=zoom]")].map((e) => getComputedStyle(e).zoom));
    assert.deepEqual(new Set(sizes), new Set(["1"]), name);
    assert.equal(await page.locator("mpadded").count(), 0, name);
    await page.context().close();
  }
});

test("names that the user chose inject nothing", async () => {
  const page = await open("hostile");
  for (let k = 0; k < 4; k++) await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator("img, iframe, object").count(), 0);
  assert.equal(await page.locator("script").count(), 2); // the data and the page's own
  assert.deepEqual(page.errors, []);
  await page.context().close();
  const turns = await open("turns");
  await turns.locator(".aside > figure [data-level]").first().press("Enter");
  assert.match(await turns.locator(".crumbs button").last().textContent(), /<img src=x/);
  assert.equal(await turns.locator("img, iframe, object").count(), 0);
  assert.equal(await turns.locator("script").count(), 2);
  assert.deepEqual(turns.errors, []);
  await turns.context().close();
});

test("a click on a card goes there and shows its whole chain-rule sum", async () => {
  const page = await open("shared-weights", { viewport: { width: 1500, height: 1000 } });
  await page.locator("svg [data-node=W]").click();
  const steps = await page.locator(".chain .step").count();
  assert.equal(steps, 3); // δW₁, δW₂ and their sum
  assert.match(await page.locator("output").textContent(), /δW = δW₁ \+ δW₂/);
  await page.context().close();
});

test("what is shown is saved in each form, and the texts are those of the command line", async () => {
  const page = await open("scalar-net");
  await page.locator(".save summary").click();
  const saved = {};
  for (const label of ["LaTeX", "Markdown", "JSON", "SVG", "PNG", "Python"]) {
    const waiting = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save as ${label}` }).click();
    const file = await waiting;
    saved[label] = fs.readFileSync(await file.path());
    assert.match(file.suggestedFilename(), /^scalar_net\.(tex|md|json|svg|png|py)$/);
  }
  const example = JSON.parse(fs.readFileSync(path.join(folder, "scalar-net.json"), "utf8")).sections.find((s) => s.kind === "example");
  assert.deepEqual(JSON.parse(saved.JSON).steps, example.steps);
  assert.match(String(saved.LaTeX), /\\documentclass[^]*\\end\{document\}/);
  assert.match(String(saved.Markdown), /## Backward/);
  assert.match(String(saved.SVG), /^<svg[^]*<\/svg>$/);
  assert.deepEqual([...saved.PNG.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
  assert.match(String(saved.Python), /^import numpy as np\n[^]*return /);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test("a matrix stands between brackets of its own height, without a font of the machine's", async () => {
  const page = await open("neural-net");
  const heights = await page.evaluate(() => {
    const table = [...document.querySelectorAll("mtable")].find((t) => t.querySelectorAll("mtr").length === 2);
    const bracket = table.previousElementSibling;
    return [table, bracket].map((e) => e.getBoundingClientRect().height);
  });
  assert.ok(heights[1] >= 0.8 * heights[0], heights.join());
  assert.ok(await page.evaluate(() => document.fonts.check("16px 'allbps math'")));
  await page.context().close();
});

test("the transformer block takes at most eight sheets of paper", async () => {
  const page = await open("transformer-block");
  const pdf = (await page.pdf({ format: "A4", preferCSSPageSize: true })).toString("latin1");
  const sheets = pdf.match(/\/Type\s*\/Page[^s]/g).length;
  assert.ok(sheets <= 8, `${sheets} sheets`);
  await page.context().close();
});

test("a box opens level by level, the crumbs lead back, and a step elsewhere closes it", async () => {
  const page = await open("nested", { viewport: { width: 1500, height: 1000 } });
  const figure = page.locator(".aside > figure > svg");
  const crumbs = page.locator(".crumbs button");
  assert.equal(await crumbs.count(), 0);
  const opened = [];
  for (let depth = 1; (await figure.locator("[data-level]").count()) > 0; depth++) {
    await figure.locator("[data-level]").first().press("Enter");
    assert.equal(await crumbs.count(), depth + 1);
    opened.push(await crumbs.last().textContent());
  }
  assert.ok(opened.length >= 2, opened.join());
  assert.ok((await figure.locator("[data-node]").count()) > 1); // the values themselves
  await page.keyboard.press("Home");
  assert.equal(await figure.locator(".computed .value:not(.later), .own-delta:not(.later)").count(), 0);
  assert.equal(await crumbs.last().getAttribute("aria-current"), "true");
  const name = await figure.locator(".computed[data-node]").first().getAttribute("data-node");
  await figure.locator(`[data-node="${name}"]`).click();
  assert.ok((await figure.locator(".now-card").count()) > 0);
  await crumbs.nth(1).click();
  assert.equal(await crumbs.count(), 2);
  await page.keyboard.press("End"); // of the whole net, which lies outside of the box
  assert.ok((await figure.locator(".now-card").count()) > 0);
  await crumbs.first().click().catch(() => {});
  assert.equal(await crumbs.count(), 0);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test("a packed derivation reads without script, and walks and saves like any other with it", async () => {
  const still = await open("nested", { javaScriptEnabled: false });
  const lines = still.locator("p[data-name]:visible");
  assert.ok((await lines.count()) > 50);
  assert.match((await lines.allTextContents()).join("\n"), /because/);
  await still.context().close();
  const page = await open("nested");
  assert.equal(await page.locator("p[data-name]").count(), 0);
  await page.keyboard.press("Home");
  for (let k = 0; k < 5; k++) await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator(".derivation .step:not(.given):not(.later)").count(), 5);
  await page.keyboard.press("End");
  assert.equal(await page.locator(".derivation .step.later").count(), 0);
  await page.locator(".save summary").click();
  for (const [label, form] of [["LaTeX", /\\end\{document\}/], ["JSON", /"steps"/], ["SVG", /<\/svg>$/]]) {
    const waiting = page.waitForEvent("download");
    await page.getByRole("button", { name: `Save as ${label}` }).click();
    assert.match(fs.readFileSync(await (await waiting).path(), "utf8"), form);
  }
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test("without script everything is there to read", async () => {
  const page = await open("scalar-net", { javaScriptEnabled: false });
  assert.equal(await page.locator(".step:visible").count(), await page.locator(".step").count());
  assert.equal(await page.locator(".controls").count(), 0);
  await page.context().close();
});

test("nothing is wider than a phone but what scrolls by itself", async () => {
  for (const name of names) {
    const page = await open(name, { viewport: { width: 360, height: 740 } });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${name} is ${over} px too wide`);
    await page.context().close();
  }
});
