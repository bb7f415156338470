// What happened in a run, as lines that grow; and what the program of one instance printed.

import { get } from "./api.js";
import { duration, h, number, progressed, when } from "./dom.js";

const WORDS = {
  run_started: (e) => `${e.pipeline}: ${e.stages} instances`,
  stage_started: (e) => `starts (${e.kind})`,
  progress: (e) => `${progressed(e)}${e.epoch ? `, epoch ${e.epoch}` : ""}${e.loss !== undefined ? `, loss ${number(e.loss)}` : ""}`,
  waiting: (e) => `waits for ${e.holder}`,
  resumed: (e) => `goes on from epoch ${e.epoch}, step ${e.step}`,
  checkpoint: (e) => `saved its state at epoch ${e.epoch}, step ${e.step}`,
  retrying: (e) => `is tried again (${e.again}): ${e.message}`,
  metric: (e) => `${e.name} = ${number(e.value)}${e.epoch !== undefined ? ` at epoch ${e.epoch}` : ""}`,
  warning: (e) => `warning: ${e.message}`,
  damaged: (e) => `input ${e.port} is damaged: ${e.message}`,
  source_changed: (e) => `${e.file} changed while it was read`,
  stopping: (e) => `stopping; waits for ${e.instances.join(", ")}`,
  stage_finished: (e) => `${e.status}${typeof e.seconds === "number" ? `, ${duration(e.seconds)}` : ""}${e.message ? `: ${e.message}` : ""}`,
  run_finished: (e) => `the run is over after ${duration(e.seconds)}`,
};

const MOST_LINES = 5000;

const written = (event) => {
  const time = when(event.time).slice(11);
  return `${time}  ${event.instance ? `${event.instance}  ` : ""}${(WORDS[event.event] || ((e) => e.event))(event)}`;
};

export const log = (id, main) => {
  const wanted = sessionStorage.getItem("strata-log") || "";
  sessionStorage.removeItem("strata-log");
  let next = 0, events = [], instances = [];
  const text = h("pre", { class: "log", tabindex: 0, role: "log", "aria-label": "Events" }), printed = h("div"), note = h("p", { class: "soft small" });
  const search = h("input", { type: "search", value: wanted, placeholder: "Filter: an instance, a word", "aria-label": "Filter the events", oninput: () => draw() });
  const all = h("input", { type: "checkbox", id: "all-events", onchange: () => draw() });
  main.append(h("div", { class: "tools" }, search, h("label", { class: "choice" }, all, " progress too")), note, text, printed);

  const fits = (event) => (all.checked || event.event !== "progress") && written(event).toLowerCase().includes(search.value.toLowerCase());
  const draw = () => {
    const is_at_end = text.scrollTop + text.clientHeight >= text.scrollHeight - 30;
    const found = events.filter(fits), cut = Math.max(0, found.length - MOST_LINES);
    text.textContent = found.slice(cut).map(written).join("\n");
    note.textContent = `${found.length} events${cut > 0 ? `, the last ${MOST_LINES} shown` : ""}`;
    if (is_at_end) text.scrollTop = text.scrollHeight;
    show();
  };

  let shown = null;
  const show = async () => {
    // An instance that the filter names in full has a log of its own.
    const one = instances.find((one) => one.instance === search.value && one.key);
    const key = one ? `${one.key} ${one.status}` : null;
    if (key === shown) return;
    shown = key;
    printed.replaceChildren();
    if (!one) return;
    const answer = await get(`/api/log/${one.key}`);
    printed.replaceChildren(h("h2", {}, `What ${one.instance} printed`), answer.log
      ? h("pre", { class: "log", tabindex: 0 }, answer.log)
      : h("p", { class: "soft" }, "Nothing is kept. Only programs of your own print; what the kinds of strata report is above."));
  };

  return {
    async update(answer) {
      instances = answer.instances;
      let grown = next === 0;
      for (;;) {
        const more = await get(`/api/runs/${id}/events?from=${next}`);
        if (more.next === next) break;
        next = more.next;
        events.push(...more.lines);
        grown = true;
      }
      if (grown) draw();
      else await show();
    },
  };
};
