// Tries a report as a reader would: has it drawn as for the printer, points at a curve, switches the theme. Its value is what it saw.
(async () => {
  const wait = (time) => new Promise((done) => setTimeout(done, time));
  const figures = [...document.querySelectorAll("figure.chart")];
  // Figures are drawn when they come into view, which a browser without a screen never sees, or for the printer.
  dispatchEvent(new Event("beforeprint"));
  await wait(3000);
  const drawn = figures.filter((figure) => figure.dataset.drawn && figure.querySelector(".main-svg"));
  const plot = document.querySelector("#simclr-loss .plot");
  Plotly.Fx.hover(plot, [{ curveNumber: 0, pointNumber: 0 }]);
  await wait(300);
  const tooltip = plot.querySelector(".hoverlayer").childElementCount > 0;
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const ink = () => getComputedStyle(plot.querySelector(".xtitle")).fill;
  const before = [paper(), ink()];
  document.getElementById("theme").click();
  await wait(500);
  const after = [paper(), ink()];
  const wide = [...document.querySelectorAll("body *")].filter((e) => !e.closest(".table, pre, .plot, svg") &&
    e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + "." + e.className);
  return { figures: figures.length, drawn: drawn.length, tooltip, before, after, wide };
})()
