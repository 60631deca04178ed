// Formulas on a page of any width: what is too wide is broken before the operators inside of its
// brackets, then drawn a little smaller; what is too wide by much even so keeps its size and scrolls.

const SMALLEST = 0.55;
const LATER = 2.8; // rem by which later lines of an equation are set in
const EM = 17; // px of the letters of a formula, about
const INFIX = /^[=+−⊙∗·⋅×⊗/<>≤≥]$/;
const SCRIPTED = ["msub", "msup", "msubsup"];
const moved = []; // each part of a formula that stands elsewhere now, with where it belongs

const wide = (e) => e.getBoundingClientRect().width;

function made(tag, ...inside) {
  const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
  element.append(...inside);
  return element;
}

function taken(node) {
  moved.push([node, node.parentNode, node.nextSibling]);
  return node;
}

// all formulas as they were
function mended() {
  for (const [node, parent, next] of moved.splice(0).reverse())
    if (parent) parent.insertBefore(node, next);
    else node.remove();
}

const baseOf = (e) => (SCRIPTED.includes(e.localName) ? e.firstElementChild : e);
const isArray = (e) => e.localName === "mrow" && [...e.children].some((x) => x.localName === "mtable");
const isBracketed = (e) => e.localName === "mrow" && e.firstElementChild?.localName === "mo";

// what a formula consists of; only what is wider than the room is taken apart
function* atoms(element, room) {
  for (const child of element.children) yield* apart(child, room);
}

function* apart(element, room) {
  const base = baseOf(element);
  if (wide(element) <= room || isArray(base)) yield { node: element };
  else if (base.localName === "mrow") yield* held(base, room, base === element ? null : element);
  else if (element.localName === "mfrac") {
    yield* inLine(element.firstElementChild, room);
    yield { sign: "/" };
    yield* inLine(element.lastElementChild, room);
  } else if (element.localName === "msqrt") {
    yield { sign: "√" };
    yield* bracketed(atoms(element, room));
  } else yield { node: element };
}

// brackets are as high as what they hold, on whatever lines they stand; scripts stay with the last
function held(row, room, scripts) {
  const inside = [...atoms(row, room)];
  const height = Math.max(...inside.map(tall));
  for (const end of [inside[0], inside.at(-1)])
    if (end?.node?.parentNode === row && end.node.localName === "mo" && end.node.getAttribute("stretchy") !== "false")
      end.height = height;
  if (scripts) inside.at(-1).scripts = scripts;
  return inside;
}

const tall = (atom) =>
  atom.height ?? (atom.node && atom.node.localName !== "mo" ? atom.node.getBoundingClientRect().height : 0);

// a numerator or a denominator, beside the other
function* inLine(element, room) {
  if (element.localName !== "mrow" || isArray(element) || isBracketed(element)) yield* apart(element, room);
  else yield* bracketed(atoms(element, room));
}

function* bracketed(inside) {
  const all = [...inside];
  const height = Math.max(...all.map(tall));
  yield { sign: "(", height };
  yield* all;
  yield { sign: ")", height };
}

const signOf = (atom) => atom.sign ?? (atom.node.localName === "mo" ? atom.node.textContent : "");
const isFactor = ({ node }) => node && isArray(baseOf(node));
const isEmpty = (atom) => atom.node?.localName === "mrow" && !atom.node.children.length;

// its parts in runs, before each of which a line may break
function runs(math, room) {
  const found = [[]];
  let before = null;
  for (const atom of atoms(math, room)) {
    const operand = before && !isEmpty(before) && !INFIX.test(signOf(before)) && !/[([√]/.test(signOf(before));
    if (operand && (INFIX.test(signOf(atom)) || (isFactor(before) && isFactor(atom)))) found.push([]);
    found.at(-1).push(atom);
    before = atom;
  }
  return found;
}

// an atom's part of a line; what keeps a bracket's height holds a letter, for a space would not
function set({ node, sign, scripts, height }) {
  let shown = node ? taken(node) : made("mo", sign);
  if (INFIX.test(shown.textContent)) shown.setAttribute("form", "infix");
  if (height) {
    const strut = made("mpadded", made("mi"));
    strut.setAttribute("width", "0");
    strut.setAttribute("height", `${height / 2 / EM + 0.25}em`);
    strut.setAttribute("depth", `${height / 2 / EM - 0.25}em`);
    shown = made("mrow", shown, strut);
  }
  return scripts ? made(scripts.localName, shown, ...[...scripts.children].slice(-marks(scripts)).map(taken)) : shown;
}

const marks = (scripts) => (scripts.localName === "msubsup" ? 2 : 1);

function broken(math, parts) {
  for (const part of parts) {
    const line = made("math", ...part.map(set));
    line.setAttribute("displaystyle", "true");
    moved.push([line, null, null]);
    math.before(line);
  }
}

// how much of its width a formula has
function share(e) {
  const around = e.parentElement;
  const left = e.getBoundingClientRect().left - around.getBoundingClientRect().left;
  const right = parseFloat(getComputedStyle(around).paddingRight);
  return (0.99 * (around.clientWidth - left - right)) / e.scrollWidth;
}

function fit() {
  mended();
  const parts = [...document.querySelectorAll(":is(.step, .wide) > :is(.eq, .because, table)")];
  for (const e of parts) if (e.style.zoom) e.style.zoom = "";
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const plans = parts.flatMap((e) => {
    const size = share(e);
    if (size >= 1) return [];
    const room = size * e.scrollWidth - LATER * rem;
    return [...e.querySelectorAll("math")].filter((math) => wide(math) > room).map((math) => [math, runs(math, room)]);
  });
  for (const [math, some] of plans) if (some.length > 1) broken(math, some);
  const sizes = parts.map(share);
  parts.forEach((e, k) => {
    if (SMALLEST <= sizes[k] && sizes[k] < 1) e.style.zoom = sizes[k];
  });
}
