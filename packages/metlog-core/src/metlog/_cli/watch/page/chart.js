// SPDX-License-Identifier: MPL-2.0
// Charts of SVG: bars for what came, lines for how long it took.
//
// A layer is {name, label, points, kind}: `kind` is "bars" (they stack) or "line",
// `name` its class in watch.css. A frame is {begin, step, points} of the whole page.

import * as format from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 100;

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** A dotted name as nodes: where it has no room it breaks behind a dot or an underscore,
 * not in a word. */
export function breakable(name) {
  const [first, ...others] = String(name).split(/(?<=[._])/);
  return others.reduce((nodes, part) => [...nodes, element("wbr"), part], [first]);
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A chart in a figure, which is drawn anew with every `show`. */
export class Chart {
  constructor(figure, title, unit = format.number) {
    this.title = title;
    this.unit = unit;
    this.svg = canvas({role: "img"});
    this.cursor = shape("line", {class: "cursor", y1: 0, y2: HEIGHT});
    this.legend = element("ul", {class: "legend"});
    this.most = element("span", {class: "most", "aria-hidden": "true"});
    this.begin = element("span");
    this.reading = element("p", {class: "reading"});
    this.rows = element("tbody");
    this.head = element("tr");
    this.details = element(
      "details",
      {},
      element("summary", {}, `${title} as a table`),
      element(
        "div",
        {class: "scroll", tabindex: "0", role: "region", "aria-label": `${title} as a table`},
        element("table", {}, element("thead", {}, this.head), this.rows),
      ),
    );
    figure.replaceChildren(
      element("figcaption", {}, element("span", {}, title), this.legend),
      element("div", {class: "plot"}, this.svg, this.most),
      element("div", {class: "axis", "aria-hidden": "true"}, this.begin, element("span", {}, "now")),
      this.reading,
      this.details,
    );
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.details.addEventListener("toggle", () => this.tell());
  }

  show(frame, layers) {
    this.frame = frame;
    this.layers = layers;
    const most = draw(this.svg, frame.points, layers);
    this.svg.append(this.cursor);
    this.svg.setAttribute("aria-label", this.summary());
    this.most.textContent = most ? this.unit(most) : "";
    this.begin.textContent = format.time(frame.begin);
    this.legend.replaceChildren(
      ...layers.map((layer) => element("li", {class: `is-${layer.name}`}, layer.label)),
    );
    this.point(this.at == null ? null : undefined);
    this.tell();
  }

  summary() {
    const said = this.layers.map((layer) => layer.label).join(", ");
    return `${this.title} since ${format.time(this.frame.begin)}: ${said || "nothing"}`;
  }

  /** Where the pointer is, the moment and its values are read out below. */
  point(event) {
    if (event === null) {
      this.at = null;
      this.cursor.setAttribute("visibility", "hidden");
      this.reading.textContent = "";
      return;
    }
    if (event) {
      const box = this.svg.getBoundingClientRect();
      this.at = (event.clientX - box.left) / box.width;
    }
    const step = Math.min(Math.floor(this.at * this.frame.points), this.frame.points - 1);
    const x = ((step + 0.5) / this.frame.points) * WIDTH;
    this.cursor.setAttribute("visibility", "visible");
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    const values = this.layers.map(
      ({title, points}) => `${title} ${this.unit(points[step])}`,
    );
    const at = format.time(this.frame.begin + step * this.frame.step);
    this.reading.textContent = [at, ...values].join(" · ");
  }

  /** The same as rows, newest first; only while somebody looks. */
  tell() {
    if (!this.details.open || !this.frame) return;
    this.head.replaceChildren(
      ...["From", ...this.layers.map((layer) => layer.title)].map((text, i) =>
        element("th", {scope: "col", class: i ? "number" : null}, text),
      ),
    );
    const rows = [];
    for (let step = this.frame.points - 1; step >= 0; step--) {
      if (!this.layers.some(({points}) => points[step])) continue;
      rows.push(
        element(
          "tr",
          {},
          element("td", {}, format.time(this.frame.begin + step * this.frame.step)),
          ...this.layers.map(({points}) =>
            element("td", {class: "number"}, this.unit(points[step])),
          ),
        ),
      );
    }
    this.rows.replaceChildren(...rows);
  }
}

/** A small picture for the eye alone: its numbers stand beside it. */
export function spark(frame, layers) {
  const svg = canvas({class: "spark", "aria-hidden": "true"});
  draw(svg, frame.points, layers);
  return svg;
}

function canvas(attributes) {
  return shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    ...attributes,
  });
}

function draw(svg, width, layers) {
  const bars = layers.filter(({kind}) => kind === "bars");
  const lines = layers.filter(({kind}) => kind === "line");
  const stacked = new Array(width).fill(0);
  for (const {points} of bars) points.forEach((value, i) => (stacked[i] += value ?? 0));
  const lowest = Math.min(0, ...lines.flatMap(({points}) => points.filter((v) => v != null)));
  const highest = Math.max(
    ...stacked,
    ...lines.flatMap(({points}) => points.filter((value) => value != null)),
    0,
  );
  const span = highest - lowest || 1;
  // Room above, so that the label of the highest does not hide it.
  const y = (value) => HEIGHT - ((value - lowest) / (span * 1.12)) * HEIGHT;
  const shapes = [];
  const floor = new Array(width).fill(0);
  for (const {name, points} of bars) {
    shapes.push(shape("path", {class: `bars is-${name}`, d: blocks(points, floor, y, width)}));
  }
  for (const {name, points} of lines) {
    shapes.push(shape("path", {class: `line is-${name}`, d: strokes(points, y, width)}));
    shapes.push(shape("path", {class: `line dots is-${name}`, d: dots(points, y, width)}));
  }
  svg.replaceChildren(...shapes);
  return highest;
}

function blocks(points, floor, y, width) {
  const step = WIDTH / width;
  let path = "";
  points.forEach((value, i) => {
    if (!value) return;
    const bottom = y(floor[i]);
    floor[i] += value;
    path += `M${(i * step + step * 0.1).toFixed(2)} ${bottom.toFixed(2)}`;
    path += `h${(step * 0.8).toFixed(2)}V${y(floor[i]).toFixed(2)}h${(-step * 0.8).toFixed(2)}z`;
  });
  return path;
}

/** Neighbours are joined. */
function strokes(points, y, width) {
  return points
    .map((value, i) => {
      if (value == null) return "";
      return `${points[i - 1] == null ? "M" : "L"}${place(value, i, y, width)}`;
    })
    .join("");
}

/** One that stands alone is a line of no length, which its round ends make a dot. */
function dots(points, y, width) {
  return points
    .map((value, i) => {
      if (value == null || points[i - 1] != null || points[i + 1] != null) return "";
      return `M${place(value, i, y, width)}h0.01`;
    })
    .join("");
}

function place(value, i, y, width) {
  return `${((i + 0.5) * (WIDTH / width)).toFixed(2)} ${y(value).toFixed(2)}`;
}
