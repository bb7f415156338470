// Makes elements, and writes amounts for people.

const SVG = "http://www.w3.org/2000/svg";

const filled = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
};

// Text becomes text nodes, so nothing that a user wrote is ever read as markup.
export const h = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

// Replaces the text of an element only if it differs, so that a reader's selection stays.
export const say = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const button = (words, onclick, attributes = {}) => h("button", { type: "button", ...attributes, onclick }, words);

export const select = (words, options, chosen, onchange) => {
  const list = h("select", { onchange: () => onchange(list.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return h("label", { class: "choice" }, `${words} `, list);
};

export const status = (word) => h("span", { class: `status ${word}` }, word.replace("_", " "));

export const bar = () => {
  const done = h("span", { class: "done" });
  const element = h("span", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, done);
  const set = (fraction, words) => {
    const percent = Math.round(100 * Math.min(1, Math.max(0, fraction || 0)));
    done.style.width = `${percent}%`;
    element.setAttribute("aria-valuenow", percent);
    element.setAttribute("aria-label", words);
    element.title = words;
  };
  return { element, set };
};

export const duration = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.round(seconds), two = (number) => String(number).padStart(2, "0");
  if (seconds < 0.0005) return "<1 ms";
  if (seconds < 0.9995) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${whole} s`;
  if (seconds < 3599.5) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
};

// JSON has no NaN, so such numbers come as words.
export const real = (value) => typeof value === "string" ? Number(value) : value;

export const number = (given) => {
  const value = real(given);
  if (value === null || value === undefined) return "";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return String(value);
  if (size < 1e-4 || size >= 1e9) return value.toExponential(3);
  return value.toFixed(Math.min(7, Math.max(0, 3 - Math.floor(Math.log10(size)))));
};

export const shown = (value, unit) => unit === "fraction" && Number.isFinite(value) ? (100 * value).toFixed(1) : number(value);

export const when = (time) => {
  const date = new Date(time), two = (number) => String(number).padStart(2, "0");
  if (Number.isNaN(date.getTime())) return time || "";
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};

export const counted = (counts) => Object.entries(counts || {}).filter(([, count]) => count > 0)
  .map(([word, count]) => `${count} ${word}`).join(", ");

export const left = (estimate) => {
  if (!estimate) return "";
  const more = estimate.unknown > 0 ? `${estimate.unknown} of unknown length` : "";
  if (estimate.seconds === null) return more && `time left unknown: ${more}`;
  return `about ${duration(Math.max(1, Math.round(estimate.seconds)))} left${more && ` and ${more}`}`;
};

// How far something is, in its units: `3 of 12 images`.
export const progressed = ({ done, total, unit }) => {
  const units = (count) => `${count} ${unit}${count === 1 ? "" : "s"}`;
  if (total > 0) return `${done} of ${units(total)}`;
  return done > 0 ? units(done) : "";
};

// A word as it is typed in a shell.
export const quoted = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
// A program that uses the library has no command line.
export const command = (run) => run.arguments.length > 0 ? ["strata run", ...run.arguments.map(quoted)].join(" ") : `${run.file}, run by a program`;

export const stageOf = (instance) => instance.split("@", 1)[0];
