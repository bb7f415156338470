// Draws figures as SVG: lines with intervals, maps of two parameters, parallel coordinates.

import { h, number, svg } from "./dom.js";

export const COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bb7744", "#7777cc", "#44aa99", "#999999"];
export const colour = (at) => COLOURS[at % COLOURS.length];
// Viridis at nine places, from low to high.
const RAMP = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

const ramp = (share) => {
  const at = Math.min(1, Math.max(0, share)) * (RAMP.length - 1), low = Math.min(RAMP.length - 2, Math.floor(at));
  return RAMP[low].map((from, part) => Math.round(from + (RAMP[low + 1][part] - from) * (at - low)));
};
const rgb = (parts) => `rgb(${parts.join(" ")})`;

const extent = (values) => {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  return low === high ? [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05] : [low, high];
};

const ticks = ([low, high], wanted) => {
  const rough = (high - low) / wanted, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((by) => by * size).find((step) => step >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
};

// Writes the marks of an axis with the same number of digits after the point.
const alike = (marks) => {
  const digits = Math.max(0, ...marks.map((at) => (String(at).split(".")[1] || "").length));
  return (at) => digits > 6 || Math.abs(at) >= 1e6 || String(at).includes("e") ? number(at) : at.toFixed(digits);
};

const decades = ([low, high]) => {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) found.push(10 ** power);
  return found.filter((at) => at >= low * 0.999 && at <= high * 1.001);
};

// Whether values are better seen on a logarithmic axis.
const spreads = (values) => {
  const [low, high] = extent(values);
  return low > 0 && high / low >= 10;
};

const MOST_MARKS = 10;

// Few values are marked themselves, if `own` is set.
const scale = (values, from, to, { isLog = false, own = false } = {}) => {
  const range = extent(values), [low, high] = isLog ? range.map(Math.log) : range;
  const distinct = own ? [...new Set(values.filter(Number.isFinite))].sort((a, b) => a - b) : [];
  const place = (value) => from + ((isLog ? Math.log(value) : value) - low) / (high - low) * (to - from);
  if (distinct.length > 0 && distinct.length <= MOST_MARKS) return { place, marks: distinct, words: String };
  const marks = isLog ? decades(range) : ticks(range, 5);
  return { place, marks: marks.length >= 2 ? marks : [...new Set(range)], words: isLog ? number : alike(marks) };
};

const frame = (x, y, box, names) => [
  y.marks.map((at) => [
    svg("line", { class: "gridline", x1: box.left, x2: box.right, y1: y.place(at), y2: y.place(at) }),
    svg("text", { x: box.left - 6, y: y.place(at) + 4, "text-anchor": "end" }, y.words(at)),
  ]),
  x.marks.map((at) => svg("text", { x: x.place(at), y: box.bottom + 16, "text-anchor": "middle" }, x.words(at))),
  svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
  svg("text", { class: "faint", x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, names.x),
  svg("text", { class: "faint", x: box.left, y: box.top - 8 }, names.y),
];

// A box that follows the pointer and says what is nearest to it.
const pointed = (figure, drawing, nearest) => {
  const tip = h("div", { class: "tip", hidden: true });
  figure.append(tip);
  drawing.addEventListener("pointermove", (event) => {
    const around = drawing.getBoundingClientRect(), by = drawing.viewBox.baseVal.width / around.width;
    const words = nearest((event.clientX - around.left) * by, (event.clientY - around.top) * by);
    tip.hidden = !words;
    if (!words) return;
    tip.textContent = words;
    const outer = figure.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX - outer.left + 14, outer.width - tip.offsetWidth - 6))}px`;
    tip.style.top = `${event.clientY - outer.top + 14}px`;
  });
  drawing.addEventListener("pointerleave", () => { tip.hidden = true; nearest(null, null); });
};

const MOST_NAMED = 12;

export const legend = (names) => h("div", { class: "legend" }, names.slice(0, MOST_NAMED).map((name, at) => {
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = colour(at);
  return h("span", {}, swatch, name);
}), names.length > MOST_NAMED ? h("span", { class: "soft" }, `and ${names.length - MOST_NAMED} more: point at a line`) : null);

// `series` are { name, points: [[x, y, low?, high?]] }. Points that are no numbers are gaps. `isChosen` says that somebody chose the values of x: few
// of them are marked themselves, and those of several sizes have a logarithmic axis.
export const lines = ({ title, caption, x, y, series, isChosen = false, width = 560, height = 260 }) => {
  const box = { left: 58, right: width - 14, top: 26, bottom: height - 42 };
  const all = series.flatMap((one) => one.points);
  const along = all.map((point) => point[0]), isLog = isChosen && spreads(along);
  const across = scale(along, box.left, box.right, { isLog, own: isChosen });
  const up = scale(all.flatMap((point) => point.slice(1)), box.bottom, box.top);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${caption || ""} ${series.length} lines.` }, frame(across, up, box, { x, y }));
  const spots = [];
  series.forEach((one, at) => {
    const ink = colour(at);
    let path = "", pen = "M";
    for (const [px, py, low, high] of one.points) {
      if (!Number.isFinite(py)) { pen = "M"; continue; }
      const [cx, cy] = [across.place(px), up.place(py)];
      path += `${pen}${cx.toFixed(1)} ${cy.toFixed(1)}`;
      pen = "L";
      spots.push([cx, cy, `${one.name ? `${one.name}: ` : ""}${x} ${number(px)}, ${number(py)}${Number.isFinite(low) ? ` [${number(low)}, ${number(high)}]` : ""}`]);
    }
    const banded = one.points.filter((point) => Number.isFinite(point[2]) && Number.isFinite(point[3]));
    if (banded.length > 1) {
      const edge = (part) => banded.map((point) => `${across.place(point[0]).toFixed(1)} ${up.place(point[part]).toFixed(1)}`);
      drawing.append(svg("path", { class: "band", fill: ink, d: `M${edge(2).join("L")}L${edge(3).reverse().join("L")}Z` }));
    }
    for (const point of banded) {
      const cx = across.place(point[0]);
      drawing.append(svg("line", { stroke: ink, x1: cx, x2: cx, y1: up.place(point[2]), y2: up.place(point[3]) }));
    }
    drawing.append(svg("path", { class: "line", stroke: ink, d: path || "M0 0" }));
    if (one.points.length < 60) {
      for (const point of one.points.filter((point) => Number.isFinite(point[1]))) {
        drawing.append(svg("circle", { r: 2.6, fill: ink, cx: across.place(point[0]), cy: up.place(point[1]) }));
      }
    }
  });
  const ring = svg("circle", { r: 6, fill: "none", stroke: "currentColor", visibility: "hidden" });
  drawing.append(ring);
  const figure = h("figure", { class: "chart" }, h("figcaption", {}, h("h3", {}, title), caption ? h("p", {}, caption) : null), drawing,
    series.length > 1 ? legend(series.map((one) => one.name)) : null);
  pointed(figure, drawing, (px, py) => {
    let best = null, least = 40 ** 2;
    if (px !== null) {
      for (const spot of spots) {
        const far = (spot[0] - px) ** 2 + (spot[1] - py) ** 2;
        if (far < least) [best, least] = [spot, far];
      }
    }
    ring.setAttribute("visibility", best ? "visible" : "hidden");
    if (best) { ring.setAttribute("cx", best[0]); ring.setAttribute("cy", best[1]); }
    return best && best[2];
  });
  return figure;
};

// `cell(row, column)` gives { value, words } or nothing.
export const heatmap = ({ title, caption, x, y, columns, rows, cell, shown }) => {
  const left = 110, top = 30, wide = Math.max(34, Math.min(90, (900 - left) / columns.length)), high = 30;
  const width = left + wide * columns.length + 10, height = top + high * rows.length + 44;
  const values = rows.flatMap((row) => columns.map((column) => cell(row, column)?.value)).filter(Number.isFinite);
  const [low, best] = extent(values);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${caption}` });
  const short = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;
  rows.forEach((row, down) => {
    drawing.append(svg("text", { x: left - 8, y: top + high * down + 20, "text-anchor": "end" }, short(String(row), 15)));
    columns.forEach((column, along) => {
      const found = cell(row, column);
      if (!found || !Number.isFinite(found.value)) return;
      const paint = ramp((found.value - low) / (best - low));
      const isDark = 0.3 * paint[0] + 0.59 * paint[1] + 0.11 * paint[2] < 140;
      const text = svg("text", { x: left + wide * (along + 0.5), y: top + high * down + 20, "text-anchor": "middle" }, shown(found.value));
      text.style.fill = isDark ? "#fff" : "#000";
      drawing.append(svg("g", {}, svg("title", {}, found.words),
        svg("rect", { x: left + wide * along, y: top + high * down, width: wide - 1, height: high - 1, fill: rgb(paint) }), wide >= 34 ? text : null));
    });
  });
  columns.forEach((column, along) => drawing.append(
    svg("text", { x: left + wide * (along + 0.5), y: top + high * rows.length + 16, "text-anchor": "middle" }, short(String(column), Math.floor(wide / 7)))));
  drawing.append(svg("text", { class: "faint", x: left + wide * columns.length / 2, y: height - 8, "text-anchor": "middle" }, x),
    svg("text", { class: "faint", x: 4, y: 16 }, y));
  drawing.style.maxWidth = `${Math.max(width, 320) * 1.2}px`;
  return h("figure", { class: "chart" }, h("figcaption", {}, h("h3", {}, title), h("p", {}, caption)), h("div", { class: "scroll" }, drawing));
};

// `axes` are { name, values: [one of each row, a number or a word], shown }. The last one gives the colour; a row that lacks a value on an axis is left out.
export const parallel = ({ title, caption, axes, names }) => {
  const height = 380, top = 44, bottom = height - 20, gap = Math.max(110, 900 / Math.max(1, axes.length - 1));
  const width = gap * (axes.length - 1) + 150;
  const at = (axis) => 70 + gap * axis;
  const scales = axes.map((axis) => {
    const isWords = axis.values.some((value) => typeof value === "string");
    const isLast = axis === axes[axes.length - 1];
    if (!isWords) return { ...scale(axis.values, bottom, top, { isLog: !isLast && spreads(axis.values), own: !isLast }), isWords };
    const words = [...new Set(axis.values.filter((value) => value !== undefined && value !== null).map(String))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const place = (value) => bottom - (bottom - top) * (words.length > 1 ? words.indexOf(String(value)) / (words.length - 1) : 0.5);
    return { place, marks: words.length <= 24 ? words : [words[0], words[words.length - 1]], isWords };
  });
  const has = (value, { isWords }) => isWords ? value !== undefined && value !== null : Number.isFinite(value);
  const whole = names.map((_, row) => row).filter((row) => axes.every((axis, number) => has(axis.values[row], scales[number])));
  const last = axes[axes.length - 1], [low, high] = extent(whole.map((row) => last.values[row]));
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${caption}` });
  const threads = whole.map((row) => {
    const points = axes.map((axis, number) => [at(number), scales[number].place(axis.values[row])]);
    const ink = typeof last.values[row] === "number" ? rgb(ramp((last.values[row] - low) / (high - low))) : colour(0);
    const thread = svg("path", { class: "thread", stroke: ink, d: `M${points.map((point) => point.map((part) => part.toFixed(1)).join(" ")).join("L")}` });
    drawing.append(thread);
    return { thread, points, row };
  });
  axes.forEach((axis, index) => {
    drawing.append(svg("line", { class: "axis", x1: at(index), x2: at(index), y1: top, y2: bottom }),
      svg("text", { class: "name", x: at(index), y: 16 + 14 * (index % 2), "text-anchor": "middle" }, axis.name),
      ...scales[index].marks.map((mark) => svg("text", { class: "mark", x: at(index) - 5, y: scales[index].place(mark) + 4, "text-anchor": "end" },
        typeof mark === "number" ? scales[index].words(mark) : mark.length > 14 ? `${mark.slice(0, 13)}…` : mark)));
  });
  const left_out = names.length - whole.length;
  const words = `${caption}${left_out > 0 ? ` ${left_out} rows that lack a value on an axis are left out.` : ""}`;
  const figure = h("figure", { class: "chart" }, h("figcaption", {}, h("h3", {}, title), h("p", {}, words)), h("div", { class: "scroll" }, drawing));
  let near = null;
  pointed(figure, drawing, (px, py) => {
    near?.thread.classList.remove("near");
    near = null;
    if (px === null) return null;
    let least = 14;
    for (const one of threads) {
      const along = Math.min(axes.length - 2, Math.max(0, Math.floor((px - 70) / gap)));
      const [from, to] = [one.points[along], one.points[along + 1] || one.points[along]];
      const share = to[0] > from[0] ? (px - from[0]) / (to[0] - from[0]) : 0;
      const far = Math.abs(from[1] + (to[1] - from[1]) * share - py);
      if (far < least) [near, least] = [one, far];
    }
    near?.thread.classList.add("near");
    return near && `${names[near.row]}: ${axes.map((axis) => `${axis.name}=${typeof axis.values[near.row] === "number" ? number(axis.values[near.row]) : axis.values[near.row]}`).join(", ")}`;
  });
  return figure;
};
