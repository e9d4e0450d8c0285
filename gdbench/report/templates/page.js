// Filters, sorting, theme and downloads, all of it told by the page's address and restored from it.
const root = document.documentElement;

function remember() {
  const told = new URLSearchParams();
  for (const name of ["at", "problem", "experiment", "theme", "cell"]) if (state[name]) told.set(name, state[name]);
  if (state.colour !== "rate") told.set("colour", state.colour);
  for (const name of state.without) told.append("without", name);
  for (const [table, how] of state.sort) told.append("sort", `${table}.${how}`);
  history.replaceState(null, "", `#${told}`);
}

function recall() {
  const hash = location.hash.slice(1), told = new URLSearchParams(hash.includes("=") ? hash : hash && { at: hash });
  for (const name of ["at", "problem", "experiment", "theme", "cell"]) state[name] = told.get(name) || "";
  state.colour = told.get("colour") === "outcome" ? "outcome" : "rate";
  state.without = new Set(told.getAll("without").filter(name => STYLE.has(name)));
  state.sort = new Map(told.getAll("sort").map(text => text.split(/\.(.*)/)).map(([table, how]) => [table, how]));
  for (const name of ["problem", "experiment", "colour", "theme"]) {
    const field = document.querySelector(`[name=${name}]`);
    if (field) field.value = state[name];
    if (field && field.selectedIndex < 0) field.value = state[name] = "";
  }
  all("[name=optimizer]").forEach(box => box.checked = !state.without.has(box.value));
}

// Whether the filters let an element through: an empty list stands for all.
function wanted(element) {
  const list = name => JSON.parse(element.dataset[name] || "[]");
  const optimizers = list("optimizers"), problems = list("problems"), experiments = list("experiments");
  return (!optimizers.length || optimizers.some(name => !state.without.has(name)))
    && (!state.problem || !problems.length || problems.includes(state.problem))
    && (!state.experiment || !experiments.length || experiments.includes(state.experiment));
}

function filter() {
  const marked = all("[data-optimizers]");
  marked.forEach(element => element.hidden = !wanted(element));
  const left = element => !!element.querySelector("[data-optimizers]:not([hidden])");
  // A card whose figures or rows are all gone goes too.
  all(".card.figures").forEach(card => card.hidden = !!card.querySelector("figure") && !left(card));
  all(".card.glance").forEach(card => card.hidden = !all("tbody tr", card).some(row => !row.hidden && (!row.querySelector("td[data-optimizers]") || left(row))));
  drawings.forEach(drawing => drawing.filter());
  const touched = note => note.dataset.filter === "problem" ? state.problem : JSON.parse(note.closest("figure").dataset.optimizers).some(name => state.without.has(name));
  all(".partly").forEach(note => note.hidden = !touched(note));
  const count = DATA.optimizers.length, shown = count - state.without.size;
  document.getElementById("shown-optimizers").textContent = shown === count ? `all ${count}` : `${shown} of ${count}`;
  const named = marked.filter(element => element.dataset.problems !== "[]");
  document.querySelector(".nothing").hidden = !named.length || named.some(element => !element.hidden);
}

function show() {
  state.theme ? root.dataset.theme = state.theme : delete root.dataset.theme;
  filter();
  sortAll();
  maps.forEach(map => map.paint());
  charts.forEach(chart => chart.build());
  all(".stage:not([hidden])").forEach(stage => stage.redraw?.());
}

// Tables. What a cell is sorted by: its number where it begins with one, else its text; what has none comes last.
const TENTH = new Map([..."⁻⁰¹²³⁴⁵⁶⁷⁸⁹"].map((c, i) => [c, "-0123456789"[i]]));
const UNITS = { ms: 1e-3, s: 1, min: 60, "%": 0.01 };

function key(cell) {
  if (!cell) return null;
  if (cell.dataset.sort !== undefined) return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
  const text = (cell.querySelector(".main") || cell).textContent.trim();
  if (text.startsWith("> ") || text.startsWith("∞")) return Infinity;
  if (text === "" || "–·".includes(text)) return null;
  if (text === "none") return -Infinity;
  const plain = text.replace(/[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]/g, c => TENTH.get(c)).replace(/−/g, "-").replace(/×10/, "e");
  const found = plain.match(/^[<>≥ ]*(-?[\d,.]+(?:e-?\d+)?)\s*(ms|s|min|%)?/);
  return found && !Number.isNaN(Number(found[1].replace(/,/g, ""))) ? Number(found[1].replace(/,/g, "")) * (UNITS[found[2]] || 1) : text.toLowerCase();
}

function compare(a, b) {
  if (a === null || b === null) return 0;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

const sortable = () => all("main table:not(.lines)");

function makeSortable(table, index) {
  const body = table.tBodies[0];
  table.original = [...body.rows];
  all("thead th", table).forEach((head, column) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = state.sort.get(String(index)), next = now === `${column}.up` ? `${column}.down` : now === `${column}.down` ? null : `${column}.up`;
      next ? state.sort.set(String(index), next) : state.sort.delete(String(index));
      sortTable(table, index);
      remember();
    });
  });
}

function sortTable(table, index) {
  const [column, way] = (state.sort.get(String(index)) || "").split("."), sign = way === "down" ? -1 : 1;
  const heads = all("thead th", table);
  heads.forEach((head, i) => i === Number(column) && way ? head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
  if (!way || !heads[column]) return table.tBodies[0].append(...table.original);
  const keyed = table.original.map(row => [row, row.cells.length === heads.length ? key(row.cells[column]) : null]);
  keyed.sort(([, a], [, b]) => (a === null) - (b === null) || sign * compare(a, b));
  table.tBodies[0].append(...keyed.map(([row]) => row));
}

const sortAll = () => sortable().forEach(sortTable);

// A file that the page holds is handed out from here: the page may have been sent alone.
async function handOut(event) {
  const link = event.target.closest("a[download]"), name = link?.getAttribute("href");
  if (!link || !DATA.packed[name]) return;
  event.preventDefault();
  const type = name.endsWith("svg") ? "image/svg+xml" : "text/csv";
  const url = URL.createObjectURL(new Blob([await inflate(DATA.packed[name])], { type }));
  Object.assign(document.createElement("a"), { href: url, download: name.split("/").pop() }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function listen() {
  document.querySelector(".bar-of-filters").addEventListener("change", event => {
    const { name, value, checked } = event.target;
    if (name === "optimizer") checked ? state.without.delete(value) : state.without.add(value);
    else state[name] = value;
    remember();
    show();
  });
  all("[data-choose]").forEach(button => button.addEventListener("click", () => {
    const none = button.dataset.choose === "none";
    state.without = new Set(none ? STYLE.keys() : []);
    if (button.dataset.choose === "reset") {
      Object.assign(state, { problem: "", experiment: "", colour: "rate", theme: "", cell: "", at: "" });
      state.sort.clear();
    }
    remember();
    recall();
    show();
  }));
  document.addEventListener("click", handOut);
  document.addEventListener("click", event => {
    const target = event.target.closest("a[href^='#']");
    if (!target) return;
    event.preventDefault();
    state.at = target.getAttribute("href").slice(1);
    remember();
    go();
  });
  addEventListener("hashchange", () => { recall(); show(); replay(); go(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  // Paper is white: what is drawn in the colours of a dark page is drawn again.
  let before;
  addEventListener("beforeprint", () => { before = state.theme; state.theme = "light"; drawings.forEach(drawing => drawing.build()); show(); });
  addEventListener("afterprint", () => { state.theme = before; show(); });
}

function go() {
  const target = document.getElementById(state.at);
  target?.scrollIntoView();
  target?.setAttribute("tabindex", "-1");
  target?.focus({ preventScroll: true });
}

function replay() {
  const cut = state.cell.lastIndexOf(":"), map = maps.get(state.cell.slice(0, cut)), i = Number(state.cell.slice(cut + 1));
  if (map && i >= 0 && i < map.count) map.choose(i);
}

// Where the page cannot draw, it shows what readers without scripts see.
function fallBack(error) {
  console.warn(`the figures are still pictures, since this browser cannot draw them: ${error}`);
  all(".live").forEach(live => {
    const still = live.parentElement.querySelector("noscript");
    live.hidden = true;
    live.insertAdjacentHTML("afterend", still.textContent);
  });
}

(async function open() {
  recall();
  document.querySelector(".bar-of-filters").hidden = false;
  sortable().forEach(makeSortable);
  filter();
  sortAll();
  listen();
  try {
    openCharts();
    await openMaps();
    await openDrawings();
  } catch (error) {
    fallBack(error);
  }
  show();
  replay();
  if (state.at) go();
  root.dataset.ready = "";
})();
