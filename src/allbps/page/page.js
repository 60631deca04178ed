"use strict";
// Steps through a derivation: forward node by node, then backward δ by δ. Without this script the
// page shows everything at once; with it, picture, steps and sources move together.

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

function button(label, name, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.setAttribute("aria-label", name);
  made.title = name;
  made.addEventListener("click", act);
  return made;
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).blob();
}

// the picture as it stands, without what stepping has hidden
function drawn(svg) {
  const copy = svg.cloneNode(true);
  for (const e of copy.querySelectorAll(".later")) e.setAttribute("visibility", "hidden");
  copy.removeAttribute("style");
  return new XMLSerializer().serializeToString(copy);
}

async function painted(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawn(svg))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  const [width, height] = ["width", "height"].map((side) => 2 * Number(svg.getAttribute(side)));
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(image, 0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// the names of the values in a box that stands for several
const valuesOf = (box) => box.dataset.nodes.split(" ");

class Walk {
  constructor(section, number, data) {
    this.section = section;
    this.steps = data.steps;
    this.inside = data.inside;
    this.tables = data.tables;
    this.within = data.within; // what has no step of its own -> the value whose step tells of it
    this.at = this.steps.length; // all shown
    this.shown = this.at; // what the page was last made to show
    this.timer = null;
    this.waiting = []; // parts of the picture, each with the step that it appears with
    this.marks = this.steps.map((step) => this.marksOf(step));
    this.own = new Map(); // a value's name -> its steps, each with its number
    this.steps.forEach((step, k) => {
      if (!this.own.has(step.of)) this.own.set(step.of, []);
      this.own.get(step.of).push([step, k + 1]);
    });
    this.levels = new Map([...section.querySelectorAll("template[data-level]")].map((t) => [t.dataset.level, t]));
    this.whole = section.querySelector(".aside > figure > svg");
    this.controls(number);
    this.saving(data);
    this.listen();
    this.picture("");
    this.show();
  }

  // what is too wide and scrolls can be reached by keyboard
  reachable() {
    for (const e of this.section.querySelectorAll(".step, figure, .chain, output"))
      if (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight + 1) e.tabIndex = 0;
      else e.removeAttribute("tabindex");
  }

  named(selector, key, value) {
    return [...this.section.querySelectorAll(selector)].filter((e) => e.dataset[key] === value);
  }

  marksOf(step) {
    const lines = step.line === null ? [] : this.named(".line", "line", String(step.line));
    return {
      block: this.named(".step", "step", step.name)[0],
      code: this.named(".line", "step", step.name),
      lines,
      cards: [], // in the picture that is shown
    };
  }

  // shows the inside of a box; "" is the whole net
  picture(path) {
    this.path = path;
    const svg = path ? this.levels.get(path).content.firstElementChild.cloneNode(true) : this.whole;
    if (svg) {
      this.section.querySelector(".aside > figure").replaceChildren(svg);
      if (path || !svg.hasAttribute("aria-label")) this.wire(svg);
      this.deal(svg);
    }
    const above = path.split(".").map((_, k, all) => all.slice(0, k).join("."));
    const crumbs = [...above, path].map((at) => {
      const label = at ? this.levels.get(at).dataset.label : "Whole net";
      const made = button(label, at === path ? `Shown: ${label}` : `Back to ${label}`, () => this.leave(at));
      if (at === path) made.setAttribute("aria-current", "true");
      return made;
    });
    this.crumbs.replaceChildren(...(path ? crumbs : []));
  }

  // each step's cards, and the boxes that hold its value
  deal(svg) {
    const cards = [...svg.querySelectorAll("[data-node]")];
    const boxes = [...svg.querySelectorAll("[data-nodes]")].map((box) => [box, new Set(valuesOf(box))]);
    const found = new Map(cards.map((card) => [card.dataset.node, [card]]));
    this.waiting = cards.flatMap((card) => {
      const own = this.stepsOf(card.dataset.node);
      const value = own.find(([step]) => !step.back);
      const delta = own.filter(([step]) => step.back).at(-1);
      return [[card.querySelector(".value"), value], [card.querySelector(".own-delta"), delta]]
        .filter(([e, of]) => e && of)
        .map(([e, [, k]]) => [e, k]);
    });
    this.steps.forEach((step, k) => {
      const around = boxes.filter(([, names]) => names.has(step.of)).map(([box]) => box);
      this.marks[k].cards = [...(found.get(step.of) ?? []), ...around];
    });
  }

  // from a crumb to the picture that it names
  leave(path) {
    this.picture(path);
    this.show();
    (this.crumbs.lastElementChild ?? this.run).focus();
    this.reachable();
  }

  controls(number) {
    const bar = document.createElement("div");
    bar.className = "controls";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Step through the derivation");
    this.first = button("|◀", "To the beginning (Home)", () => this.go(0));
    this.back = button("◀", "One step back (←)", () => this.go(this.at - 1));
    this.run = button("Play", "Play (Space)", () => this.play());
    this.next = button("▶", "One step on (→)", () => this.go(this.at + 1));
    this.last = button("▶|", "To the end (End)", () => this.go(this.steps.length));
    this.range = document.createElement("input");
    Object.assign(this.range, { type: "range", min: 0, max: this.steps.length, step: 1 });
    this.range.setAttribute("aria-label", "Step");
    this.range.addEventListener("input", () => this.go(Number(this.range.value)));
    this.said = document.createElement("output");
    this.said.setAttribute("aria-live", "polite");
    bar.append(this.first, this.back, this.run, this.next, this.last, this.range, this.said);
    this.section.prepend(bar);
    this.chain = document.createElement("div");
    this.chain.className = "chain";
    this.chain.hidden = true;
    this.section.querySelector(".aside").append(this.chain);
    this.crumbs = document.createElement("div");
    this.crumbs.setAttribute("role", "group");
    this.crumbs.className = "crumbs";
    this.crumbs.setAttribute("aria-label", "Blocks around what the picture shows");
    this.section.querySelector(".aside").prepend(this.crumbs);
  }

  // what is shown, as a file: texts that lie packed in the page, the picture and the source as drawn
  saving(data) {
    const box = document.createElement("details");
    box.className = "save";
    box.append(Object.assign(document.createElement("summary"), { textContent: "Save this derivation" }));
    const texts = { tex: "LaTeX", md: "Markdown", json: "JSON" };
    const name = data.title.replace(/[^\p{L}\p{N}_-]+/gu, "-") || "derivation";
    const add = (label, ending, make) =>
      box.append(button(label, `Save as ${label}`, async () => save(await make(), `${name}.${ending}`)));
    for (const [ending, label] of Object.entries(texts))
      if (data.texts?.[ending]) add(label, ending, () => new Blob([data.texts[ending]]));
      else if (data.saved?.[ending]) add(label, ending, () => unpacked(data.saved[ending]));
    const shown = () => this.section.querySelector(".aside > figure > svg");
    if (shown()) {
      add("SVG", "svg", () => new Blob([drawn(shown())], { type: "image/svg+xml" }));
      add("PNG", "png", () => painted(shown()));
    }
    const source = this.section.querySelector(".sources > div:last-child");
    if (source)
      add("Python", "py", () =>
        new Blob([[...source.querySelectorAll(".line")].map((line) => `${line.textContent}\n`).join("")]));
    this.section.append(box);
  }

  listen() {
    this.section.addEventListener("keydown", (event) => this.key(event));
    this.section.addEventListener("pointerenter", () => (Walk.active = this));
    this.steps.forEach((step, k) => {
      const { block, code, lines } = this.marks[k];
      if (block) this.press(block, () => this.go(k + 1), true);
      for (const line of [...code, ...lines]) {
        line.dataset.go = "";
        line.addEventListener("click", () => this.go(k + 1));
      }
      if (block && this.inside[step.name]) this.look(block, this.inside[step.name]);
    });
  }

  // a picture's cards and boxes as what can be pressed
  wire(svg) {
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", svg.querySelector("title").textContent);
    svg.style.setProperty("--natural", `${svg.getAttribute("width")}px`);
    for (const card of svg.querySelectorAll("[data-node], [data-nodes]")) {
      card.setAttribute("role", "button");
      card.setAttribute("tabindex", "0");
      card.setAttribute("aria-label", card.querySelector("title").textContent.split("\n")[0]);
      this.press(card, () => (card.dataset.node ? this.visit(card.dataset.node) : this.enter(card)));
    }
  }

  press(element, act, mouseOnly = false) {
    element.dataset.go = "";
    element.addEventListener("click", () => {
      if (!String(getSelection())) act();
    });
    if (!mouseOnly)
      element.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          act();
          event.preventDefault();
          event.stopPropagation();
        }
      });
  }

  key(event) {
    if (event.target === this.range && !["Home", "End", " "].includes(event.key)) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const acts = {
      ArrowLeft: () => this.go(this.at - 1),
      ArrowRight: () => this.go(this.at + 1),
      Home: () => this.go(0),
      End: () => this.go(this.steps.length),
      " ": () => this.play(),
    };
    const onButton = event.target.closest("button") && event.key === " ";
    if (acts[event.key] && !onButton) {
      acts[event.key]();
      event.preventDefault();
      event.stopPropagation();
    }
  }

  play() {
    if (this.timer) return this.stop();
    if (this.at === this.steps.length) this.go(0);
    this.run.textContent = "Pause";
    this.run.setAttribute("aria-label", "Pause (Space)");
    this.timer = setInterval(() => {
      if (this.at >= this.steps.length) this.stop();
      else this.move(this.at + 1);
    }, 1400);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.run.textContent = "Play";
    this.run.setAttribute("aria-label", "Play (Space)");
  }

  go(k) {
    this.stop();
    this.move(k);
  }

  move(k) {
    this.at = Math.max(0, Math.min(this.steps.length, k));
    this.section.classList.add("stepping");
    if (this.at) this.follow(this.marks[this.at - 1]);
    this.show();
    if (!this.at) return;
    const { block, cards } = this.marks[this.at - 1];
    if (cards[0]) this.center(cards[0]);
    if (block) this.reveal(block);
  }

  // out of a box where a step lies outside of it
  follow(marks) {
    while (this.path && !marks.cards.length) this.picture(this.path.split(".").slice(0, -1).join("."));
  }

  // to a step without scrolling, after the numbers have changed
  restore(k) {
    this.at = Math.min(this.steps.length, k);
    this.section.classList.add("stepping");
    this.show();
  }

  // the picture scrolls inside its own frame where it is larger
  center(card) {
    const frame = this.section.querySelector("figure");
    const [outer, inner] = [frame.getBoundingClientRect(), card.getBoundingClientRect()];
    const behavior = still ? "auto" : "smooth";
    const top = inner.top + inner.height / 2 - outer.top - outer.height / 2;
    const left = inner.left + inner.width / 2 - outer.left - outer.width / 2;
    frame.scrollBy({ top, left, behavior });
  }

  reveal(block) {
    for (let e = block; e !== this.section; e = e.parentElement) if (e.matches("details")) e.open = true;
    const { top, bottom } = block.getBoundingClientRect();
    const bar = this.covered();
    if (top < bar || bottom > innerHeight) {
      const by = top < bar ? top - bar - 8 : bottom - innerHeight + 8;
      scrollBy({ top: by, behavior: still ? "auto" : "smooth" });
    }
  }

  // how much of the window the controls cover, and a picture that stays below them
  covered() {
    const fixed = [...this.section.querySelectorAll(".controls, .flat > .aside")];
    const stays = fixed.filter((e) => getComputedStyle(e).position === "sticky");
    return stays.reduce((sum, e) => sum + e.getBoundingClientRect().height, 0);
  }

  stepsOf(name) {
    return this.own.get(name) ?? this.own.get(this.within[name]) ?? [];
  }

  // a card: first to its value, from there to its δ
  visit(name) {
    const own = this.stepsOf(name);
    const forward = own.find(([step]) => !step.back);
    const back = own.filter(([step]) => step.back).at(-1);
    const target = back && (!forward || this.at >= forward[1] || !this.section.classList.contains("stepping")) ? back : forward || back;
    if (target) this.go(target[1]);
    this.explain(this.own.has(name) ? name : (this.within[name] ?? name));
  }

  // a box: its inside, if it has one, and the first of its values that has a step
  enter(box) {
    const own = valuesOf(box).flatMap((name) => this.own.get(name) ?? []);
    const first = own.find(([step]) => !step.back) ?? own[0];
    if (this.levels.has(box.dataset.level)) this.leave(box.dataset.level);
    if (first) this.go(first[1]);
  }

  // the whole chain-rule sum of one value: each use's contribution, then the sum
  explain(name) {
    const own = this.own.get(name) ?? [];
    this.chain.replaceChildren();
    const title = document.createElement("h3");
    title.textContent = `All of ${name}: its value, and its δ as a sum over its uses`;
    this.chain.append(title);
    for (const [, k] of own)
      if (this.marks[k - 1].block) {
        const copy = this.marks[k - 1].block.cloneNode(true);
        copy.className = copy.className.replace(/\b(later|now)\b/g, "");
        copy.removeAttribute("data-step");
        this.chain.append(copy);
      }
    this.chain.hidden = own.length === 0;
    this.reachable();
  }

  show() {
    const stepping = this.section.classList.contains("stepping");
    const [from, to] = [Math.min(this.at, this.shown), Math.max(this.at, this.shown)];
    for (const { block, code } of this.marks.slice(from, to))
      for (const e of [block, ...code]) e?.classList.toggle("later", this.at < this.shown);
    this.shown = this.at;
    this.cards();
    for (const e of this.section.querySelectorAll(".now, .now-card"))
      e.classList.remove("now", "now-card");
    const current = stepping && this.at ? this.marks[this.at - 1] : null;
    if (current) {
      for (const e of [current.block, ...current.code, ...current.lines]) e?.classList.add("now");
      for (const e of current.cards) e.classList.add("now-card");
    }
    this.first.disabled = this.back.disabled = this.at === 0;
    this.next.disabled = this.last.disabled = this.at === this.steps.length && stepping;
    this.range.value = this.at;
    const spoken = this.at ? this.steps[this.at - 1].said : "What is given.";
    this.range.setAttribute("aria-valuetext", spoken);
    this.said.textContent = stepping
      ? `${this.at} of ${this.steps.length}: ${spoken}`
      : `${this.steps.length} steps. ← and → walk, Space plays, Home and End jump.`;
  }

  // a value appears with its step, a δ with the last of its own
  cards() {
    for (const [e, k] of this.waiting) e.classList.toggle("later", this.at < k);
  }

  // an element of a result: which numbers meet in it, and the sum written out
  look(block, cells) {
    const tables = [...block.querySelectorAll(":scope > .eq mtable")].filter((t) => !t.querySelector("mtable"));
    const last = tables.at(-1);
    const results = last ? [...last.querySelectorAll("mtd")] : [];
    if (results.length !== cells.length || tables.length < cells[0].parts.length + 1) return;
    const operands = tables.slice(-1 - cells[0].parts.length, -1);
    const written = document.createElement("p");
    written.className = "because";
    const tabled = document.createElement("table");
    tabled.className = "seen";
    const pick = (k) => {
      for (const e of block.querySelectorAll(".part, .whole")) e.classList.remove("part", "whole");
      results[k].classList.add("whole");
      cells[k].parts.forEach((places, t) => {
        const all = operands[t].querySelectorAll("mtd");
        for (const place of places) all[place]?.classList.add("part");
      });
      written.textContent = cells[k].said;
      tabled.replaceChildren(...this.table(this.tables[cells[k].table] ?? []));
      results.forEach((cell, other) => (cell.tabIndex = other === k ? 0 : -1));
    };
    results.forEach((cell, k) => {
      cell.tabIndex = k ? -1 : 0;
      cell.addEventListener("pointerenter", () => pick(k));
      cell.addEventListener("focus", () => pick(k));
      cell.addEventListener("keydown", (event) => {
        const columns = last.querySelector("mtr").querySelectorAll("mtd").length;
        const to = { ArrowLeft: k - 1, ArrowRight: k + 1, ArrowUp: k - columns, ArrowDown: k + columns }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        results[to]?.focus();
      });
    });
    written.textContent = cells[0].said;
    tabled.replaceChildren(...this.table(this.tables[cells[0].table] ?? []));
    block.append(written);
    if (cells[0].table !== undefined) block.append(tabled);
  }

  // rows of texts; the first row and the first column are headings
  table(rows) {
    return rows.map((row, i) => {
      const line = document.createElement("tr");
      line.append(
        ...row.map((text, j) => {
          const cell = document.createElement(i && j ? "td" : "th");
          cell.textContent = text;
          if (!i || !j) cell.scope = i ? "row" : "col";
          return cell;
        }),
      );
      return line;
    });
  }
}

// a net in pieces: the links of its overview open what they lead to, and a name is found
class Pieces {
  constructor(section) {
    this.section = section;
    for (const link of section.querySelectorAll("figure a"))
      link.addEventListener("click", () => this.open(document.getElementById(link.getAttribute("href").slice(1))));
    const label = document.createElement("label");
    label.className = "find";
    label.append("Go to the value ");
    const input = document.createElement("input");
    input.spellcheck = false;
    this.said = document.createElement("output");
    label.append(input);
    const line = document.createElement("div");
    line.className = "find";
    line.append(label, this.said);
    section.querySelector("figure").after(line);
    input.addEventListener("change", () => this.find(input.value.trim()));
  }

  open(element) {
    for (let e = element; e && e !== this.section; e = e.parentElement) if (e.matches("details")) e.open = true;
  }

  find(name) {
    for (const e of this.section.querySelectorAll("p.now")) e.classList.remove("now");
    const plain = name.replace(/^δ/, "d");
    const found = [...this.section.querySelectorAll("p[data-name]")].find((p) => p.dataset.name === plain);
    this.said.textContent = found || !name ? "" : `There is no ${name}.`;
    if (!found) return;
    this.open(found);
    found.classList.add("now");
    found.scrollIntoView({ block: "center", behavior: still ? "auto" : "smooth" });
  }
}

// a long derivation lies packed below its plain text, which it takes the place of
async function opened(section) {
  const made = document.createElement("template");
  made.innerHTML = await (await unpacked(section.querySelector(":scope > script").textContent)).text();
  section.replaceWith(made.content);
}

// what a derivation says to the script, as text or packed
async function told(section) {
  const text = section.querySelector("script[type='application/json']").textContent;
  return text.startsWith("{") ? text : (await unpacked(text)).text();
}

Walk.active = null;
let walks = [];
async function wake() {
  for (const walk of walks) walk.stop();
  Walk.active = null;
  walks = [];
  const packed = "DecompressionStream" in window ? [...document.querySelectorAll(".packed")] : [];
  for (const section of packed) section.hidden = true;
  await Promise.all(packed.map(opened));
  const sections = [...document.querySelectorAll(".walk")];
  const texts = await Promise.all(sections.map(told));
  walks = sections.map((section, k) => new Walk(section, k, JSON.parse(texts[k])));
  for (const section of document.querySelectorAll(".pieces")) new Pieces(section);
  await document.fonts.load("1em 'allbps math'"); // widths are those of this font
  laid();
}

// after anything that changes widths, once a frame
let frame = 0;
function laid() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    fit();
    for (const walk of walks) walk.reachable();
  });
}
wake();
addEventListener("beforeprint", () => {
  mended();
  for (const block of document.querySelectorAll("details.block")) block.open = true;
});
addEventListener("afterprint", laid);
addEventListener("resize", laid);
document.addEventListener("toggle", laid, true); // what opens has a width from now on
// keys work before anything has the focus: they move the derivation under the pointer, or the first
document.addEventListener("keydown", (event) => {
  const outside = event.target === document.body || event.target === document.documentElement;
  if (outside && walks.length) (Walk.active || walks[0]).key(event);
});
