// The graph of a run: a box for each stage with a cell for each of its instances, coloured by how it stands.

import { get } from "./api.js";
import { button, duration, h, number, real, say, status, svg } from "./dom.js";

const CELL = 14, GAP = 64, HEAD = 46, ROUNDS = 6;

// Places boxes in layers along the longest path, near to what they are joined to.
const layout = (stages, edges) => {
  const layer = stages.map(() => 0);
  stages.forEach((_, at) => edges.filter(([, to]) => to === at).forEach(([from]) => { layer[at] = Math.max(layer[at], layer[from] + 1); }));
  const layers = [];
  layer.forEach((of, at) => { (layers[of] ||= []).push(at); });
  const middle = stages.map(() => 0);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const boxes of layers) {
      const mean = new Map(boxes.map((at) => {
        const joined = edges.filter(([from, to]) => round % 2 ? from === at : to === at).map(([from, to]) => middle[round % 2 ? to : from]);
        return [at, joined.length > 0 ? joined.reduce((a, b) => a + b, 0) / joined.length : middle[at]];
      }));
      boxes.sort((a, b) => mean.get(a) - mean.get(b) || a - b);
      const whole = boxes.reduce((sum, at) => sum + stages[at].high + 24, -24);
      let y = -whole / 2;
      for (const at of boxes) {
        middle[at] = y + stages[at].high / 2;
        y += stages[at].high + 24;
      }
    }
  }
  let x = 0;
  for (const boxes of layers) {
    for (const at of boxes) Object.assign(stages[at], { x, y: middle[at] - stages[at].high / 2 });
    x += Math.max(...boxes.map((at) => stages[at].wide)) + GAP;
  }
};

// Moves and zooms the view of a drawing: pointer, wheel with Ctrl, keys, buttons.
const zoomed = (drawing, whole) => {
  let view = { ...whole };
  const set = () => drawing.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  const zoom = (by, cx = view.x + view.w / 2, cy = view.y + view.h / 2) => {
    const factor = Math.min(Math.max(by, whole.w / 40 / view.w), whole.w * 2 / view.w);
    view = { x: cx - (cx - view.x) * factor, y: cy - (cy - view.y) * factor, w: view.w * factor, h: view.h * factor };
    set();
  };
  const move = (dx, dy) => { view.x += dx; view.y += dy; set(); };
  const scale = () => { const matrix = drawing.getScreenCTM(); return matrix ? 1 / matrix.a : 1; };
  const pointers = new Map();
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, place.x, place.y);
  }, { passive: false });
  drawing.addEventListener("pointerdown", (event) => pointers.set(event.pointerId, event));
  drawing.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    if (pointers.size === 2) {
      const [a, b] = pointers.values(), far = (p, q) => Math.hypot(p.clientX - q.clientX, p.clientY - q.clientY);
      const other = before === a ? b : a;
      if (far(event, other) > 0) zoom(far(before, other) / far(event, other));
    } else {
      move((before.clientX - event.clientX) * scale(), (before.clientY - event.clientY) * scale());
    }
    pointers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) drawing.addEventListener(end, (event) => pointers.delete(event.pointerId));
  const all = () => { view = { ...whole }; set(); };
  drawing.addEventListener("keydown", (event) => {
    const step = view.w / 12;
    const keys = { "+": () => zoom(1 / 1.25), "=": () => zoom(1 / 1.25), "-": () => zoom(1.25), 0: all,
      ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0), ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step) };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  set();
  return [button("+", () => zoom(1 / 1.4), { "aria-label": "Zoom in" }), button("−", () => zoom(1.4), { "aria-label": "Zoom out" }), button("All", all, { "aria-label": "Show all of it" })];
};

const closure = (start, next) => {
  const seen = new Set([start]), open = [start];
  while (open.length > 0) for (const at of next(open.pop())) if (!seen.has(at)) { seen.add(at); open.push(at); }
  return seen;
};

const draw = (id, { stages, instances }) => {
  const boxes = stages.map((one, at) => {
    const own = instances.map((_, number) => number).filter((number) => instances[number].stage === at);
    const across = Math.max(12, Math.ceil(Math.sqrt(own.length * 1.6)));
    return { ...one, own, across, wide: across * CELL + 20, high: HEAD + Math.ceil(own.length / across) * CELL + 10 };
  });
  const pairs = new Set();
  // A loop leads back; only what leads on is drawn between boxes.
  instances.forEach((one) => one.above.forEach((from) => { if (instances[from].stage < one.stage) pairs.add(`${instances[from].stage} ${one.stage}`); }));
  const edges = [...pairs].map((pair) => pair.split(" ").map(Number));
  layout(boxes, edges);
  const below = instances.map(() => []);
  instances.forEach((one, at) => one.above.forEach((from) => below[from].push(at)));

  const drawing = svg("svg", { tabindex: 0, role: "img", "aria-label": "Graph of the stages. Arrow keys move it, plus and minus zoom, 0 shows all." });
  const ways = edges.map(([from, to]) => {
    const [a, b] = [boxes[from], boxes[to]], x0 = a.x + a.wide, y0 = a.y + a.high / 2, x1 = b.x, y1 = b.y + b.high / 2, bend = Math.max(30, (x1 - x0) / 2);
    const path = svg("path", { class: "edge", d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}` });
    drawing.append(path);
    return { from, to, path };
  });
  const cells = [];
  const short = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;
  for (const box of boxes) {
    const letters = Math.floor((box.wide - 20) / 8), many = box.own.length > 1 ? ` × ${box.own.length}` : "";
    drawing.append(svg("g", {}, svg("title", {}, `${box.stage} (${box.kind})`),
      svg("rect", { class: "box", x: box.x, y: box.y, width: box.wide, height: box.high, rx: 7 }),
      svg("text", { class: "name", x: box.x + 10, y: box.y + 19 }, short(box.stage, letters)),
      svg("text", { class: "faint", x: box.x + 10, y: box.y + 36 }, short(`${box.kind}${many}`, letters))));
    box.own.forEach((number, at) => {
      const cell = svg("rect", { class: "cell waiting", x: box.x + 10 + (at % box.across) * CELL, y: box.y + HEAD + Math.floor(at / box.across) * CELL, width: CELL - 1, height: CELL - 1, rx: 2, onclick: () => choose(number) },
        svg("title", {}, instances[number].instance));
      cells[number] = cell;
      drawing.append(cell);
    });
  }

  const detail = h("div", { class: "card", "aria-live": "polite", hidden: true });
  let standing = new Map(), chosen = null;
  const show = () => {
    if (chosen === null) return;
    const { instance, above } = instances[chosen], one = standing.get(instance);
    detail.hidden = false;
    detail.replaceChildren(...[h("h3", {}, instance), h("p", {}, one ? status(one.status) : "not meant by this run", one?.seconds ? ` ${duration(one.seconds)}` : ""),
      one?.message ? h("pre", { class: "log" }, one.message) : null,
      above.length > 0 ? h("p", { class: "soft small" }, `Depends on ${[...new Set(above)].map((from) => instances[from].instance).join(", ")}`) : null,
      one && Object.keys(one.metrics).length > 0 ? h("p", { class: "small" }, Object.entries(one.metrics).map(([name, value]) => `${name} ${number(real(value))}`).join(" · ")) : null,
      h("p", {}, h("a", { href: `#/run/${id}/log`, onclick: () => sessionStorage.setItem("strata-log", instance) }, "Its log"))].filter(Boolean));
  };
  const choose = (number) => {
    chosen = number;
    const related = new Set([...closure(number, (at) => instances[at].above), ...closure(number, (at) => below[at])]);
    cells.forEach((cell, at) => cell.classList.toggle("near", related.has(at)));
    const near = new Set([...related].map((at) => instances[at].stage));
    ways.forEach(({ from, to, path }) => path.classList.toggle("near", near.has(from) && near.has(to)));
    show();
  };
  const names = h("datalist", { id: "instances" }, instances.map((one) => h("option", { value: one.instance })));
  const find = h("input", { type: "search", list: "instances", placeholder: "Find an instance", "aria-label": "Find an instance", oninput: () => {
    const at = instances.findIndex((one) => one.instance === find.value);
    if (at >= 0) choose(at);
  } });
  const right = Math.max(...boxes.map((box) => box.x + box.wide)), top = Math.min(...boxes.map((box) => box.y)), bottom = Math.max(...boxes.map((box) => box.y + box.high));
  const buttons = zoomed(drawing, { x: -20, y: top - 20, w: right + 40, h: bottom - top + 40 });
  drawing.style.aspectRatio = `${right + 40} / ${bottom - top + 40}`;
  const keys = h("p", { class: "soft small" });
  const element = h("div", {}, h("div", { class: "tools" }, find, names, buttons), keys, h("div", { class: "graph" }, drawing), detail);
  return {
    element,
    update(all) {
      standing = new Map(all.map((one) => [one.instance, one]));
      const counts = {};
      instances.forEach(({ instance }, at) => {
        const word = standing.get(instance)?.status || "not_run";
        counts[word] = (counts[word] || 0) + 1;
        const near = cells[at].classList.contains("near") ? " near" : "";
        const name = `cell ${word === "not_run" ? "waiting" : word}${near}`;
        if (cells[at].getAttribute("class") !== name) cells[at].setAttribute("class", name);
      });
      say(keys, `${Object.entries(counts).map(([word, count]) => `${count} ${word.replace("_", " ")}`).join(" · ")}. A cell is an instance: click one to see what it depends on and what depends on it. Drag to move, Ctrl and the wheel to zoom.`);
      show();
    },
  };
};

export const graph = (id, main) => {
  let drawn = null;
  return {
    async update({ instances }) {
      if (!drawn) {
        drawn = draw(id, await get(`/api/runs/${id}/graph`));
        main.replaceChildren(drawn.element);
      }
      drawn.update(instances);
    },
  };
};
