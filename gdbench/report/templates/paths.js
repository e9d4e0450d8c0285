// The stage under a figure's maps: the stored path of the chosen descent, drawn on the contours of its problem.
const readPaths = new Map(), readGrounds = new Map();

async function pathsOf(cell) {
  const told = DATA.paths[cell];
  if (told && !readPaths.has(cell)) readPaths.set(cell, { ...told, ...await unpack(told.planes) });
  return readPaths.get(cell);
}

async function groundOf(name) {
  const told = DATA.grounds[name];
  if (told && !readGrounds.has(name)) readGrounds.set(name, told.planes ? { ...told, ...await unpack(told.planes) } : told);
  return readGrounds.get(name);
}

const placeOf = (values, value) => values.reduce((best, v, i) => Math.abs(v - value) < Math.abs(values[best] - value) ? i : best, 0);
const same = (a, b) => Math.abs(a - b) <= 1e-6 * Math.abs(b);

// How far the k-th stored path is from a cell of a map: 0 where it is a descent of that very cell. What a map holds
// fixed counts before what it shows, and along its axes a whole axis counts 1.
function distance(map, paths, k, i) {
  const value = name => paths.axes[name][paths[`axis_${name}`][k]];
  let held = 0;
  for (const [name, at] of Object.entries(map.at)) {
    if (!paths.axes[name] || same(value(name), at)) continue;
    held += 1 + Math.abs(value(name) > 0 && at > 0 ? Math.log(value(name) / at) : value(name) - at);
  }
  return 100 * held + Math.hypot(...map.kind === "basins" ? startAway(map, paths, k, i) : cellAway(map, value, paths, k, i));
}

function startAway(map, paths, k, i) {
  const [left, right, bottom, top] = map.extent, { start_0, start_1 } = map.values;
  return [(paths.first[2 * k] - start_0[i]) / (right - left), (paths.first[2 * k + 1] - start_1[i]) / (top - bottom)];
}

function cellAway(map, value, paths, k, i) {
  const along = axis => axis.name === "start" ? map.starts.indexOf(paths.start[k]) : placeOf(axis.values, value(axis.name));
  const away = (axis, pixel, count) => (Math.floor(along(axis) / axis.stride) - pixel) / count;
  return [away(map.x, i % map.columns, map.columns), away(map.y, Math.floor(i / map.columns), map.rows)];
}

function settingText(paths, k) {
  const axes = Object.entries(paths.axes).map(([name, values]) => `${words(name)} ${number(values[paths[`axis_${name}`][k]])}`);
  const seed = paths.seed.some(other => other !== paths.seed[0]) ? [`seed ${paths.seed[k]}`] : [];
  return [...axes, `start ${paths.start[k]}`, ...seed].join(", ");
}

// All the digits of a float32; those of a float64 that a reader compares.
const exact = x => String(Number(x.toPrecision(9))).replace("-", "−");

function pathText(paths, k, exactly) {
  const { dim } = paths, outcome = DATA.outcomes[paths.outcome[k]], length = paths.length[k];
  const end = [...paths.end.subarray(dim * k, dim * (k + 1))].map(exact).join(", ");
  const intro = exactly ? "" : "No path of that descent is stored; the nearest stored one is ";
  const settled = outcome === "converged" ? `, settled after ${number(paths.settled[k], 6)} steps` : "";
  const steps = `${number(paths.executed[k], 6)} steps`;
  const where = paths.whole[k] ? `It ends at (${end}) after ${steps}`
    : `It left after ${steps}; the last stored point before is (${end}) at step ${number(paths.steps[length - 1], 6)}`;
  return `${intro}${paths.optimizer}: ${settingText(paths, k)}. ${where}: ${outcome}${settled}.`;
}

let playing = 0;

async function play(map, i) {
  const stage = map.figure.querySelector(".stage"), told = stage.querySelector(".told");
  const paths = await pathsOf(map.cell);
  stage.hidden = false;
  stage.classList.toggle("without", !paths);
  if (!paths) {
    told.textContent = stage.dataset.ratio ? "This page is full: the paths of these descents found no room in it."
      : "No paths to draw are stored for these descents. A suite stores some with “paths = 400”, of one and two dimensions.";
    return;
  }
  let k = 0, least = Infinity;
  for (let j = 0; j < paths.count; j++) {
    const far = distance(map, paths, j, i);
    if (far < least) [k, least] = [j, far];
  }
  told.textContent = pathText(paths, k, least < 1e-9);
  const ground = paths.on_ground[k] ? await groundOf(paths.ground) : null;
  const again = () => run(stage.querySelector(".course"), paths, k, ground);
  stage.querySelector(".again").onclick = again;
  stage.querySelector(".close").onclick = () => { playing++; stage.hidden = true; state.cell = ""; remember(); map.pixels.focus(); };
  stage.redraw = () => draw(stage.querySelector(".course"), paths, k, ground, paths.length[k]);
  again();
}

function run(canvas, paths, k, ground) {
  const mine = ++playing, length = paths.length[k];
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return draw(canvas, paths, k, ground, length);
  const begin = performance.now();
  (function frame(now) {
    if (mine !== playing) return;
    const part = Math.min(1, Math.max(0, now - begin) / (400 + 30 * length));
    draw(canvas, paths, k, ground, Math.max(1, Math.ceil(part * length)));
    if (part < 1) requestAnimationFrame(frame);
  })(begin);
}

// The points of a path in the coordinates of its problem; the last one is the exact end.
function pointsOf(paths, k) {
  const { dim, view } = paths, each = paths.steps.length, length = paths.length[k], points = [];
  for (let s = 0; s < length; s++)
    points.push(view.map(([low, high], d) => low - (high - low) + 3 * (high - low) * paths.points[(k * each + s) * dim + d] / 65535));
  points[length - 1] = view.map((_, d) => paths.end[dim * k + d]);
  return points;
}

function draw(canvas, paths, k, ground, count) {
  const room = fit(canvas);
  if (!room) return;
  const { context, width, height } = room, flat = paths.dim === 1, [across] = paths.view;
  const [bottom, top] = flat ? (ground ? ground.range : [0, 1]) : paths.view[1];
  const at = (x, y) => [width * (x - across[0]) / (across[1] - across[0]), height * (top - y) / (top - bottom)];
  const put = point => at(point[0], flat ? (ground ? curveAt(ground, point[0]) : 0.5) : point[1]);
  context.fillStyle = dark() ? "#2d343b" : "#fff";
  context.fillRect(0, 0, width, height);
  if (ground) flat ? drawCurve(context, ground, at) : drawContours(context, ground, at);
  for (const point of paths.minimizers) mark(context, put(point), 5, "#fff", "#000", true);
  const points = pointsOf(paths, k).slice(0, count).map(put);
  const line = new Path2D();
  points.forEach(([x, y], s) => s ? line.lineTo(x, y) : line.moveTo(x, y));
  const { colour } = STYLE.get(paths.optimizer);
  for (const [style, wide] of [["#fff", 5.5], ["#222", 3.6], [colour, 2]]) {
    Object.assign(context, { strokeStyle: style, lineWidth: wide, lineJoin: "round" });
    context.stroke(line);
  }
  for (const point of points) mark(context, point, 2.2, colour, "#222");
  mark(context, points[0], 6.5, "transparent", "#000");
  if (count >= paths.length[k]) mark(context, points[count - 1], 5.5, colour, "#000");
}

function mark(context, [x, y], radius, fill, stroke, diamond = false) {
  Object.assign(context, { fillStyle: fill, strokeStyle: stroke, lineWidth: 1.2 });
  context.beginPath();
  if (diamond) [[0, -1], [1, 0], [0, 1], [-1, 0]].forEach(([a, b]) => context.lineTo(x + a * radius, y + b * radius));
  else context.arc(x, y, radius, 0, 7);
  context.closePath();
  context.fill();
  context.stroke();
}

function curveAt({ x, f }, value) {
  const place = Math.min(x.length - 1, Math.max(0, (value - x[0]) / (x[x.length - 1] - x[0]) * (x.length - 1)));
  const low = Math.floor(place), high = Math.ceil(place);
  return f[low] + (place - low) * (f[high] - f[low]);
}

function drawCurve(context, { x, f }, at) {
  context.beginPath();
  x.forEach((value, i) => context.lineTo(...at(value, f[i])));
  Object.assign(context, { strokeStyle: "#999", lineWidth: 2.2 });
  context.stroke();
}

// Bands of equal level, between the grid's points by bilinear interpolation; a canvas of its own keeps them.
function drawContours(context, ground, at) {
  const [[left, right], [bottom, top]] = ground.box, [x, y] = at(left, top), [x1, y1] = at(right, bottom);
  const width = Math.ceil(2 * (x1 - x)), height = Math.ceil(2 * (y1 - y));
  if (!ground.canvas || ground.canvas.width !== width || ground.canvas.height !== height)
    ground.canvas = contourCanvas(ground, width, height);
  context.drawImage(ground.canvas, x, y, x1 - x, y1 - y);
}

function contourCanvas({ columns, rows, level, levels }, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const octets = new Uint32Array(image.data.buffer), bands = new Uint8Array(width * height);
  for (let j = 0; j < height; j++) {
    const y = (1 - (j + 0.5) / height) * (rows - 1), r = Math.min(rows - 2, Math.floor(y)), b = y - r;
    for (let i = 0; i < width; i++) {
      const x = (i + 0.5) / width * (columns - 1), c = Math.min(columns - 2, Math.floor(x)), a = x - c, p = r * columns + c;
      const low = (1 - a) * level[p] + a * level[p + 1], high = (1 - a) * level[p + columns] + a * level[p + columns + 1];
      const band = bands[j * width + i] = Math.min(levels - 1, Math.floor(levels * ((1 - b) * low + b * high) / 65536));
      const edge = (i && bands[j * width + i - 1] !== band) || (j && bands[(j - 1) * width + i] !== band);
      const grey = edge ? 255 : Math.round(250 - 80 * band / levels);
      octets[j * width + i] = 0xff000000 | grey * 0x010101;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
