// How many records are how long: bars, and a line where training would cut.

import { element } from "./elements";
import { countWords } from "./words";

/** Records of a length in tokens; both ends belong to it. */
export interface Bin {
  start: number;
  end: number;
  records: number;
}


/** Numbers below the bars; more would not fit beside each other where it is narrow. */
const TICKS = 5;
/** Nearer to the end than this, a number would run into the last one. */
const LAST_SHARE = 0.88;
/** So many times the next one, the longest bar would leave the others no height. */
const TOWERS = 8;

interface Shown {
  bins: readonly Bin[];
  cutoff: number | null;
  /** What the bars count; records if nothing is said. */
  what?: string;
}

/** `along` stands below the bars, as wide as they are. */
export function histogram({ bins, cutoff, what = "Records" }: Shown, along?: HTMLElement): HTMLElement {
  const [most = 1, next = 0] = bins.map(({ records }) => records).sort((one, other) => other - one);
  const logarithmic = next > 0 && most > TOWERS * next;
  const heightOf = (records: number): number => (logarithmic ? Math.log1p(records) / Math.log1p(most) : records / Math.max(1, most));
  const bars = bins.map((bin) => {
    const bar = element("span", { class: cutoff !== null && bin.start > cutoff ? "cut" : "", title: binWords(bin) });
    bar.style.height = `${heightOf(bin.records) * 100}%`;
    return bar;
  });
  const label = `${what} by their length in tokens${cutoff === null ? "" : `, with a cutoff at ${cutoff.toLocaleString()}`}`;
  const picture = element("div", { role: "img", "aria-label": label }, element("div", { class: "bars" }, ...bars, ...(cutoff === null ? [] : [lineAt(bins, cutoff)]), ...heights(most, logarithmic).map((records) => heightTick(records, heightOf(records)))), element("div", { class: "ticks" }, ...ticks(bins)));
  const said = element("p", { class: "hint" }, `${what}, by tokens.${logarithmic ? " The heights are logarithmic: one bar is far longer than the others." : ""}`);
  return element("div", { class: "histogram" }, said, picture, ...(along ? [along] : []));
}

function lineAt(bins: readonly Bin[], cutoff: number): HTMLElement {
  const beyond = (bins.at(-1)?.end ?? 0) < cutoff ? " →" : ""; // farther out than the bars go
  const line = element("span", { class: "cutoff" }, element("span", {}, `cutoff ${cutoff.toLocaleString()}${beyond}`));
  const place = cutShare(bins, cutoff);
  line.style.left = `${place * 100}%`;
  line.classList.toggle("right", place > 0.7);
  return line;
}

/** Numbers of records that stand beside the bars. */
function heights(most: number, logarithmic: boolean): number[] {
  if (!logarithmic) return most > 1 ? [0, Math.round(most / 2), most] : [0, most];
  const powers = Array.from({ length: Math.floor(Math.log10(most)) }, (_, power) => 10 ** power).filter((one) => one * 3 < most);
  return [0, ...powers.slice(-3), most];
}

function heightTick(records: number, share: number): HTMLElement {
  const tick = element("b", {}, records.toLocaleString());
  tick.style.bottom = `${share * 100}%`;
  return tick;
}

/** Numbers of tokens, each where its bar begins, and the last where the bars end. */
function ticks(bins: readonly Bin[]): HTMLElement[] {
  const every = Math.max(1, Math.ceil(bins.length / TICKS));
  const made = bins.flatMap(({ start }, index) => {
    const share = index / bins.length;
    if (index % every !== 0 || share > LAST_SHARE) return [];
    const tick = element("span", {}, start.toLocaleString());
    tick.style.left = `${share * 100}%`;
    return [tick];
  });
  const last = bins.at(-1);
  return last ? [...made, element("span", { class: "last" }, last.end.toLocaleString())] : made;
}

function binWords({ start, end, records }: Bin): string {
  return `${start === end ? start.toLocaleString() : `${start.toLocaleString()} to ${end.toLocaleString()}`} tokens: ${countWords(records, "record")}`;
}

/** Where among the bars a number of tokens lies, in bars. */
export function cutPlace(bins: readonly Bin[], cutoff: number): number {
  const index = bins.findIndex(({ end }) => end >= cutoff);
  if (index < 0) return bins.length;
  const { start, end } = bins[index]!;
  return cutoff < start ? index : index + (cutoff - start + 1) / (end - start + 1);
}

/** Where along all bars a number of tokens lies, from 0 to 1. */
export function cutShare(bins: readonly Bin[], cutoff: number): number {
  return cutPlace(bins, cutoff) / Math.max(1, bins.length);
}

/** The number of tokens at a place along the bars. */
export function cutAt(bins: readonly Bin[], share: number): number {
  const place = Math.min(Math.max(share, 0), 1) * bins.length;
  const bin = bins[Math.min(Math.floor(place), bins.length - 1)];
  if (!bin) return 1;
  return Math.max(1, Math.round(bin.start - 1 + (place - bins.indexOf(bin)) * (bin.end - bin.start + 1)));
}

export const HISTOGRAM_STYLE = `
.ady .histogram { display: flex; flex-direction: column; gap: 22px; padding-left: 52px; }
.ady .histogram > .hint { margin-left: -52px; }
.ady .histogram > input[type=range] { margin: -16px -8px 0; width: calc(100% + 16px); }
.ady .bars > b { position: absolute; right: 100%; width: 50px; padding-right: 6px; transform: translateY(50%); font-size: 12px; font-weight: 400; text-align: right; color: var(--soft); font-variant-numeric: tabular-nums; }
.ady .bars { position: relative; display: flex; gap: 2px; align-items: flex-end; height: 170px; border-bottom: 1px solid var(--rim); }
.ady .bars > span:not(.cutoff) { flex: 1 1 0; min-height: 1px; background: var(--fill); border-radius: 2px 2px 0 0; }
.ady .bars > .cut:not(.cutoff) { background: color-mix(in srgb, var(--bad) 70%, var(--paper)); }
.ady .bars > .cutoff { position: absolute; top: -18px; bottom: 0; border-left: 2px dashed var(--bad); }
.ady .cutoff > span { position: absolute; top: -2px; left: 6px; white-space: nowrap; font-size: 12px; font-weight: 600; color: var(--bad); }
.ady .cutoff.right > span { left: auto; right: 6px; }
.ady .ticks { position: relative; height: 20px; font-size: 12px; color: var(--soft); }
.ady .ticks > span { position: absolute; }
.ady .ticks > .last { right: 0; }
`;
