// Two runs side by side: what was asked, the lines of the files that differ, and the results of instances of the same name.

import { get } from "./api.js";
import { command, counted, duration, h, number, real, select, status, when } from "./dom.js";
import { lines } from "./plots.js";
import { table } from "./table.js";

const MOST_LINES = 4000;

// The lines of two texts: [" " | "-" | "+", line], by the longest common part.
export const differences = (before, after) => {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [x, y] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const same = (part) => part.map((line) => [" ", line]);
  const middle = [];
  if (x.length * y.length > MOST_LINES ** 2) {
    middle.push(...x.map((line) => ["-", line]), ...y.map((line) => ["+", line]));
  } else {
    const long = Array.from({ length: x.length + 1 }, () => new Uint32Array(y.length + 1));
    for (let i = x.length - 1; i >= 0; i -= 1) for (let j = y.length - 1; j >= 0; j -= 1) long[i][j] = x[i] === y[j] ? long[i + 1][j + 1] + 1 : Math.max(long[i + 1][j], long[i][j + 1]);
    let [i, j] = [0, 0];
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) { middle.push([" ", x[i]]); i += 1; j += 1; }
      else if (j >= y.length || (i < x.length && long[i + 1][j] >= long[i][j + 1])) { middle.push(["-", x[i]]); i += 1; }
      else { middle.push(["+", y[j]]); j += 1; }
    }
  }
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))];
};

const shown_lines = (all) => {
  const around = 2, near = all.map(() => false);
  all.forEach(([sign], at) => { if (sign !== " ") for (let other = at - around; other <= at + around; other += 1) near[other] = true; });
  const found = [];
  all.forEach(([sign, line], at) => {
    if (near[at]) found.push(h("div", { class: { " ": "same", "-": "gone", "+": "new" }[sign] }, `${sign} ${line}`));
    else if (at === 0 || near[at - 1]) found.push(h("div", { class: "same" }, "  …"));
  });
  return found;
};

const overlaid = async (ids) => {
  const both = await Promise.all(ids.map(async (id) => {
    const found = new Map();
    for (let next = 0; ;) {
      const answer = await get(`/api/runs/${id}/curves?from=${next}`);
      for (const { instance, name, points } of answer.curves) {
        const key = `${instance}\n${name}`;
        if (!found.has(key)) found.set(key, new Map());
        for (const [epoch, value] of points) found.get(key).set(epoch, real(value));
      }
      if (answer.next === next) return found;
      next = answer.next;
    }
  }));
  const points = (of) => [...of].sort(([a], [b]) => a - b);
  const differ = [...both[0].keys()].filter((key) => both[1].has(key) && JSON.stringify(points(both[0].get(key))) !== JSON.stringify(points(both[1].get(key))));
  const most = 12;
  return h("div", {}, h("p", { class: "soft small" }, differ.length === 0 ? "No curve that both have differs." : differ.length > most ? `The first ${most} of ${differ.length} curves that differ.` : ""),
    h("div", { class: "charts" }, differ.slice(0, most).map((key) => {
      const [instance, name] = key.split("\n");
      return lines({ title: `${instance}: ${name.replaceAll("_", " ")}`, x: "epoch", y: name.replaceAll("_", " "), series: ids.map((id, at) => ({ name: `${"AB"[at]} ${id}`, points: points(both[at].get(key)) })) });
    })));
};

const results = (a, b) => {
  const by_name = (answer) => new Map(answer.instances.map((one) => [one.instance, one]));
  const [left, right] = [by_name(a), by_name(b)], rows = [];
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const [one, other] = [left.get(name), right.get(name)];
    const both = { ...one?.metrics, ...other?.metrics };
    // The ends of an interval say little beside its middle.
    const metrics = Object.keys(both).filter((metric) => !/_(low|high)$/.test(metric) || !(metric.replace(/_(low|high)$/, "") in both));
    const is_same_work = one?.key && one.key === other?.key;
    if (metrics.length === 0) rows.push({ name, metric: "", one, other, is_same_work });
    for (const metric of metrics) rows.push({ name, metric, one, other, is_same_work, a: real(one?.metrics[metric]), b: real(other?.metrics[metric]) });
  }
  const state = (one) => one ? one.status.replace("_", " ") : "not in it";
  const work = (row) => !row.other ? "only in A" : !row.one ? "only in B" : row.is_same_work ? "the same" : "differs";
  const gap = (row) => Number.isFinite(row.a) && Number.isFinite(row.b) ? row.b - row.a : undefined;
  const columns = [
    { key: "name", title: "instance", value: (row) => row.name, text: (row) => row.name },
    { key: "a_state", title: "A", value: (row) => state(row.one), text: (row) => state(row.one) },
    { key: "b_state", title: "B", value: (row) => state(row.other), text: (row) => state(row.other) },
    { key: "same", title: "work", value: work, text: work },
    { key: "metric", title: "metric", value: (row) => row.metric, text: (row) => row.metric },
    { key: "a", title: "in A", isNumber: true, value: (row) => row.a, text: (row) => number(row.a) },
    { key: "b", title: "in B", isNumber: true, value: (row) => row.b, text: (row) => number(row.b) },
    { key: "gap", title: "B less A", isNumber: true, value: gap, text: (row) => gap(row) === undefined ? "" : `${gap(row) > 0 ? "+" : ""}${number(gap(row))}` },
  ];
  const element = table("Results of both runs", columns), note = h("p", { class: "soft small" });
  const only = h("input", { type: "checkbox", checked: true, onchange: () => draw() });
  const draw = () => {
    const kept = rows.filter((row) => !only.checked || !row.is_same_work);
    element.show(kept);
    note.textContent = `${kept.length} of ${rows.length} lines. Work with the same key is the same work, with the same results.`;
  };
  draw();
  return h("div", {}, h("label", { class: "choice" }, only, " only what differs"), note, element.element);
};

const side = (letter, { run, asked }) => h("section", { class: "card" }, h("h3", {}, `${letter}: `, h("a", { href: `#/run/${run.id}`, class: "mono" }, run.id)),
  h("p", {}, status(run.status), ` ${when(run.started)}, ${duration(run.seconds)}`), h("p", {}, h("code", {}, command(run))),
  h("p", { class: "soft small" }, [run.file, counted(run.counts), asked.git?.commit && `commit ${asked.git.commit.slice(0, 10)}${asked.git.dirty ? " with changes" : ""}`].filter(Boolean).join(" · ")));

export const compare = (main, [first, second], title) => {
  title("Compare");
  let is_left = false;
  const enter = async () => {
    const { runs } = await get("/api/runs");
    if (is_left) return;
    main.replaceChildren(h("h1", {}, "Two runs side by side"));
    if (runs.length < 2) {
      main.append(h("p", {}, "This takes two runs, and the cache has a record of fewer."));
      return;
    }
    const chosen = [first || runs[1].id, second || runs[0].id];
    const options = runs.map((run) => [run.id, `${run.id} ${run.pipeline}, ${run.status}`]);
    const go = (at) => (id) => { chosen[at] = id; location.hash = `#/compare/${chosen[0]}/${chosen[1]}`; };
    main.append(h("div", { class: "tools" }, select("A", options, chosen[0], go(0)), select("B", options, chosen[1], go(1))));
    const inside = h("div");
    main.append(inside);
    const [a, b] = await Promise.all(chosen.map((id) => get(`/api/runs/${id}`)));
    const texts = await Promise.all(chosen.map((id) => get(`/api/runs/${id}/file`)));
    if (is_left) return;
    const changed = differences(texts[0].text, texts[1].text), is_same = changed.every(([sign]) => sign === " ");
    inside.append(h("div", { class: "two" }, side("A", a), side("B", b)),
      h("h2", {}, "The file"), is_same ? h("p", {}, "Both ran the same text.") : h("pre", { class: "log diff", tabindex: 0 }, shown_lines(changed)),
      h("h2", {}, "Results"), results(a, b), h("h2", {}, "Curves"), await overlaid(chosen));
  };
  enter().catch((error) => { if (!is_left) main.append(h("p", { class: "wrong", role: "alert" }, error.message)); });
  return () => { is_left = true; };
};
