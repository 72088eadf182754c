// How many records are how long: bars, and a line where training would cut.

import { element } from "../../parts/elements";
import { countWords } from "../../parts/words";
import type { Lengths } from "./things";

/** Numbers below the bars; more would not fit beside each other where it is narrow. */
const TICKS = 5;

export function histogram({ bins, cutoff }: Pick<Lengths, "bins" | "cutoff">): HTMLElement {
  const most = Math.max(1, ...bins.map(({ records }) => records));
  const bars = bins.map((bin) => {
    const bar = element("span", { class: bin.start > cutoff ? "cut" : "", title: binWords(bin) });
    bar.style.height = `${(bin.records / most) * 100}%`;
    return bar;
  });
  const line = element("span", { class: "cutoff" }, element("span", {}, `cutoff ${cutoff.toLocaleString()}`));
  const place = (cutPlace(bins, cutoff) / Math.max(1, bins.length)) * 100;
  line.style.left = `${place}%`;
  line.classList.toggle("right", place > 70);
  const every = Math.max(1, Math.ceil(bins.length / TICKS));
  const ticks = bins.filter((_, index) => index % every === 0).map(({ start }) => element("span", {}, start.toLocaleString()));
  const label = `Records by their length in tokens, with a cutoff at ${cutoff.toLocaleString()}`;
  return element("div", { class: "histogram", role: "img", "aria-label": label }, element("div", { class: "bars" }, ...bars, line), element("div", { class: "ticks" }, ...ticks));
}

function binWords({ start, end, records }: Lengths["bins"][number]): string {
  return `${start === end ? start.toLocaleString() : `${start.toLocaleString()} to ${end.toLocaleString()}`} tokens: ${countWords(records, "record")}`;
}

/** Where among the bars a number of tokens lies, in bars. */
export function cutPlace(bins: Lengths["bins"], cutoff: number): number {
  const index = bins.findIndex(({ end }) => end >= cutoff);
  if (index < 0) return bins.length;
  const { start, end } = bins[index]!;
  return cutoff < start ? index : index + (cutoff - start + 1) / (end - start + 1);
}
