"use strict";
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("strata-theme"); } catch { return null; } };
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = stored() || preferred;

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const axis = () => ({ gridcolor: colour("--grid"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true });
  const deep = (base, over) => {
    for (const [key, value] of Object.entries(over)) {
      const inner = value && typeof value === "object" && !Array.isArray(value) && base[key];
      base[key] = inner ? deep(base[key], value) : value;
    }
    return base;
  };
  const layout = (own) => deep({
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--ink") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 20, t: 20, b: 50 }, height: 400,
    hoverlabel: { namelength: -1, bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--line"), activecolor: colour("--accent") },
    legend: { orientation: "h", y: -0.2, yanchor: "top", yref: "paper", title: { text: " " } }, xaxis: axis(), yaxis: axis(),
  }, structuredClone(own));

  const sprites = [...document.querySelectorAll("script.sprite")].map((script) => JSON.parse(script.textContent));
  const tip = document.getElementById("tip");
  const show = (sprite, tile, event) => {
    const edge = 96, column = tile % sprite.columns, row = Math.floor(tile / sprite.columns);
    tip.style.cssText = `width:${edge}px;height:${edge}px;left:${Math.min(event.clientX + 16, innerWidth - edge - 8)}px;` +
      `top:${Math.min(event.clientY + 16, innerHeight - edge - 8)}px;background-image:url(${sprite.source});` +
      `background-size:${sprite.columns * edge}px auto;background-position:${-column * edge}px ${-row * edge}px`;
    tip.hidden = false;
  };

  const hasWebgl = Boolean(document.createElement("canvas").getContext("webgl"));
  const drawn = new Set();
  const draw = (figure) => {
    if (drawn.has(figure) || !window.Plotly) return;
    drawn.add(figure);
    const plot = figure.querySelector(".plot"), own = JSON.parse(figure.querySelector("script").textContent);
    figure.own = own.layout;
    // A browser without WebGL draws the points of a map one by one.
    if (!hasWebgl) own.data.forEach((trace) => { if (trace.type === "scattergl") trace.type = "scatter"; });
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
    Plotly.newPlot(plot, own.data, layout(own.layout), config).then(() => {
      const sprite = own.layout.meta && sprites[own.layout.meta.sprite];
      if (sprite) {
        plot.on("plotly_hover", (hover) => show(sprite, hover.points[0].customdata, hover.event));
        plot.on("plotly_unhover", () => { tip.hidden = true; });
      }
      figure.dataset.drawn = "yes";
    });
  };
  const figures = [...document.querySelectorAll("figure.chart")];
  const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    seen.unobserve(entry.target);
    draw(entry.target);
  }), { rootMargin: "300px" });
  figures.forEach((figure) => seen.observe(figure));
  addEventListener("beforeprint", () => figures.forEach(draw));

  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("strata-theme", root.dataset.theme); } catch { /* a page from disk may not store */ }
    drawn.forEach((figure) => Plotly.relayout(figure.querySelector(".plot"), layout(figure.own)));
  });

  document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", async () => {
    const pre = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(pre.textContent);
    } catch {
      getSelection().selectAllChildren(pre);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy as CSV"; }, 1500);
  }));

  document.querySelectorAll("figure.dag").forEach((figure) => {
    const svg = figure.querySelector("svg"), all = svg.getAttribute("viewBox").split(" ").map(Number);
    let box = [...all], from = null;
    const set = () => svg.setAttribute("viewBox", box.join(" "));
    const zoom = (by, at = [0.5, 0.5]) => {
      box = [box[0] + box[2] * (1 - by) * at[0], box[1] + box[3] * (1 - by) * at[1], box[2] * by, box[3] * by];
      set();
    };
    const actions = { in: () => zoom(0.75), out: () => zoom(1.33), all: () => { box = [...all]; set(); } };
    figure.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", actions[button.dataset.zoom]));
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const frame = svg.getBoundingClientRect();
      zoom(event.deltaY < 0 ? 0.85 : 1.18, [(event.clientX - frame.x) / frame.width, (event.clientY - frame.y) / frame.height]);
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, ...box]; svg.setPointerCapture(event.pointerId); });
    svg.addEventListener("pointermove", (event) => {
      if (!from) return;
      const scale = box[2] / svg.getBoundingClientRect().width;
      box[0] = from[2] - (event.clientX - from[0]) * scale;
      box[1] = from[3] - (event.clientY - from[1]) * scale;
      set();
    });
    svg.addEventListener("pointerup", () => { from = null; });
    svg.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
      if (event.key === "+") zoom(0.75); else if (event.key === "-") zoom(1.33); else if (event.key === "0") actions.all();
      else if (steps[event.key]) { box[0] += steps[event.key][0] * box[2]; box[1] += steps[event.key][1] * box[3]; set(); }
      else return;
      event.preventDefault();
    });
  });
})();
