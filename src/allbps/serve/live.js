// The living page: whatever changes above is sent to this machine, and everything below follows.
const token = new URLSearchParams(location.search).get("token") ?? "";
const at = (id) => document.getElementById(id);
const state = { source: at("source").value, seed: null, numbers: {}, sizes: {} };
let asked = 0; // the last request; answers to earlier ones are dropped
let version = null;
let waiting = null;
let layout = ""; // which arrays have fields

async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Token": token };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) return { error: { what: (await answer.text()).trim() } };
  return answer.json();
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(derive, 250);
}

async function derive() {
  clearTimeout(waiting);
  const mine = ++asked;
  const busy = setTimeout(() => (at("busy").textContent = "computing…"), 400);
  const request = { ...state, formula: at("formula").value, shapes: at("shapes").value };
  let found;
  try {
    found = await post("derive", request);
  } catch {
    found = { error: { what: "the server does not answer", fix: "is allbps serve still running?" } };
  }
  clearTimeout(busy);
  if (mine !== asked) return;
  at("busy").textContent = "";
  version = found.version ?? version;
  complain(found.error);
  if (!found.error) show(found);
}

// a mistake, part by part, as text
function complain(error) {
  const box = at("mistake");
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  const say = (tag, text) => box.append(Object.assign(document.createElement(tag), { textContent: text }));
  say("p", error.what);
  if (error.where) {
    say("pre", error.where.replace(/\n {12}/g, "\n"));
    box.lastChild.tabIndex = 0;
  }
  for (const key of ["expected", "got", "fix"]) if (error[key]) say("p", `${key}: ${error[key]}`);
  if (at("body").childElementCount) say("p", "Below is what was derived before.");
}

async function show(found) {
  document.title = `${found.title} · allbps`;
  at("title").textContent = found.title;
  at("lead").textContent = found.lead;
  at("lead").hidden = !found.lead;
  at("remark").textContent = found.remark;
  at("remark").hidden = !found.remark;
  const places = walks.map((walk) => (walk.section.classList.contains("stepping") ? walk.at : null));
  at("body").innerHTML = found.html; // made and escaped by allbps; the policy runs no script in it
  await wake();
  walks.forEach((walk, k) => places[k] != null && walk.restore(places[k]));
  fields(found.arrays);
}

// -- the arrays ---------------------------------------------------------------------------------
function fields(arrays) {
  const wanted = JSON.stringify(arrays.map((a) => [a.key, a.shape, a.values === null]));
  if (wanted !== layout) {
    layout = wanted;
    at("arrays").replaceChildren(...arrays.map(field));
  }
  for (const array of arrays) fill(array);
}

function field(array) {
  const set = document.createElement("fieldset");
  set.dataset.key = array.key;
  set.append(Object.assign(document.createElement("legend"), { textContent: array.label }));
  set.append(shapeField(array));
  if (array.values === null) {
    const said = Object.assign(document.createElement("p"), { className: "large", textContent: "too many to edit one by one" });
    set.append(said);
    return set;
  }
  const columns = array.shape.at(-1) ?? 1;
  const count = array.shape.reduce((a, b) => a * b, 1);
  for (let start = 0; start < count; start += columns) {
    const row = Object.assign(document.createElement("div"), { className: "row" });
    for (let k = start; k < start + columns; k++) row.append(cell(array, k, set));
    set.append(row);
  }
  return set;
}

function shapeField(array) {
  const input = document.createElement("input");
  input.className = "shape";
  input.value = array.shape.join("×");
  input.disabled = !array.reshaped || array.shape.length === 0;
  input.hidden = input.disabled;
  input.setAttribute("aria-label", `shape of ${array.label}`);
  input.addEventListener("change", () => {
    const sizes = input.value.split(/[^0-9]+/).filter(Boolean).map(Number);
    const right = sizes.length > 0 && sizes.every((n) => n >= 1);
    input.setAttribute("aria-invalid", String(!right));
    if (!right) return;
    state.sizes[array.key] = sizes;
    delete state.numbers[array.key];
    derive();
  });
  return input;
}

function cell(array, place, set) {
  const input = document.createElement("input");
  input.type = "text";
  input.inputMode = "decimal";
  input.dataset.place = place;
  const where = [];
  for (let axis = array.shape.length - 1, rest = place; axis >= 0; axis--) {
    where.unshift((rest % array.shape[axis]) + 1);
    rest = Math.floor(rest / array.shape[axis]);
  }
  input.setAttribute("aria-label", where.length ? `${array.label}(${where.join(", ")})` : array.label);
  input.addEventListener("input", () => {
    const value = number(input.value);
    input.setAttribute("aria-invalid", String(value === null));
    const all = [...set.querySelectorAll(".row input")].map((e) => number(e.value));
    if (all.includes(null)) return;
    state.numbers[array.key] = nested(all, array.shape);
    soon();
  });
  return input;
}

function number(text) {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  const value = Number(plain);
  return plain === "" || !Number.isFinite(value) ? null : value;
}

function nested(flat, shape) {
  if (shape.length === 0) return flat[0];
  if (shape.length === 1) return flat;
  const size = flat.length / shape[0];
  return Array.from({ length: shape[0] }, (_, k) => nested(flat.slice(k * size, (k + 1) * size), shape.slice(1)));
}

function fill(array) {
  const set = [...at("arrays").children].find((e) => e.dataset.key === array.key);
  if (array.values === null) return;
  const flat = [array.values].flat(Infinity);
  for (const input of set.querySelectorAll(".row input")) {
    const value = flat[Number(input.dataset.place)];
    if (input !== document.activeElement || number(input.value) !== value) input.value = String(value);
    input.setAttribute("aria-invalid", "false");
  }
}

// -- what to derive -----------------------------------------------------------------------------
function fresh() {
  Object.assign(state, { seed: null, numbers: {}, sizes: {} });
  at("seed").value = "";
}

function source() {
  state.source = at("source").value;
  at("formula-fields").hidden = state.source !== "formula";
  fresh();
  derive();
}

function seed(value) {
  state.seed = value;
  state.numbers = {};
  at("seed").value = value ?? "";
  derive();
}

at("live").addEventListener("submit", (event) => event.preventDefault());
at("source").addEventListener("change", source);
for (const id of ["formula", "shapes"])
  at(id).addEventListener("input", () => {
    state.numbers = {};
    state.sizes = {};
    soon();
  });
at("seed").addEventListener("change", () => {
  const value = at("seed").value === "" ? null : Number(at("seed").value);
  const right = value === null || (Number.isInteger(value) && value >= 0);
  at("seed").setAttribute("aria-invalid", String(!right));
  if (right) seed(value);
});
at("other").addEventListener("click", () => seed((state.seed ?? 0) + 1));
at("reset").addEventListener("click", () => (fresh(), derive()));

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const found = await post("changed", {});
      const changed = found.version !== undefined && version !== null && found.version !== version;
      version = found.version ?? version;
      if (changed) derive();
    } catch {} // the next request says so
  }
  setTimeout(look, 1000);
}

at("arrays").parentNode.open = innerWidth > 600; // on a phone the derivation comes first
source();
if (at("source").querySelector("[value=file]")) look();
