// Figures 5 and 8 as uPlot charts; a table under each says the lines' values at the cursor.
const charts = new Map();
const stepped = uPlot.paths.stepped({ align: 1 });

const infinite = values => values.map(value => value === null ? Infinity : value);

class Chart {
  constructor(box, panel) {
    Object.assign(this, panel);
    this.box = box;
    this.draw = box.querySelector(".draw");
    this.lines = panel.lines.map(line => ({ ...line, low: infinite(line.low), median: infinite(line.median), high: infinite(line.high) }));
    this.strip = this.lines.some(line => line.failed);
    this.draw.addEventListener("keydown", event => this.key(event));
    this.build();
  }

  // Those of the lines that the filter lets through, drawn anew: it takes a few milliseconds.
  build() {
    this.plot?.destroy();
    this.shown = this.lines.filter(line => !state.without.has(line.optimizer));
    if (!this.shown.length || !this.draw.clientWidth) return void (this.plot = null);
    const [bottom, top] = this.y.range, beyond = top > 0 ? top * 1e3 : top + 1e3 * (top - bottom);
    const cut = values => values.map(value => Math.min(Math.max(value, bottom), beyond));
    const tables = this.shown.map(line => [line.x, cut(line.low), cut(line.median), cut(line.high)]);
    this.plot = new uPlot(this.options(), uPlot.join(tables), this.draw);
    this.tell(null);
  }

  options() {
    const grid = { stroke: ink("--line"), width: 1 }, axis = { stroke: ink("--soft"), grid, ticks: grid, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 18, labelGap: 2 };
    const scale = { log: { distr: 3, log: 10 }, symlog: { distr: 4, asinh: this.y.threshold } }[this.y.scale];
    const strip = this.strip ? 9 * this.shown.length : 0;
    return {
      width: this.draw.clientWidth, height: 280 + strip, legend: { show: false }, padding: [10 + strip, 14, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
      scales: { x: { time: false, distr: 3, log: 10, range: () => this.x.range }, y: { ...scale, range: () => this.y.range } },
      axes: [
        { ...axis, ...ticksOf(this.x.range, true), label: this.x.label, size: 28 },
        { ...axis, ...ticksOf(this.y.range, this.y.scale === "log"), label: this.y.label, size: 54 },
      ],
      series: [{}, ...this.shown.flatMap(line => this.series(line))],
      bands: this.shown.map((line, i) => ({ series: [3 * i + 3, 3 * i + 1], fill: shade(line.optimizer, 0.16) })),
      hooks: { draw: [plot => this.marks(plot)], setCursor: [plot => this.tell(plot.cursor.idx)] },
    };
  }

  series({ optimizer }) {
    const style = STYLE.get(optimizer), plain = { points: { show: false }, spanGaps: true, ...this.stepped && { paths: stepped } };
    const edge = { ...plain, stroke: "transparent", width: 0 };
    return [edge, { ...plain, stroke: shade(optimizer, 1), width: 2, dash: style.dash.map(part => 2 * part) }, edge];
  }

  // The tolerance as a dotted line.
  marks(plot) {
    const { ctx, bbox, valToPos } = plot, fine = devicePixelRatio || 1;
    ctx.save();
    if (this.tolerance) {
      const y = valToPos(this.tolerance, "y", true);
      Object.assign(ctx, { strokeStyle: ink("--soft"), lineWidth: fine });
      ctx.setLineDash([2 * fine, 3 * fine]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    if (this.strip) this.shown.forEach((line, i) => this.stripe(plot, line, bbox.top - (9 * (this.shown.length - i) + 2) * fine, fine));
    ctx.restore();
  }

  // Above the plot, for each line: a tint where descents diverged (the share as opacity), a bar over the usable rates.
  stripe({ ctx, valToPos }, line, y, fine) {
    const places = line.x.map(rate => valToPos(rate, "x", true)), last = places.length - 1;
    line.failed.forEach((share, k) => {
      const from = (places[Math.max(0, k - 1)] + places[k]) / 2, to = (places[k] + places[Math.min(last, k + 1)]) / 2;
      ctx.fillStyle = shade(line.optimizer, 0.75 * share);
      ctx.fillRect(from, y, to - from, 8 * fine);
    });
    if (!line.usable) return;
    const [from, to] = line.usable.map(rate => valToPos(rate, "x", true));
    ctx.fillStyle = shade(line.optimizer, 1);
    ctx.fillRect(from - 2 * fine, y + 2 * fine, to - from + 4 * fine, 4 * fine);
  }

  tell(place) {
    const x = place == null || !this.plot ? null : this.plot.data[0][place];
    const plain = this.stepped ? "the end of each line" : "the lowest point of each line";
    this.box.querySelector(".at").textContent = x === null ? plain : `${this.x.label} ${number(x)}`;
    all("tbody tr", this.box).forEach((row, i) => {
      const line = this.lines[i], k = x === null ? this.rest(line) : this.known(line, x);
      const told = k < 0 ? "–" : `${number(line.median[k])} (${number(line.low[k])} – ${number(line.high[k])})`;
      row.querySelector(".value").textContent = told;
      if (line.failed) row.querySelector(".failed-share").textContent = k < 0 ? "–" : percent(line.failed[k]);
    });
  }

  // What is told of a line while nothing is pointed at.
  rest(line) {
    return this.stepped ? line.x.length - 1 : placeOf(line.median, Math.min(...line.median));
  }

  // The last point of a line at or before x; where lines are no steps, that point itself or none.
  known(line, x) {
    const k = line.x.findLastIndex(value => value <= x * (1 + 1e-9));
    return this.stepped || (k >= 0 && Math.abs(line.x[k] / x - 1) < 1e-6) ? k : -1;
  }

  key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!this.plot || !move) return;
    const xs = this.plot.data[0], last = xs.length - 1, here = this.plot.cursor.idx ?? Math.floor(last / 2);
    const next = Math.min(last, Math.max(0, here + move * (event.shiftKey ? 10 : 1)));
    this.plot.setCursor({ left: this.plot.valToPos(xs[next], "x"), top: 10 });
    event.preventDefault();
  }
}

// Decades, thinned to about seven; within two decades the steps between them too.
function ticksOf([low, high], log) {
  if (!log) return { values: (plot, splits) => splits.map(value => number(value)) };
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9), splits = [];
  const every = Math.max(1, Math.ceil((last - first) / 7));
  if (last - first >= 2) for (let power = first; power <= last; power += every) splits.push(Number(`1e${power}`));
  else for (let power = first - 1; power <= last; power++) for (const digit of [1, 2, 5]) splits.push(Number(`${digit}e${power}`));
  const inside = splits.filter(value => value >= low * 0.999 && value <= high * 1.001);
  return { splits: () => inside, filter: (plot, values) => values, values: (plot, values) => values.map(value => number(value).replace(/^1×/, "")) };
}

// An optimizer's colour, lightened on a dark page.
function shade(optimizer, opacity) {
  const lift = parseFloat(ink("--lift")) / 100;
  const mixed = rgb(STYLE.get(optimizer).colour).map(part => Math.round(part + lift * (255 - part)));
  return `rgb(${mixed.join(" ")} / ${opacity})`;
}

function openCharts() {
  for (const box of all(".panel.chart")) {
    const chart = new Chart(box, DATA.panels[box.id]);
    charts.set(box.id, chart);
    let width = chart.draw.clientWidth;
    new ResizeObserver(() => {
      if (chart.draw.clientWidth === width) return;
      width = chart.draw.clientWidth;
      chart.build();
    }).observe(chart.draw);
  }
}
