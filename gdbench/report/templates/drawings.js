// Figures drawn from their own SVG, each in a shadow tree: the ids of one mean nothing in another.
const drawings = new Map();

class Drawing {
  constructor(host, text) {
    Object.assign(this, { host, text, parts: [] });
    const [, width, height] = text.match(/viewBox="0 0 (\S+) (\S+)"/);
    host.style.aspectRatio = `${width} / ${height}`;
  }

  // Built when it comes near the window, or is printed: a page of them at once would take a second.
  build() {
    if (this.host.shadowRoot) return;
    const svg = document.adoptNode(new DOMParser().parseFromString(this.text, "image/svg+xml").documentElement);
    svg.style.cssText = "display: block; width: 100%; height: auto";
    // Whose a part is: of-3-5_2.17 belongs to optimizers 3 and 5 and problem 2 (see figures/base.py).
    this.parts = all("[id^=of]", svg).map(part => {
      const [, optimizers, problem] = part.id.match(/^of([-\d]*)_?(\d*)\./);
      return { part, optimizers: optimizers.split("-").slice(1).map(i => DATA.optimizers[i].label), problem: DATA.problems[problem] };
    });
    this.host.attachShadow({ mode: "open" }).append(svg);
    this.filter();
  }

  // What is hidden keeps its place. What is no one's stays in a panel that is hidden: the name of an axis for all.
  filter() {
    for (const { part, optimizers, problem } of this.parts) {
      const gone = optimizers.some(name => state.without.has(name)) || (problem && state.problem && problem !== state.problem);
      part.style.visibility = gone ? "hidden" : optimizers.length || problem ? "" : "visible";
    }
  }
}

async function openDrawings() {
  const near = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({ target }) => {
    drawings.get(target).build();
    near.unobserve(target);
  }), { rootMargin: "100%" });
  for (const host of all(".drawing")) {
    drawings.set(host, new Drawing(host, new TextDecoder().decode(await inflate(DATA.packed[host.dataset.svg]))));
    near.observe(host);
  }
}
