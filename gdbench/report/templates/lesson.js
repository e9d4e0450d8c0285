// The two parts that a reader can move. Every number is one that the run stored; nothing is computed but places.
const SVG = "http://www.w3.org/2000/svg";

function make(parent, name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return parent.appendChild(made);
}

// Round places between two ends, about as many as asked for.
function ticksOf([low, high], most) {
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = [1, 2, 5, 10].map(k => k * power).find(wide => (high - low) / wide <= most), places = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) places.push(k * step);
  return places;
}

const decadesOf = ([low, high], most) => ticksOf([Math.log10(low), Math.log10(high)], most).filter(Number.isInteger).map(power => 10 ** power);

// The axes of a plot, drawn anew at its present size; what is drawn into `area` is cut at its edges.
function frame(svg, { x, y, labels, log = false }) {
  const { width, height } = svg.getBoundingClientRect(), left = 54, top = 8, wide = width - left - 12, high = height - top - 40;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const scale = log ? Math.log10 : value => value, [bottom, upper] = y.map(scale);
  const place = (a, b) => [wide * (a - x[0]) / (x[1] - x[0]), high * (upper - scale(b)) / (upper - bottom)];
  for (const value of ticksOf(x, Math.max(3, Math.floor(wide / 60)))) {
    const [across] = place(value, y[0]);
    make(svg, "line", { class: "grid", x1: left + across, x2: left + across, y1: top, y2: top + high });
    make(svg, "text", { x: left + across, y: top + high + 15, "text-anchor": "middle" }, number(value));
  }
  for (const value of log ? decadesOf(y, 6) : ticksOf(y, 6)) {
    const down = place(x[0], value)[1];
    make(svg, "line", { class: "grid", x1: left, x2: left + wide, y1: top + down, y2: top + down });
    make(svg, "text", { x: left - 6, y: top + down + 4, "text-anchor": "end" }, number(value).replace(/^1×/, ""));
  }
  make(svg, "text", { x: left + wide / 2, y: height - 6, "text-anchor": "middle" }, labels[0]);
  make(svg, "text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${top + high / 2}) rotate(-90)` }, labels[1]);
  make(svg, "rect", { class: "edge", x: left, y: top, width: wide, height: high });
  return { place, area: make(svg, "svg", { x: left, y: top, width: wide, height: high }) };
}

const pathOf = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");

function rangeOf(values, margin = 0.06) {
  const finite = [...values].filter(Number.isFinite), low = Math.min(...finite), high = Math.max(...finite);
  return [low - margin * (high - low || 1), high + margin * (high - low || 1)];
}

// A number in the text: as the page writes it, and with all its digits as the element's value.
function told(value) {
  const element = document.createElement("data");
  element.value = String(value);
  element.textContent = number(value, 6);
  return element;
}

// Text with numbers in it: say`x = ${1}`.
const say = (texts, ...values) => texts.flatMap((text, i) => i < values.length ? [text, typeof values[i] === "number" ? told(values[i]) : values[i]] : [text]);

function drawCurve({ area, place }, { x, f }) {
  make(area, "path", { class: "curve", d: pathOf([...x].map((value, i) => place(value, f[i])).filter(point => point.every(Number.isFinite))) });
}

// Beyond the ends of the box, where no value is stored, a line is drawn on along the last slope: it leaves the plot there.
function curveAt({ x, f, g }, value) {
  const last = x.length - 1, share = (value - x[0]) / (x[last] - x[0]) * last;
  if (share <= 0) return f[0] + g[0] * (value - x[0]);
  if (share >= last) return f[last] + g[last] * (value - x[last]);
  const k = Math.floor(share);
  return f[k] + (share - k) * (f[k + 1] - f[k]);
}

class Tangent {
  places = ({ x }) => x.length;
  first = ({ x }) => Math.round(0.2 * (x.length - 1));

  async open(entry) {
    return { ...entry, ...await unpack(entry.planes) };
  }

  text({ x, f, g }, place) {
    const slope = g[place];
    const way = slope < 0 ? "f falls to the right: downhill is to the right." : slope > 0 ? "f rises to the right: downhill is to the left." : "It is level here.";
    return say`x = ${x[place]}, f(x) = ${f[place]}, slope f′(x) = ${slope}. ${way}`;
  }

  draw([svg], { x, f, g }, place) {
    const plot = frame(svg, { x: [x[0], x[x.length - 1]], y: rangeOf(f), labels: ["x", "f(x)"] }), at = (a, b) => plot.place(a, b);
    drawCurve(plot, { x, f });
    const [here, ends] = [at(x[place], f[place]), [x[0], x[x.length - 1]].map(end => at(end, f[place] + g[place] * (end - x[place])))];
    make(plot.area, "line", { class: "tangent", x1: ends[0][0], y1: ends[0][1], x2: ends[1][0], y2: ends[1][1] });
    const way = -Math.sign(g[place]), floor = Number(plot.area.getAttribute("height")) - 9;
    if (way) make(plot.area, "path", { class: "arrow", d: `M${here[0]} ${floor}h${32 * way}m${-7 * way} -5l${7 * way} 5l${-7 * way} 5` });
    make(plot.area, "circle", { class: "dot", cx: here[0], cy: here[1], r: 6 });
  }
}

class Descent {
  places = ({ rate }) => rate.length;
  first = ({ rate }) => Math.round(0.45 * (rate.length - 1));

  async open(entry) {
    return { ...entry, curve: await unpack(entry.curve), ...await unpack(entry.planes) };
  }

  text(entry, place, start) {
    const { rate, outcome, settled, executed, end, final, overshoots, edge } = entry, k = start * rate.length + place;
    const steps = Number.isNaN(settled[k]) ? say`${executed[k]} steps` : say`${executed[k]} steps, settled after ${settled[k]}`;
    const over = Number.isNaN(overshoots[k]) ? [] : say`, ${overshoots[k]} overshoots`;
    const bold = document.createElement("b");
    bold.textContent = DATA.outcomes[outcome[k]];
    const theory = edge === null ? [] : say` In theory rates below ${edge} converge.`;
    return [...say`Learning rate ${rate[place]}: `, bold, ...say` (`, ...steps, ...over, ...say`). It ends at x = ${end[k]}, where f(x) = ${final[k]}.`, ...theory];
  }

  draw([left, right], entry, place, start) {
    const { curve, points, rate, outcome } = entry, each = entry.path_steps.length, k = start * rate.length + place;
    const plot = frame(left, { x: [curve.x[0], curve.x[curve.x.length - 1]], y: rangeOf(curve.f), labels: ["x", "f(x)"] });
    drawCurve(plot, curve);
    const all = [...points.subarray(k * each, (k + 1) * each)], cut = all.findIndex(value => !(Math.abs(value) < 1e6));
    const visited = (cut < 0 ? all : all.slice(0, cut)).map(value => plot.place(value, curveAt(curve, value)));
    make(plot.area, "path", { class: "line", d: pathOf(visited) });
    for (const [x, y] of visited) make(plot.area, "circle", { class: "dot", cx: x, cy: y, r: 3 });
    make(plot.area, "circle", { class: "ring", cx: visited[0][0], cy: visited[0][1], r: 8 });
    const [x, y] = visited[visited.length - 1];
    make(plot.area, "circle", { class: "last", cx: x, cy: y, r: 6, fill: DATA.colours[outcome[k]] });
    this.drawTrace(right, entry, k);
  }

  drawTrace(svg, { trace, trace_steps: steps, steps: most, log, value }, k) {
    svg.toggleAttribute("hidden", !trace);
    if (!trace) return;
    const own = [...trace.subarray(k * steps.length, (k + 1) * steps.length)];
    // Gaps have the same scale for every rate, or what the slider changes would not be seen.
    const y = log ? [1e-12, 1e6] : rangeOf(own);
    const plot = frame(svg, { x: [0, most], y, log, labels: ["step", value] });
    const known = own.findIndex(value => !Number.isFinite(value)), shown = known < 0 ? own : own.slice(0, known);
    const line = shown.map((gap, i) => plot.place(steps[i], log ? Math.min(1e9, Math.max(gap, 1e-13)) : gap));
    make(plot.area, "path", { class: "line", d: pathOf(line) });
    for (const [x, y] of line) make(plot.area, "circle", { class: "dot", cx: x, cy: y, r: 3 });
  }
}

async function begin(box) {
  const { kind, functions } = DATA.parts[box.dataset.part], part = kind === "tangent" ? new Tangent() : new Descent();
  const control = name => box.querySelector(`[name=${name}]`), plots = all(".plot", box), output = box.querySelector("output");
  const choice = control("function"), start = control("start"), place = control("place");
  let entry;
  // Until it is laid out a plot has no size; the observer calls again once it has.
  const redraw = () => plots[0].clientWidth && entry && part.draw(plots, entry, Number(place.value), start ? Number(start.value) : 0);
  const show = () => {
    const words = part.text(entry, Number(place.value), start ? Number(start.value) : 0);
    output.replaceChildren(...words);
    place.setAttribute("aria-valuetext", output.querySelector("data").textContent);
    redraw();
  };
  const choose = async () => {
    entry = await part.open(functions[choice.value]);
    start?.replaceChildren(...entry.starts.map((name, i) => new Option(name, i)));
    place.max = part.places(entry) - 1;
    place.value = part.first(entry);
    show();
  };
  await choose();
  choice.addEventListener("change", choose);
  start?.addEventListener("change", show);
  place.addEventListener("input", show);
  new ResizeObserver(redraw).observe(plots[0]);
}

Promise.all(all("[data-part]").map(begin)).then(() => { document.documentElement.dataset.ready = ""; });
