// One run: how it stands, its curves, graph, report, log, and the file that it read.

import { get, poll } from "./api.js";
import { curves } from "./curves.js";
import { bar, command, counted, duration, h, left, number, real, say, status, when } from "./dom.js";
import { graph } from "./graph.js";
import { log } from "./log.js";
import { ended, working } from "./runs.js";
import { table } from "./table.js";

const PARTS = [["", "Overview"], ["curves", "Curves"], ["graph", "Graph"], ["report", "Report"], ["log", "Log"], ["file", "File"]];
const WORDS = ["cached", "restored", "ran", "resumed", "running", "failed", "blocked", "lost", "stopped", "waiting", "not_run"];

// How many instances of each stage have which status.
const stages = () => {
  const element = h("div", { class: "scroll" });
  return {
    element,
    update(instances) {
      const all = new Map();
      for (const one of instances) {
        if (!all.has(one.stage)) all.set(one.stage, { kind: one.kind, seconds: 0, counts: {}, count: 0 });
        const of = all.get(one.stage);
        of.count += 1;
        of.counts[one.status] = (of.counts[one.status] || 0) + 1;
        if (["ran", "resumed"].includes(one.status)) of.seconds += one.seconds || 0;
      }
      element.replaceChildren(h("table", { class: "stack", "aria-label": "Stages" },
        h("thead", {}, h("tr", {}, ["Stage", "Kind", "Instances", "", "Time of what ran"].map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, [...all].map(([stage, of]) => {
          const parts = h("span", { class: "bar parts", "aria-hidden": "true" }, WORDS.filter((word) => of.counts[word]).map((word) => {
            const part = h("span", { class: `part ${word}` });
            part.style.width = `${100 * of.counts[word] / of.count}%`;
            return part;
          }));
          const words = Object.fromEntries(WORDS.filter((word) => of.counts[word]).map((word) => [word.replace("_", " "), of.counts[word]]));
          return h("tr", {}, h("td", {}, h("b", {}, stage)), h("td", {}, of.kind), h("td", {}, counted(words)), h("td", {}, parts),
            h("td", {}, of.seconds > 0 ? duration(of.seconds) : ""));
        }))));
    },
  };
};

const columns = (id, instances) => {
  const metrics = [...new Set(instances.flatMap((one) => Object.keys(one.metrics)))].sort();
  return [
    { key: "instance", title: "instance", value: (one) => one.instance, text: (one) => one.instance },
    { key: "status", title: "status", value: (one) => one.status, text: (one) => one.status.replace("_", " "), cell: (one) => status(one.status) },
    { key: "seconds", title: "time", isNumber: true, value: (one) => one.seconds, text: (one) => duration(one.seconds) },
    { key: "log", title: "log", value: () => "", text: () => "log", cell: (one) => one.key ? h("a", { href: `#/run/${id}/log`, onclick: () => sessionStorage.setItem("strata-log", one.instance) }, "log") : "" },
    ...metrics.map((name) => ({ key: name, title: name, isNumber: true, value: (one) => real(one.metrics[name]), text: (one) => number(one.metrics[name]) })),
  ];
};

const overview = (id, main) => {
  const at_work = working(), by_stage = stages(), troubles = h("div"), facts = h("dl", { class: "facts" });
  const list = table("Instances", columns(id, []));
  let known = "";
  main.append(at_work.element, troubles, h("h2", {}, "Stages"), by_stage.element, h("h2", {}, "Instances"), list.element, h("h2", {}, "What it was asked"), facts);
  return {
    async update({ run, asked, instances }) {
      at_work.update(run.working);
      const state = JSON.stringify(instances.map(({ status, seconds, metrics, message, warnings }) => [status, seconds, metrics, message, warnings]));
      if (state === known) return;
      known = state;
      by_stage.update(instances);
      list.choose(columns(id, instances));
      list.show(instances);
      const failed = instances.filter((one) => one.status === "failed"), warned = instances.filter((one) => one.warnings.length > 0);
      const same = new Map();
      for (const one of failed) same.set(one.message, [...(same.get(one.message) || []), one.instance]);
      troubles.replaceChildren(...[...same].map(([message, names]) => h("section", { class: "card" }, h("h3", { class: "wrong" }, names.length > 1 ? `${names.length} instances failed` : `${names[0]} failed`),
        h("pre", { class: "log" }, message || ""), names.length > 1 ? h("details", {}, h("summary", {}, "Which"), h("ul", {}, names.map((name) => h("li", {}, name)))) : null)),
        ...(warned.length > 0 ? [h("details", { class: "card" }, h("summary", {}, `Warnings of ${warned.length} instances`),
          h("ul", {}, warned.flatMap((one) => one.warnings.map((words) => h("li", {}, `${one.instance}: ${words}`)))))] : []));
      const git = asked.git ? `${asked.git.commit || "no commit yet"}${asked.git.dirty ? ", with changes since" : ""}` : "";
      const lines = [["command", command(run)], ["file", `${asked.root}/${run.file}`], ["started", when(run.started)], ["machine", `${asked.host}, process ${asked.pid}`],
        ["strata", asked.version], ["git", git], ["targets", asked.targets.join(" ")], ["until", asked.until.join(" ")]];
      facts.replaceChildren(...lines.filter(([, words]) => words).flatMap(([name, words]) => [h("dt", {}, name), h("dd", {}, h("code", {}, words))]));
    },
  };
};

const drawn_curves = (id, main) => {
  const all = curves(id), none = h("p", { class: "soft" }, "No curve yet. Stages that train report one value for each epoch.");
  main.append(none, all.element);
  return { async update() { none.hidden = await all.more() > 0; } };
};

const report = (id, main) => {
  const words = h("p", { class: "soft" }, "The report is made from the results that are in the cache now. ", h("a", { href: `/report/${id}`, target: "_blank", rel: "noopener" }, "Open it alone"), ".");
  main.append(words);
  // Asked first without showing it, because what a frame shows of a refusal is nothing for people.
  return {
    async update() {
      if (main.querySelector("iframe")) return;
      const answer = await fetch(`/report/${id}`, { method: "HEAD" });
      if (answer.ok) main.append(h("iframe", { class: "report", src: `/report/${id}`, title: "Report of the run", sandbox: "allow-scripts" }));
      else await get(`/report/${id}`);
    },
  };
};

const file = (id, main) => ({
  async update() {
    if (main.querySelector("pre")) return;
    const answer = await get(`/api/runs/${id}/file`);
    for (const { file, text } of [answer, ...answer.included]) main.append(h("h2", {}, file), h("pre", { class: "log", tabindex: 0 }, text));
  },
});

const VIEWS = { "": overview, curves: drawn_curves, graph, report, log, file };

export const run = (main, [id, part = ""], title) => {
  if (!(part in VIEWS)) {
    location.replace(`#/run/${id}`);
    return () => {};
  }
  title(`Run ${id}`);
  const name = h("h1", {}, "Run ", h("span", { class: "mono" }, id)), state = h("span"), facts = h("p", { class: "soft" }), progress = bar(), inside = h("div"), words = h("p", {}, h("code"));
  main.replaceChildren(h("div", { class: "head" }, name, state), words, facts, progress.element,
    h("nav", { "aria-label": "Parts of the run" }, PARTS.map(([at, title]) => h("a", { href: `#/run/${id}${at && `/${at}`}`, "aria-current": at === part ? "page" : null }, title))), inside);
  const view = VIEWS[part](id, inside);
  const stop = poll(async () => {
    const answer = await get(`/api/runs/${id}`);
    const { run } = answer, done = ended(run);
    if (state.textContent !== run.status) state.replaceChildren(status(run.status));
    say(words.firstChild, command(run));
    say(facts, [run.pipeline, `started ${when(run.started)}`, run.seconds !== null && duration(run.seconds), counted(run.counts).replaceAll("_", " "), left(run.left), run.message].filter(Boolean).join(" · "));
    progress.element.hidden = run.status !== "running";
    progress.set(run.instances ? done / run.instances : 0, `${done} of ${run.instances} instances done`);
    await view.update(answer);
    return run.status === "running" ? 1 : 0;
  });
  return () => { stop(); view.leave?.(); };
};
