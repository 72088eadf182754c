// How many records are how long: bars, and a line where training would cut.

import { drawn, element } from "../../parts/elements";
import { countWords } from "../../parts/words";
import type { Lengths } from "./things";

const WIDTH = 640;
const HEIGHT = 180;
const FOOT = 22;
const TOP = 18;

export function histogram({ bins, cutoff }: Pick<Lengths, "bins" | "cutoff">): HTMLElement {
  const most = Math.max(1, ...bins.map(({ records }) => records));
  const step = WIDTH / Math.max(1, bins.length);
  const height = (records: number): number => (records === 0 ? 0 : Math.max(2, (records / most) * (HEIGHT - FOOT - TOP)));
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Records by their length in tokens, with a cutoff at ${cutoff.toLocaleString()}` });
  bins.forEach((bin, index) => {
    const tall = height(bin.records);
    const bar = drawn("rect", { x: index * step + 1, y: HEIGHT - FOOT - tall, width: Math.max(1, step - 2), height: tall, class: bin.start > cutoff ? "cut" : "" });
    bar.append(drawn("title", {}, binWords(bin)));
    svg.append(bar);
  });
  svg.append(drawn("line", { x1: 0, x2: WIDTH, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT, class: "axis" }), ...ticks(bins, step), ...cutLine(bins, cutoff, step));
  return element("div", { class: "histogram" }, svg);
}

function binWords({ start, end, records }: Lengths["bins"][number]): string {
  return `${start === end ? start.toLocaleString() : `${start.toLocaleString()} to ${end.toLocaleString()}`} tokens: ${countWords(records, "record")}`;
}

/** A few numbers below the bars. */
function ticks(bins: Lengths["bins"], step: number): SVGElement[] {
  const every = Math.max(1, Math.ceil(bins.length / 6));
  const shown = bins.map((bin, index) => ({ bin, index })).filter(({ index }) => index % every === 0);
  return shown.map(({ bin, index }) => drawn("text", { x: index * step + 1, y: HEIGHT - 6 }, bin.start.toLocaleString()));
}

function cutLine(bins: Lengths["bins"], cutoff: number, step: number): SVGElement[] {
  const x = cutPlace(bins, cutoff) * step;
  const right = x > WIDTH * 0.8;
  return [
    drawn("line", { x1: x, x2: x, y1: 0, y2: HEIGHT - FOOT, class: "cutoff" }),
    drawn("text", { x: right ? x - 5 : x + 5, y: 11, "text-anchor": right ? "end" : "start", class: "cutoff" }, `cutoff ${cutoff.toLocaleString()}`),
  ];
}

/** Where among the bars a number of tokens lies, in bars. */
export function cutPlace(bins: Lengths["bins"], cutoff: number): number {
  const index = bins.findIndex(({ end }) => end >= cutoff);
  if (index < 0) return bins.length;
  const { start, end } = bins[index]!;
  return cutoff < start ? index : index + (cutoff - start + 1) / (end - start + 1);
}
