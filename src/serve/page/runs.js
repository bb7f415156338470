// All runs: those under way on top, with their progress and curves; then the others, newest first.

import { get, poll } from "./api.js";
import { curves } from "./curves.js";
import { bar, button, command, counted, duration, h, left, progressed, quoted, say, status, when } from "./dom.js";

const PAGE = 100;

const ENDED = ["cached", "ran", "resumed", "restored", "failed", "blocked"];
export const ended = (run) => ENDED.reduce((sum, word) => sum + (run.counts[word] || 0), 0);

// What works now, a line for each: name, bar, words. `update` keeps the elements, so that bars move.
export const working = () => {
  const element = h("div", { class: "working" }), known = new Map();
  return {
    element,
    update(all) {
      const names = new Set(all.map((one) => one.instance));
      for (const [name, line] of known) {
        if (names.has(name)) continue;
        line.parts.forEach((part) => part.remove());
        known.delete(name);
      }
      for (const one of all) {
        if (!known.has(one.instance)) {
          const progress = bar(), words = h("span", { class: "soft small" });
          known.set(one.instance, { progress, words, parts: [h("span", {}, one.instance), progress.element, words] });
          element.append(...known.get(one.instance).parts);
        }
        const { progress, words } = known.get(one.instance);
        const epoch = one.epoch ? `epoch ${one.epoch}${one.epochs ? ` of ${one.epochs}` : ""}` : "";
        const units = progressed(one);
        const loss = typeof one.loss === "number" ? `loss ${one.loss.toPrecision(4)}` : one.loss ? `loss ${one.loss}` : "";
        const text = [epoch, units, loss, one.message].filter(Boolean).join(", ") || "at work";
        progress.set(one.total > 0 ? one.done / one.total : 0, `${one.instance}: ${text}`);
        say(words, text);
      }
    },
  };
};

const live = (id) => {
  const progress = bar(), facts = h("p", { class: "soft small" }), at_work = working(), drawn = curves(id, { most: 4 });
  const name = h("a", { href: `#/run/${id}` }), words = h("code");
  const element = h("section", { class: "card live", "aria-label": `Run ${id}` },
    h("div", { class: "head" }, h("h2", {}, name), status("running"), h("span", { class: "soft small mono" }, id)),
    h("p", {}, words), progress.element, facts, at_work.element, drawn.element);
  return {
    element,
    update(run) {
      say(name, run.pipeline);
      say(words, command(run));
      const done = ended(run);
      progress.set(run.instances ? done / run.instances : 0, `${done} of ${run.instances} instances done`);
      say(facts, [`${done} of ${run.instances} instances`, counted(run.counts), `for ${duration(run.seconds)}`, left(run.left)].filter(Boolean).join(" · "));
      at_work.update(run.working);
    },
    more: drawn.more,
  };
};

export const runs = (main, _, title) => {
  title("Runs");
  let all = [], most = PAGE, stamp = null, lives = new Map(), chosen = [];
  const under_way = h("div"), body = h("tbody"), note = h("p", { class: "soft small" });
  const compare = button("Compare two runs", () => { location.hash = `#/compare/${chosen[0]}/${chosen[1]}`; }, { disabled: true });
  const search = h("input", { type: "search", placeholder: "Filter: words of the file, arguments or status", "aria-label": "Filter the runs", oninput: () => { most = PAGE; draw(); } });
  const more = button("Show more", () => { most += PAGE; draw(); }, { hidden: true });
  const passed = h("details", { hidden: true }, h("summary"), h("ul"));
  const heads = ["Choose", "Run", "Status", "Pipeline", "Arguments", "Instances", "Time"];
  main.replaceChildren(h("h1", {}, "Runs"), under_way,
    h("div", { class: "tools" }, search, compare), note,
    h("div", { class: "scroll" }, h("table", { class: "stack", "aria-label": "Runs, newest first" },
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), body)),
    h("p", {}, more), passed);

  const choose = (id, is) => {
    chosen = is ? [...chosen, id].slice(-2) : chosen.filter((other) => other !== id);
    compare.disabled = chosen.length !== 2;
    body.querySelectorAll("input").forEach((box) => { box.checked = chosen.includes(box.value); });
  };

  const line = (run) => h("tr", { "data-run": run.id },
    h("td", {}, h("input", { type: "checkbox", value: run.id, checked: chosen.includes(run.id), "aria-label": `Choose run ${run.id} to compare`, onchange: (event) => choose(run.id, event.target.checked) })),
    h("td", {}, h("a", { href: `#/run/${run.id}`, class: "mono" }, run.id), h("br"), h("span", { class: "soft small" }, when(run.started))),
    h("td", {}, status(run.status), run.message ? h("div", { class: "small" }, run.message) : null),
    h("td", {}, run.pipeline, h("br"), h("span", { class: "soft small" }, run.file)),
    h("td", {}, h("code", {}, run.arguments.map(quoted).join(" "))),
    h("td", {}, counted(run.counts) || `${run.instances}`),
    h("td", { class: "short" }, duration(run.seconds)));

  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (run) => `${run.id} ${run.status} ${run.pipeline} ${run.file} ${run.arguments.join(" ")}`.toLowerCase();
    const found = all.filter((run) => words.every((word) => text(run).includes(word)));
    const focused = document.activeElement?.closest?.("[data-run]")?.dataset.run;
    body.replaceChildren(...found.slice(0, most).map(line));
    if (focused) body.querySelector(`[data-run="${focused}"] a`)?.focus();
    more.hidden = found.length <= most;
    say(note, all.length === 0 ? "No run is recorded in this cache yet. A run shows up here as soon as it starts."
      : `${found.length} of ${all.length} runs${found.length > most ? `, the newest ${most} shown` : ""}`);
  };

  return poll(async () => {
    const now = await get("/api/live");
    const ids = new Set(now.runs.map((run) => run.id));
    for (const [id, one] of lives) {
      if (ids.has(id)) continue;
      one.element.remove();
      lives.delete(id);
    }
    for (const run of now.runs) {
      if (!lives.has(run.id)) {
        lives.set(run.id, live(run.id));
        under_way.append(lives.get(run.id).element);
      }
      lives.get(run.id).update(run);
    }
    await Promise.all([...lives.values()].map((one) => one.more()));
    if (now.stamp !== stamp) {
      const list = await get("/api/runs");
      all = list.runs;
      stamp = list.stamp;
      passed.hidden = list.passed_over.length === 0;
      say(passed.firstChild, `${list.passed_over.length} records are passed over`);
      passed.lastChild.replaceChildren(...list.passed_over.map(({ id, why }) => h("li", {}, `${id}: ${why}`)));
      draw();
    }
    return 1;
  });
};
