// Curves of a run, which grow while it runs: a figure for each metric of each stage, a line for each instance.

import { get } from "./api.js";
import { h, real, stageOf } from "./dom.js";
import { lines } from "./plots.js";

const MOST_LINES = 40;

// Returns { element, more() }: `more` asks for new points, draws what has grown, and returns how many points there are.
export const curves = (id, { most = Infinity } = {}) => {
  const all = new Map(), figures = new Map();
  const element = h("div", { class: "charts" });
  let next = 0, count = 0;

  const add = ({ instance, name, points }) => {
    const figure = `${stageOf(instance)} ${name}`;
    if (!all.has(figure)) all.set(figure, new Map());
    const of = all.get(figure);
    if (!of.has(instance)) of.set(instance, new Map());
    // An epoch that is trained again after a resumption replaces the first one.
    for (const [epoch, value] of points) of.get(instance).set(epoch, real(value));
    return figure;
  };

  const draw = (name) => {
    const of = [...all.get(name)], cut = of.length - MOST_LINES;
    const series = of.slice(0, MOST_LINES).map(([instance, points]) => ({
      name: instance.includes("@") ? instance.slice(instance.indexOf("@") + 1) : "",
      points: [...points].sort(([a], [b]) => a - b),
    }));
    const stage = name.split(" ", 1)[0], metric = name.slice(stage.length + 1).replaceAll("_", " ");
    const figure = lines({ title: `${stage}: ${metric}`, caption: cut > 0 ? `The first ${MOST_LINES} of ${of.length} instances.` : "", x: "epoch", y: metric, series });
    figure.dataset.points = series.reduce((sum, one) => sum + one.points.length, 0);
    const old = figures.get(name);
    if (old) old.replaceWith(figure);
    else if (figures.size < most) element.append(figure);
    else return;
    figures.set(name, figure);
  };

  return {
    element,
    async more() {
      const grown = new Set();
      for (;;) {
        const answer = await get(`/api/runs/${id}/curves?from=${next}`);
        answer.curves.forEach((curve) => { grown.add(add(curve)); count += curve.points.length; });
        if (answer.next === next) break;
        next = answer.next;
      }
      grown.forEach(draw);
      return count;
    },
  };
};
