// What the other scripts share: the data of the page, unpacking, numbers in words, colours.
const DATA = JSON.parse(document.getElementById("data").textContent);
const STYLE = new Map(DATA.optimizers.map(style => [style.label, style]));

const state = { without: new Set(), problem: "", experiment: "", colour: "rate", theme: "", sort: new Map(), cell: "", at: "" };

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
const OUTCOME_RGB = [...DATA.colours.map(rgb), [255, 255, 255]];
const RATE_RGB = bytes(DATA.rates);

async function inflate(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const KINDS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };

// The arrays that planes.py packed, by name: octet planes of each, one after the other, in the order of the fields.
async function unpack(planes) {
  const octets = await inflate(planes.deflated), found = {};
  let offset = 0;
  for (const [name, kind, count] of planes.fields) {
    const half = kind === "bf", Kind = half ? Float32Array : KINDS[kind], width = Kind.BYTES_PER_ELEMENT;
    const values = new Uint8Array(count * width), first = half ? 2 : 0;
    for (let plane = first; plane < width; plane++)
      for (let i = 0; i < count; i++) values[i * width + plane] = octets[offset++];
    found[name] = new Kind(values.buffer);
  }
  return found;
}

// A number as the rest of the page writes it: 0.012, 1,230, 4.5×10⁻⁷, ∞.
function number(value, digits = 3) {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  let [mantissa, power] = value.toExponential(digits - 1).split("e").map(Number), text;
  if (power > -4 && power < 6)
    text = Number(`${mantissa}e${power}`).toLocaleString("en", { maximumFractionDigits: Math.max(0, digits - 1 - power) });
  else text = `${mantissa}×10${String(power).replace(/./g, c => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)])}`;
  return text.replace(/-/g, "−");
}

const percent = share => (share > 0 && share < 0.005 ? "<1%" : share >= 0.995 && share < 1 ? ">99%" : `${Math.round(100 * share)}%`);
const words = name => name.replace(/_/g, " ");
const dark = () => (state.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A canvas as fine as the screen, in CSS pixels; null while it is not shown.
function fit(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const fine = Math.max(devicePixelRatio || 1, 1);
  canvas.width = Math.round(width * fine);
  canvas.height = Math.round(height * fine);
  const context = canvas.getContext("2d");
  context.scale(fine, fine);
  return { context, width, height };
}
