// A table of any length: only the rows in view are elements. A click on a header sorts, best first where that is known.

import { h } from "./dom.js";

const HEIGHT = 30;
const WIDEST = 44;

const isNone = (value) => value === undefined || value === null || value === "" || Number.isNaN(value);

const compared = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
};

// `columns` are { key, title, value(row), text(row), cell(row)?, isNumber, better? }. Returns { element, show(rows), choose(columns) }.
export const table = (label, columns, { sort, onsort = () => {} } = {}) => {
  let shown = columns, rows = [], order = [], sorted = sort || null, drawn = "";
  const head = h("thead"), body = h("tbody"), widths = h("colgroup");
  const inner = h("table", { "aria-label": label }, widths, head, body);
  const element = h("div", { class: "grid-table", tabindex: 0, role: "group", "aria-label": `${label}, scrollable` }, inner);

  const arrange = () => {
    const column = sorted && shown.find((column) => column.key === sorted.key);
    order = rows;
    if (column) {
      const sign = sorted.down ? -1 : 1;
      const keyed = rows.map((row, at) => [column.value(row), at, row]);
      // What has no value comes last, whichever way the others go; equals keep their order.
      keyed.sort(([a, i], [b, j]) => isNone(a) - isNone(b) || (isNone(a) ? 0 : sign * compared(a, b)) || i - j);
      order = keyed.map(([, , row]) => row);
    }
    drawn = "";
    draw();
  };

  const press = (column) => {
    const first = column.isNumber && !column.isParameter && column.better !== "lower";
    const again = sorted && sorted.key === column.key;
    sorted = { key: column.key, down: again ? !sorted.down : first };
    heads();
    arrange();
    onsort(sorted);
  };

  const heads = () => {
    const focused = document.activeElement?.dataset?.column;
    head.replaceChildren(h("tr", {}, shown.map((column) => {
      const is = sorted && sorted.key === column.key;
      const press_it = h("button", { type: "button", "data-column": column.key, title: column.help || `Sort by ${column.title}`, onclick: () => press(column) },
        column.head || column.title, is ? (sorted.down ? " ↓" : " ↑") : "");
      return h("th", { scope: "col", class: column.isNumber ? "number" : "", "aria-sort": is ? (sorted.down ? "descending" : "ascending") : null }, press_it);
    })));
    if (focused) head.querySelector(`[data-column="${CSS.escape(focused)}"]`)?.focus();
  };

  const measure = () => {
    widths.replaceChildren(...shown.map((column) => {
      let longest = Math.min((column.head || column.title).length + 4, 26);
      for (const row of rows) longest = Math.max(longest, column.text(row).length);
      const col = h("col");
      col.style.width = `calc(${Math.min(longest, WIDEST)}ch + 22px)`;
      return col;
    }));
  };

  const draw = () => {
    const top = element.scrollTop, high = element.clientHeight || 600;
    const first = Math.max(0, Math.floor(top / HEIGHT) - 8), last = Math.min(order.length, Math.ceil((top + high) / HEIGHT) + 8);
    const now = `${first} ${last}`;
    if (now === drawn) return;
    drawn = now;
    const space = (count) => {
      const cell = h("td", { colspan: shown.length });
      cell.style.height = `${count * HEIGHT}px`;
      return count > 0 ? h("tr", { class: "space", "aria-hidden": "true" }, cell) : null;
    };
    const line = (row, at) => h("tr", { "aria-rowindex": first + at + 2 }, shown.map((column) => {
      const text = column.text(row);
      return h("td", { class: column.isNumber ? "number" : "", title: text.length > 24 ? text : null }, column.cell ? column.cell(row) : text);
    }));
    const lines = [space(first), ...order.slice(first, last).map(line), space(order.length - last)];
    body.replaceChildren(...lines.filter(Boolean));
    inner.setAttribute("aria-rowcount", order.length + 1);
  };

  element.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(element);
  heads();
  return {
    element,
    show(next) {
      rows = next;
      measure();
      arrange();
    },
    choose(next) {
      shown = next;
      heads();
      measure();
      arrange();
    },
    order: () => order,
  };
};
