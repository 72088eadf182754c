// A lock, drawn: not every machine has a font with one.

const SVG = "http://www.w3.org/2000/svg";
const OUTLINE = "M3.5 7V5a4.5 4.5 0 0 1 9 0v2h.5a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zM5.5 7h5V5a2.5 2.5 0 0 0-5 0z";

export function lockDrawing(): SVGSVGElement {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("aria-hidden", "true");
  drawing.classList.add("lock");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", OUTLINE);
  drawing.append(path);
  return drawing;
}
