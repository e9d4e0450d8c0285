// Region and basin maps: pixels on a canvas, outlines over them, a crosshair that reads them.
const maps = new Map();

class PixelMap {
  constructor(box, panel) {
    Object.assign(this, panel);
    this.box = box;
    this.figure = box.closest("figure");
    this.pixels = box.querySelector(".pixels");
    this.readout = this.figure.querySelector(".readout");
    this.chosen = -1;
  }

  async open() {
    this.values = await unpack(this.planes);
    this.grid = this.columns > 0;
    this.count = this.values.outcome.length;
    this.paint();
    this.outline();
    this.listen();
  }

  // Where the middle of a cell lies, in shares of the width and of the height, from the upper left corner.
  middle(i) {
    if (this.grid) return [(i % this.columns + 0.5) / this.columns, 1 - (Math.floor(i / this.columns) + 0.5) / this.rows];
    const [left, right, bottom, top] = this.extent;
    return [(this.values.start_0[i] - left) / (right - left), (top - this.values.start_1[i]) / (top - bottom)];
  }

  colour(i) {
    const outcome = OUTCOME_RGB[this.values.outcome[i]];
    if (state.colour === "outcome") return outcome;
    if (this.kind === "basins") return this.values.rgb.subarray(3 * i, 3 * i + 3);
    const rate = this.values.rate[i];
    if (Number.isNaN(rate)) return outcome;
    const place = Math.floor(128 * (rate / this.halfrange + 1));
    return RATE_RGB.subarray(3 * Math.min(255, Math.max(0, place))).subarray(0, 3);
  }

  paint() {
    this.grid ? this.paintGrid() : this.paintPoints();
    this.figure.querySelectorAll(".by-rate").forEach(entry => entry.hidden = state.colour === "outcome");
  }

  paintGrid() {
    const { columns, rows, pixels } = this;
    Object.assign(pixels, { width: columns, height: rows });
    const context = pixels.getContext("2d"), image = context.createImageData(columns, rows);
    for (let i = 0; i < this.count; i++) {
      const place = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + i % columns);
      image.data.set(this.colour(i), place);
      image.data[place + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  paintPoints() {
    const { pixels } = this, context = pixels.getContext("2d");
    pixels.classList.add("points");
    Object.assign(pixels, { width: 640, height: 640 });
    const radius = Math.min(16, Math.max(3, 100 / Math.sqrt(this.count)));
    Object.assign(context, { strokeStyle: "#444", lineWidth: 1.5 });
    for (let i = 0; i < this.count; i++) {
      const [x, y] = this.middle(i);
      context.fillStyle = `rgb(${this.colour(i).join(" ")})`;
      context.beginPath();
      context.arc(640 * x, 640 * y, radius, 0, 7);
      context.fill();
      context.stroke();
    }
  }

  // White lines where neighbours end differently: never colour alone.
  outline() {
    if (!this.grid) return;
    const { columns, rows } = this, { outcome, basin } = this.values, lines = [];
    const ends = basin ? basin.map((minimum, i) => 8 * minimum + outcome[i]) : outcome;
    const differ = (x, y, dx, dy) => ends[y * columns + x] !== ends[(y + dy) * columns + x + dx];
    for (let x = 0; x < columns - 1; x++) runs(rows, y => differ(x, y, 1, 0), (from, to) => lines.push(`M${x + 1} ${rows - from}V${rows - to}`));
    for (let y = 0; y < rows - 1; y++) runs(columns, x => differ(x, y, 0, 1), (from, to) => lines.push(`M${from} ${rows - y - 1}H${to}`));
    const edges = this.box.querySelector(".edges");
    edges.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
    edges.classList.toggle("crowded", lines.length > this.count / 8);
    all("path", edges).forEach(path => path.setAttribute("d", lines.join("")));
  }

  listen() {
    const { pixels } = this;
    pixels.addEventListener("pointermove", event => this.read(this.under(event)));
    pixels.addEventListener("pointerleave", () => this.chosen >= 0 ? this.read(this.chosen) : this.leave());
    pixels.addEventListener("click", event => this.choose(this.under(event)));
    pixels.addEventListener("keydown", event => this.key(event));
    pixels.addEventListener("focus", () => pixels.matches(":focus-visible") && this.read(this.here ?? this.first(), true));
  }

  under(event) {
    const box = this.pixels.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    if (this.grid) return within(1 - y, this.rows) * this.columns + within(x, this.columns);
    return this.nearest(i => { const [a, b] = this.middle(i); return (a - x) ** 2 + (b - y) ** 2; });
  }

  nearest(distance) {
    let best = -1, least = Infinity;
    for (let i = 0; i < this.count; i++) {
      const far = distance(i);
      if (far < least) [best, least] = [i, far];
    }
    return best;
  }

  first() {
    return this.grid ? Math.floor(this.rows / 2) * this.columns + Math.floor(this.columns / 2) : 0;
  }

  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const here = this.here ?? this.first();
    if (move) this.read(this.moved(here, ...move, event.shiftKey ? 10 : 1), true);
    else if (event.key === "Enter" || event.key === " ") this.choose(here);
    else if (event.key === "Escape") this.leave();
    else return;
    event.preventDefault();
  }

  moved(i, dx, dy, far) {
    if (this.grid) {
      const x = Math.min(this.columns - 1, Math.max(0, i % this.columns + far * dx));
      const y = Math.min(this.rows - 1, Math.max(0, Math.floor(i / this.columns) + far * dy));
      return y * this.columns + x;
    }
    // The nearest point in that direction, what lies aside counting double.
    const [x, y] = this.middle(i);
    const next = this.nearest(j => {
      const [a, b] = this.middle(j), along = (a - x) * dx - (b - y) * dy, aside = (a - x) * dy + (b - y) * dx;
      return along > 1e-9 ? along + 2 * Math.abs(aside) : Infinity;
    });
    return next < 0 ? i : next;
  }

  read(i, aloud = false) {
    this.here = i;
    this.readout.setAttribute("aria-live", aloud ? "polite" : "off");
    this.readout.textContent = `${this.optimizer}: ${this.kind === "basins" ? this.basinText(i) : this.regionText(i)}`;
    this.point(i);
  }

  leave() {
    this.here = undefined;
    this.box.querySelector(".hair").setAttribute("visibility", "hidden");
  }

  point(i) {
    const hair = this.box.querySelector(".hair"), [x, y] = this.middle(i).map(share => 100 * share);
    const [w, h] = this.grid ? [100 / this.columns, 100 / this.rows] : [3, 3];
    const put = (element, values) => Object.entries(values).forEach(([k, v]) => element.setAttribute(k, `${v}%`));
    put(hair.querySelector(".across"), { y1: y, y2: y });
    put(hair.querySelector(".up"), { x1: x, x2: x });
    all("rect", hair).forEach(rect => put(rect, { x: x - w / 2, y: y - h / 2, width: w, height: h }));
    hair.setAttribute("visibility", "visible");
  }

  // The value of an axis at a place of the map, in words; the start's place tells its coordinate or f there.
  value(axis, place) {
    const from = place * axis.stride, to = Math.min(from + axis.stride, axis.values.length);
    const value = number(axis.values[from + Math.floor((to - from - 1) / 2)]);
    const more = to - from > 1 ? ` (middle of ${to - from})` : "";
    if (axis.name !== "start") return `${words(axis.name)} ${value}${more}`;
    return `start ${this.starts[from]} (${axis.label === "start x₀" ? "x₀" : "f"} ${value})${more}`;
  }

  regionText(i) {
    const v = this.values, outcome = DATA.outcomes[v.outcome[i]];
    const where = `${this.value(this.x, i % this.columns)}, ${this.value(this.y, Math.floor(i / this.columns))}`;
    if (!outcome) return `${where}: no descents.`;
    const steps = outcome === "converged" ? `settled after ${number(v.steps[i], 6)} steps` : `${number(v.steps[i], 6)} steps`;
    const rate = Number.isNaN(v.rate[i]) ? "no rate" : `rate ${number(v.rate[i])}`;
    const many = v.descents[i] > 1 ? ` (${v.agree[i].toLocaleString("en")} of ${v.descents[i].toLocaleString("en")} descents, ${percent(v.agree[i] / v.descents[i])})` : "";
    return `${where}: ${outcome}${many}, ${steps}, ${rate}${this.theoryText(i)}.`;
  }

  theoryText(i) {
    const { boundary, theory } = this.values, told = [];
    if (!Number.isNaN(theory[i])) told.push(`rate ${number(theory[i])}`);
    if (!Number.isNaN(boundary[i])) told.push(`${this.theory} ${number(boundary[i])}`);
    return told.length ? `; theory: ${told.join(", ")}` : "";
  }

  basinText(i) {
    const v = this.values, point = name => `(${number(v[`${name}_0`][i], 4)}, ${number(v[`${name}_1`][i], 4)})`;
    const steps = v.steps[i] ? ` after ${number(v.steps[i], 6)} steps` : "";
    const where = v.basin[i] ? ` in minimum ${v.basin[i] - 1}` : "";
    const end = Number.isNaN(v.end_0[i]) ? "" : `, ends at ${point("end")}`;
    return `start ${point("start")}: ${DATA.outcomes[v.outcome[i]]}${where}${steps}${end}.`;
  }

  choose(i) {
    this.chosen = i;
    this.read(i, true);
    state.cell = `${this.box.id}:${i}`;
    remember();
    play(this, i);
  }
}

// The stretches of 0 ... count - 1 on which something holds, each from its first place to behind its last.
function runs(count, holds, take) {
  for (let from = 0, i = 0; i <= count; i++) {
    if (i < count && holds(i)) continue;
    if (from < i) take(from, i);
    from = i + 1;
  }
}

async function openMaps() {
  for (const box of all(".panel.map")) {
    const map = new PixelMap(box, DATA.panels[box.id]);
    await map.open();
    maps.set(box.id, map);
  }
}
