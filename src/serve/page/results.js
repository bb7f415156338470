// Every result of a pipeline file that the cache holds: a table to sort and filter, and figures of the rows that are left.

import { get, poll } from "./api.js";
import { button, duration, h, number, real, say, select, shown, when } from "./dom.js";
import { filter } from "./filter.js";
import { heatmap, lines, parallel } from "./plots.js";
import { mean } from "./statistics.js";
import { table } from "./table.js";

const MOST_AXES = 9;
const MOST_CELLS = 40;
const MOST_SERIES = 20;

const columns = ({ parameters, metrics, rows }) => {
  const text = (value) => value === undefined || value === null ? "" : typeof value === "number" ? String(value) : typeof value === "string" ? value : JSON.stringify(value);
  const plain = (key, title, value, more = {}) => ({ key, title, value, text: (row) => text(value(row)), ...more });
  return [
    plain("stage", "stage", (row) => row.stage, { fixed: true }),
    ...parameters.map((name) => {
      const value = (row) => { const own = row.parameters[name]; return typeof own === "object" && own !== null ? JSON.stringify(own) : own; };
      return plain(`p:${name}`, name, value, { isParameter: true, isNumber: rows.every((row) => ["number", "undefined"].includes(typeof value(row))) });
    }),
    ...metrics.map(({ name, unit, better, doc, is_score }) => ({ key: `m:${name}`, title: name, isMetric: true, isNumber: true, unit, better, isScore: is_score,
      head: unit === "fraction" ? `${name} %` : name, help: `${doc || name}. Sorts.`, value: (row) => real(row.metrics[name]), text: (row) => name in row.metrics ? shown(real(row.metrics[name]), unit) : "" })),
    { key: "seconds", title: "time", isNumber: true, value: (row) => row.seconds, text: (row) => duration(row.seconds) },
    plain("finished", "finished", (row) => row.finished, { text: (row) => when(row.finished) }),
    { ...plain("run", "run", (row) => row.run || ""), cell: (row) => row.run ? h("a", { href: `#/run/${row.run}` }, row.run) : "" },
    plain("instance", "instance", (row) => row.instance),
    { key: "key", title: "key", value: (row) => row.key, text: (row) => row.key.slice(0, 12) },
  ];
};

// Rows by the value of a column, in the order of the values.
const grouped = (rows, column) => {
  const groups = new Map();
  for (const row of rows) {
    const value = column.value(row);
    if (value === undefined || value === null) continue;
    if (!groups.has(value)) groups.set(value, []);
    groups.get(value).push(row);
  }
  return [...groups].sort(([a], [b]) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
};

// The parameters in which rows of one point differ, so that a mean says what it is over.
const over = (groups, parameters) => parameters.filter((column) => groups.some((rows) => new Set(rows.map((row) => JSON.stringify(column.value(row)))).size > 1)).map((column) => column.title);
const mean_of = (names) => names.length > 0 ? `Each point is the mean of the rows that differ in ${names.join(", ")}` : "Each point is one row";

const FIGURES = {
  line: (rows, { x, y, by, all }) => {
    if (!x || !y) return "A line needs a parameter with numbers and a metric.";
    const parameters = all.filter((column) => column.isParameter && column !== x && column !== by);
    const groups = [];
    let of_images = 0;
    const series = (by ? grouped(rows, by) : [["", rows]]).map(([name, own]) => ({
      name: by ? `${by.title}=${name}` : "",
      points: grouped(own.filter((row) => typeof x.value(row) === "number"), x).map(([at, here]) => {
        const found = here.filter((row) => Number.isFinite(y.value(row)));
        groups.push(found);
        const estimate = mean(found.map(y.value));
        if (found.length !== 1) return [at, estimate.mean, estimate.low, estimate.high];
        const end = (which) => real(found[0].metrics[`${y.title}_${which}`]);
        of_images += Number.isFinite(end("low"));
        return [at, estimate.mean, end("low"), end("high")];
      }).filter((point) => Number.isFinite(point[1])),
    })).filter((one) => one.points.length > 0);
    if (series.length === 0) return `No row has both ${x.title}, as a number, and ${y.title}.`;
    const names = over(groups, parameters), cut = series.length > MOST_SERIES ? ` The first ${MOST_SERIES} of ${series.length} lines.` : "";
    const interval = groups.some((rows) => rows.length > 1) ? "; bars and bands are 95 % intervals of the mean (Student's t)" : "";
    const images = of_images > 0 ? "; where a point is a single row, its bar is the interval that the result itself states" : "";
    return lines({ title: `${y.title} over ${x.title}`, caption: `${mean_of(names)}${interval}${images}.${cut}`,
      x: x.title, y: y.title, series: series.slice(0, MOST_SERIES), isChosen: true, width: 980, height: 400 });
  },
  heatmap: (rows, { x, by, y, all }) => {
    if (!x || !by || !y || x === by) return "A heatmap needs two different parameters (across and down) and a metric.";
    const cells = new Map();
    for (const row of rows) {
      const [a, b, value] = [x.value(row), by.value(row), y.value(row)];
      if (a === undefined || b === undefined || !Number.isFinite(value)) continue;
      const key = JSON.stringify([a, b]);
      if (!cells.has(key)) cells.set(key, []);
      cells.get(key).push(row);
    }
    if (cells.size === 0) return `No row has ${x.title}, ${by.title} and ${y.title}.`;
    const [across, down] = [x, by].map((column) => grouped(rows.filter((row) => Number.isFinite(y.value(row))), column).map(([value]) => value));
    const cut = across.length > MOST_CELLS || down.length > MOST_CELLS ? ` The first ${MOST_CELLS} values of each are shown.` : "";
    const names = over([...cells.values()], all.filter((column) => column.isParameter && column !== x && column !== by));
    return heatmap({ title: `${y.title} by ${x.title} and ${by.title}`, caption: `${mean_of(names).replace("point", "cell")}.${cut}`, x: x.title, y: by.title,
      columns: across.slice(0, MOST_CELLS), rows: down.slice(0, MOST_CELLS), shown: (value) => shown(value, y.unit),
      cell: (row, column) => {
        const found = cells.get(JSON.stringify([column, row]));
        if (!found) return null;
        const { mean: value, low, high, n } = mean(found.map(y.value));
        return { value, words: `${x.title}=${column}, ${by.title}=${row}: ${number(value)}${n > 1 ? ` [${number(low)}, ${number(high)}], ${n} rows` : ""}` };
      } });
  },
  parallel: (rows, { y, all }) => {
    if (!y) return "Parallel coordinates need a metric.";
    const own = rows.filter((row) => Number.isFinite(y.value(row)));
    const differ = all.filter((column) => column.isParameter && new Set(own.map((row) => JSON.stringify(column.value(row)))).size > 1);
    if (own.length === 0 || differ.length === 0) return `No rows with ${y.title} differ in a parameter.`;
    const axes = [...differ.slice(0, MOST_AXES), y];
    const cut = differ.length > MOST_AXES ? ` ${MOST_AXES} of the ${differ.length} parameters that differ.` : "";
    // Parameters that only some rows have are words, with one for rows that lack them.
    const values = (column) => {
      const all = own.map((row) => column.value(row));
      return column !== y && all.some((value) => typeof value !== "number") ? all.map((value) => value === undefined ? "—" : String(value)) : all;
    };
    return parallel({ title: `${y.title} by parameters`, caption: `A line for each row; its colour is ${y.title}.${cut}`, names: own.map((row) => row.instance),
      axes: axes.map((column) => ({ name: column.title, values: values(column) })) });
  },
};

export const results = (main, [of, view = "table"], title) => {
  title("Results");
  main.replaceChildren(h("h1", {}, "Results"), h("p", { class: "soft" }, "Reading the cache …"));
  let built = null, stop = () => {};
  const start = async () => {
    const answer = await get(`/api/results${of ? `?of=${encodeURIComponent(of)}` : ""}`);
    if (!built) built = build(main, answer, view in FIGURES ? view : "table");
    built(answer);
    return 10;
  };
  stop = poll(start);
  return () => stop();
};

const build = (main, first, opened) => {
  let all = columns(first), rows = [], words = new Map(), view = opened;
  const hidden = new Set(), shown_also = new Set();
  const list = table("Results", all);
  const note = h("p", { class: "soft small", role: "status" }), wrong = h("p", { class: "wrong", role: "alert", hidden: true }), drawn = h("div"), choices = h("div", { class: "tools" });
  const search = h("input", { type: "search", placeholder: "Filter: policy=random test_accuracy>0.5, or any word", "aria-label": "Filter the results", oninput: () => draw() });
  const chooser = h("details", {}, h("summary", {}, "Columns"));
  const stages = [...new Set(first.rows.map((row) => row.stage))];
  const scored = stages.find((stage) => first.rows.some((row) => row.stage === stage && first.metrics.some((metric) => metric.is_score && metric.name in row.metrics)));
  const chosen = { stage: scored || "", x: null, by: null, y: null };
  const { of } = first, files = first.files.map(({ id, pipeline, file }) => [id, pipeline ? `${pipeline} (${file})` : file]);
  const stage_choice = h("span");
  const views = [["table", "Table"], ["line", "Line"], ["heatmap", "Heatmap"], ["parallel", "Parallel coordinates"]];
  const buttons = views.map(([key, words]) => button(words, () => {
    view = key;
    history.replaceState(null, "", `#/results/${encodeURIComponent(of)}/${view}`);
    draw();
  }, { "data-view": key }));
  main.replaceChildren(h("h1", {}, "Results"),
    h("div", { class: "tools" }, files.length > 1 ? select("File", files, of, (value) => { location.hash = `#/results/${encodeURIComponent(value)}`; }) : h("span", { class: "soft" }, files[0]?.[1] || ""), stage_choice, search),
    h("div", { class: "tools", role: "group", "aria-label": "View" }, buttons, chooser), choices, wrong, note, drawn);

  const kept_rows = () => {
    const own = rows.filter((row) => !chosen.stage || row.stage === chosen.stage);
    const { test, wrong: why } = filter(search.value, all, (row) => words.get(row));
    wrong.hidden = !why;
    say(wrong, why);
    return [own.filter(test), own.length];
  };

  // Columns that say something about these rows, unless the reader chose otherwise.
  const visible = (kept) => {
    const differs = (column) => { let one; return kept.some((row, at) => { const value = JSON.stringify(column.value(row)); if (at === 0) one = value; return value !== one; }); };
    const has = (column) => kept.some((row) => column.value(row) !== undefined);
    return all.filter((column) => {
      if (hidden.has(column.key)) return false;
      if (shown_also.has(column.key)) return true;
      if (column.isParameter) return kept.length < 2 ? has(column) : differs(column);
      if (column.isMetric) return has(column) && !/_(low|high)$/.test(column.title);
      return ["stage", "finished", "run"].includes(column.key);
    });
  };

  const choose_columns = (now) => {
    const on = new Set(now.map((column) => column.key));
    chooser.replaceChildren(chooser.firstChild, h("div", { class: "columns" }, all.map((column) => h("label", {}, h("input", { type: "checkbox", checked: on.has(column.key), "data-of": column.key, onchange: (event) => {
      (event.target.checked ? shown_also : hidden).add(column.key);
      (event.target.checked ? hidden : shown_also).delete(column.key);
      draw();
      chooser.querySelector(`[data-of="${CSS.escape(column.key)}"]`)?.focus();
    } }), " ", column.title))));
  };

  const figure = (kept) => {
    const differ = all.filter((column) => column.isParameter && new Set(kept.map((row) => JSON.stringify(column.value(row)))).size > 1);
    const metrics = all.filter((column) => column.isMetric && kept.some((row) => Number.isFinite(column.value(row))));
    const numeric = differ.filter((column) => kept.some((row) => typeof column.value(row) === "number"));
    const pick = (key, from) => from.find((column) => column.key === key) || null;
    const along = view === "line" ? numeric : differ;
    const x = pick(chosen.x, along) || along.find((column) => !/seed$/.test(column.title)) || along[0] || null;
    const y = pick(chosen.y, metrics) || metrics.find((column) => column.isScore) || metrics[0] || null;
    const others = differ.filter((column) => column !== x);
    const by = pick(chosen.by, others) || (view === "heatmap" ? others.find((column) => !/seed$/.test(column.title)) || others[0] || null : null);
    const options = (from) => from.map((column) => [column.key, column.title]);
    const set = (key) => (value) => { chosen[key] = value; draw(); };
    const parts = view === "parallel" ? [select("Colour", options(metrics), y?.key, set("y"))] : [
      select(view === "line" ? "Along" : "Across", options(along), x?.key, set("x")),
      select(view === "line" ? "A line for each" : "Down", [...(view === "line" ? [["", "(one line)"]] : []), ...options(others)], by?.key || "", set("by")),
      select("Metric", options(metrics), y?.key, set("y"))];
    choices.replaceChildren(...parts);
    const made = FIGURES[view](kept, { x, y, by, all });
    drawn.replaceChildren(typeof made === "string" ? h("p", {}, made) : made);
  };

  let last_columns = "";
  const draw = () => {
    const [kept, whole] = kept_rows();
    buttons.forEach((one) => one.setAttribute("aria-pressed", one.dataset.view === view));
    const now = visible(kept);
    say(note, `${kept.length} of ${whole} results${chosen.stage ? ` of ${chosen.stage}` : ""}${whole < rows.length ? `; ${rows.length} in all stages` : ""}`);
    const names = now.map((column) => column.key).join("\n");
    if (names !== last_columns) {
      last_columns = names;
      choose_columns(now);
      list.choose(now);
    }
    chooser.hidden = view !== "table";
    if (view === "table") {
      choices.replaceChildren();
      if (drawn.firstChild !== list.element) drawn.replaceChildren(list.element);
      list.show(kept);
    } else {
      figure(kept);
    }
  };

  let known = "";
  return (answer) => {
    const state = JSON.stringify([answer.rows, answer.files]);
    if (state === known) return;
    known = state;
    all = columns(answer);
    rows = answer.rows;
    last_columns = "";
    words = new Map(rows.map((row) => [row, all.map((column) => column.text(row)).join(" ").toLowerCase()]));
    const names = [...new Set(rows.map((row) => row.stage))];
    stage_choice.replaceChildren(select("Stage", [["", "all"], ...names.map((name) => [name, name])], chosen.stage, (value) => { chosen.stage = value; draw(); }));
    if (rows.length === 0) say(note, "");
    draw();
    if (rows.length === 0) drawn.replaceChildren(h("p", {}, answer.of ? "The cache holds no results of this file yet."
      : "No run is recorded in this cache. `strata serve FILE` shows the results of a pipeline file that ran before there were records."));
  };
};
