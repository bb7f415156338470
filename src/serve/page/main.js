// Chooses the view by the part of the address after `#`.

import { get, poll } from "./api.js";
import { h } from "./dom.js";
import { compare } from "./diff.js";
import { results } from "./results.js";
import { run } from "./run.js";
import { runs } from "./runs.js";

const VIEWS = [
  [/^#?\/?$/, runs, "#/"],
  [/^#\/run\/([^/]+)(?:\/(\w+))?$/, run, "#/"],
  [/^#\/results(?:\/([^/]+)(?:\/(\w+))?)?$/, results, "#/results"],
  [/^#\/compare(?:\/([^/]+)\/([^/]+))?$/, compare, "#/compare"],
];

let leave = () => {};

const enter = () => {
  // The link that skips to the content is no view.
  if (location.hash === "#main") return;
  leave();
  // Each view has an element of its own: an answer that comes after the view was left draws where nobody sees it.
  const main = h("div");
  document.getElementById("main").replaceChildren(main);
  const found = VIEWS.find(([pattern]) => pattern.test(location.hash));
  if (!found) {
    leave = () => {};
    main.replaceChildren(h("h1", {}, "No such page"), h("p", {}, h("a", { href: "#/" }, "All runs")));
    return;
  }
  const [pattern, view, at] = found;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === at) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = (words) => { document.title = `${words} · strata`; };
  leave = view(main, location.hash.match(pattern).slice(1).map((part) => part && decodeURIComponent(part)), title);
};

addEventListener("hashchange", () => {
  enter();
  if (location.hash !== "#main") document.getElementById("main").focus({ preventScroll: true });
});
enter();
poll(async () => {
  const about = await get("/api/about");
  document.getElementById("place").textContent = `${about.file ? `${about.file}, ` : ""}${about.cache} · strata ${about.version}`;
  return 0;
});
