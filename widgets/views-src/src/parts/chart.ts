// A chart of numbers that keep coming: it holds all points and draws as few as look the same.
//
// For whoever does not see it, it says in a sentence how it goes and shows its last points as a table.

import UPLOT_STYLE from "uplot/dist/uPlot.min.css";
import { CHART_STYLE } from "./chart-style";
import { axisWords, lastOf, placeWords, summaryOf, valueWords, type Words } from "./chart-words";
import { Decimation, type Range } from "./decimation";
import { control, drawn, element } from "./elements";
import { canDraw, type Look, Plot } from "./plot";
import { type Point, Points } from "./points";
import { adopt } from "./style";
import { watchTheme } from "./theme";
import { nameWords, numberWords } from "./words";

export interface ChartSeries {
  label: string;
  /** It has few values, e.g. one after each epoch; else a missing one is a gap in the line. */
  sparse?: boolean;
  /** Other series have points of their own between its: a missing value is none of it. */
  joined?: boolean;
}

export interface ChartOptions {
  title: string;
  /** What is shown, in a line, if the title does not say it. */
  about?: string;
  /** Of the values, e.g. "epochs"; none if they have none. */
  unit?: string;
  series: readonly ChartSeries[];
  /** Values hold until the next one: no slopes. */
  stepped?: boolean;
  /** Offer a logarithmic axis. */
  logarithmic?: boolean;
  /** What x counts. */
  along?: string;
}

const LINE_PX = 2;
/** Lines differ in these too, not in colour alone; there are colours for as many. */
const DASHES: readonly (readonly number[])[] = [[], [6, 4], [2, 3], [12, 4], [8, 3, 2, 3], [4, 2]];
/** As many series as a chart can tell apart. */
export const MOST_SERIES = DASHES.length;
/** News are drawn no more often: a reader sees no difference, a slow machine does. */
const DRAW_EVERY_MS = 100;
const TABLE_POINTS = 20;
const SAY_EVERY_MS = 5000;

export class Chart {
  readonly element: HTMLElement;
  private readonly points: Points;
  private readonly decimation: Decimation;
  private readonly words: Words;
  private readonly life = new AbortController();
  private readonly resizes = new ResizeObserver(() => this.fit());
  private readonly canvas = element("div", { class: "plot" });
  private readonly picture = element("div", { role: "img" }, this.canvas);
  /** Where the colours of the lines are read. */
  private readonly colours: HTMLElement[];
  private readonly values = element("span", { class: "values" });
  private readonly table: HTMLElement;
  private readonly log = control("button", { type: "button", class: "small", "aria-pressed": "false" }, "Log scale");
  private readonly reset = control("button", { type: "button", class: "small", hidden: true }, "Reset zoom");
  private readonly toggle = control("button", { type: "button", class: "small", "aria-expanded": "false" }, "Show as table");
  private plot: Plot | null = null;
  private zoom: Range | null = null;
  private pointed: number | null = null;
  private frame = 0;
  private waiting: ReturnType<typeof setTimeout> | null = null;
  private drawnAt = Number.NEGATIVE_INFINITY;
  private telling: ReturnType<typeof setTimeout> | null = null;
  private adopted = false;

  constructor(private readonly options: ChartOptions) {
    const labels = options.series.map(({ label }) => label);
    this.words = { title: options.title, labels, along: options.along ?? "step", unit: options.unit ?? "" };
    this.points = new Points(options.series.length);
    this.decimation = new Decimation(this.points, options.series.map(skips));
    this.colours = labels.map((_, index) => element("span", { class: `line${index + 1}`, hidden: true }));
    this.picture.append(...this.colours);
    // It scrolls, so the keyboard must reach it.
    this.table = control("div", { class: "points", role: "region", tabindex: "0", "aria-label": `${options.title} as a table`, hidden: true });
    this.element = element(
      "figure",
      { class: "ady-chart" },
      element("figcaption", {}, element("span", { class: "title" }, options.title), this.values),
      ...(options.about ? [element("p", { class: "about" }, options.about)] : []),
      this.picture,
      element("div", { class: "row" }, this.toggle, ...(options.logarithmic ? [this.log] : []), this.reset),
      this.table,
    );
    this.listen();
    this.update();
  }

  /** How many points there are. */
  get length(): number {
    return this.points.length;
  }

  /** Add points; one whose x was there replaces all from there on, see `Points`. */
  append(points: Iterable<Point>): void {
    this.points.append(points);
    this.update();
  }

  /** Show these points instead. */
  set(points: Iterable<Point>): void {
    this.points.clear();
    this.append(points);
  }

  /** Draw now what has come; else that happens before the next frame. */
  draw(): void {
    this.cancel();
    this.drawnAt = performance.now();
    if (this.plot !== null) {
      // A line is two pixels wide: finer columns would cost as much again and look the same.
      this.decimation.show(this.zoom, this.plot.pixels / LINE_PX);
      this.plot.draw(this.decimation.table(), this.zoom ?? this.wholeRange());
    }
    this.showValues();
    if (!this.table.hidden) this.showTable();
    this.say();
  }

  close(): void {
    this.life.abort();
    this.resizes.disconnect();
    this.cancel();
    if (this.telling !== null) clearTimeout(this.telling);
    this.plot?.destroy();
    this.plot = null;
    this.element.remove();
  }

  private listen(): void {
    this.resizes.observe(this.picture);
    watchTheme(() => this.plot?.recolour(this.look()), this.life.signal);
    this.reset.addEventListener("click", () => this.zoomTo(null));
    this.log.addEventListener("click", () => this.rebuild(this.log.getAttribute("aria-pressed") !== "true"));
    this.toggle.addEventListener("click", () => {
      this.table.hidden = !this.table.hidden;
      this.toggle.setAttribute("aria-expanded", String(!this.table.hidden));
      this.toggle.textContent = this.table.hidden ? "Show as table" : "Hide table";
      this.draw();
    });
  }

  private update(): void {
    if (this.frame !== 0 || this.waiting !== null || this.life.signal.aborted) return;
    const ask = (): void => {
      this.waiting = null;
      this.frame = requestAnimationFrame(() => this.draw());
    };
    const early = this.drawnAt + DRAW_EVERY_MS - performance.now();
    if (early > 0) this.waiting = setTimeout(ask, early);
    else ask();
  }

  private cancel(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (this.waiting !== null) clearTimeout(this.waiting);
    this.waiting = null;
  }

  /** Be as wide as there is room; the first time that there is any, start to draw. */
  private fit(): void {
    const width = Math.floor(this.picture.clientWidth);
    if (width === 0 || this.life.signal.aborted) return;
    if (!this.adopted) adopt(this.element, UPLOT_STYLE, CHART_STYLE);
    this.adopted = true;
    if (this.plot !== null) this.plot.resize(width);
    else if (canDraw()) this.plot = this.build(width);
    this.update();
  }

  private build(width: number): Plot {
    return new Plot(this.canvas, width, this.look(), {
      lines: this.options.series.map((series, index) => ({ joined: skips(series), dots: series.sparse ?? false, dash: DASHES[index]! })),
      stepped: this.options.stepped ?? false,
      logarithmic: this.log.getAttribute("aria-pressed") === "true",
      words: axisWords,
      zoomed: (range) => this.zoomTo(range),
      unzoomed: () => this.zoomTo(null),
      pointed: (x) => {
        this.pointed = x;
        this.showValues();
      },
    });
  }

  private rebuild(logarithmic: boolean): void {
    this.log.setAttribute("aria-pressed", String(logarithmic));
    this.plot?.destroy();
    this.plot = null;
    this.fit();
  }

  private zoomTo(range: Range | null): void {
    const wasHere = document.activeElement === this.reset;
    this.zoom = range;
    this.reset.hidden = range === null;
    if (wasHere) this.toggle.focus();
    this.update();
  }

  private wholeRange(): Range {
    const last = this.points.length - 1;
    if (last < 0) return [0, 1];
    const [from, to] = [this.points.x(0), this.points.x(last)];
    return from === to ? [from - 1, to + 1] : [from, to];
  }

  /** Colours as they are computed now; a canvas knows no variables. */
  private look(): Look {
    const style = getComputedStyle(this.picture);
    return {
      ink: style.color,
      grid: style.borderTopColor,
      lines: this.colours.map((line) => getComputedStyle(line).color),
      font: `12px ${style.fontFamily}`,
    };
  }

  /** Under the pointer, or where it stands now. */
  private showValues(): void {
    const index = this.pointed === null ? this.points.length - 1 : this.points.nearest(this.pointed);
    if (index === null || index < 0) return this.values.replaceChildren();
    const shown = this.shownSeries();
    const parts = shown.flatMap((series) => {
      const { label, sparse, joined } = this.options.series[series]!;
      const at = joined || (sparse && this.pointed === null) ? lastOf(this.points, series, index) : index;
      const value = at === null ? Number.NaN : this.points.value(series, at);
      if (Number.isNaN(value)) return [];
      const name = shown.length > 1 ? [swatch(series), `${label} `] : [];
      return [element("span", {}, ...name, element("b", {}, valueWords(value, this.words.unit)))];
    });
    this.values.replaceChildren(element("span", { class: "soft" }, `${this.words.along} ${placeWords(this.points.x(index))}`), ...parts);
  }

  /** The series that have any value. */
  private shownSeries(): number[] {
    return [...this.options.series.keys()].filter((series) => lastOf(this.points, series) !== null);
  }

  private showTable(): void {
    const shown = this.shownSeries();
    const heads = [this.words.along, ...shown.map((series) => this.words.labels[series]!)];
    const rows: HTMLElement[] = [];
    for (let index = Math.max(0, this.points.length - TABLE_POINTS); index < this.points.length; index++) {
      const cells = shown.map((series) => element("td", { class: "number" }, numberWords(this.points.value(series, index))));
      rows.push(element("tr", {}, element("th", { scope: "row", class: "number" }, placeWords(this.points.x(index))), ...cells));
    }
    this.table.replaceChildren(
      element(
        "table",
        {},
        element("caption", {}, `${this.words.title}: the last ${rows.length} of ${numberWords(this.points.length)} points`),
        element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col", class: "number" }, nameWords(head))))),
        element("tbody", {}, ...rows),
      ),
    );
  }

  /** Tell a reader's software how it goes; not of every point. */
  private say(): void {
    if (this.telling !== null) return;
    this.picture.setAttribute("aria-label", summaryOf(this.points, this.words));
    this.telling = setTimeout(() => {
      this.telling = null;
      this.picture.setAttribute("aria-label", summaryOf(this.points, this.words));
    }, SAY_EVERY_MS);
  }
}

function skips({ sparse, joined }: ChartSeries): boolean {
  return (sparse ?? false) || (joined ?? false);
}

/** A piece of the line of a series. */
export function swatch(series: number): SVGElement {
  const line = drawn("line", { x1: 0, y1: 3, x2: 22, y2: 3, "stroke-dasharray": DASHES[series]!.join(" ") });
  return drawn("svg", { class: `swatch line${series + 1}`, viewBox: "0 0 22 6", "aria-hidden": "true" }, line);
}
