// A chart's drawing: uPlot on a canvas. It knows the few points that it is given and nothing else.

import uPlot from "uplot";
import type { Range, Table } from "./decimation";

export interface Look {
  ink: string;
  grid: string;
  lines: readonly string[];
  font: string;
}

/** How one series is drawn. */
export interface Line {
  /** Drawn on over points that have no value of it. */
  joined: boolean;
  /** Each value is shown as a dot: there are few. */
  dots: boolean;
  /** Lengths of strokes and gaps; none is a whole line. */
  dash: readonly number[];
}

export interface PlotOptions {
  lines: readonly Line[];
  stepped: boolean;
  logarithmic: boolean;
  /** Values of the vertical axis, as words. */
  words: (value: number) => string;
  zoomed: (range: Range) => void;
  unzoomed: () => void;
  /** The reader points at an x, or no longer at any. */
  pointed: (x: number | null) => void;
}

/** 1, 2, 5, 10, 20, 50, … */
const WHOLE_INCREMENTS = Array.from({ length: 36 }, (_, index) => [1, 2, 5][index % 3]! * 10 ** Math.floor(index / 3));
const HEIGHT_PX = 190;
const AXIS_GAP_PX = 5;
const DRAG_PX = 8;

export class Plot {
  private readonly plot: uPlot;
  private range: Range = [0, 1];

  constructor(
    el: HTMLElement,
    width: number,
    private look: Look,
    private readonly options: PlotOptions,
  ) {
    this.plot = new uPlot(this.describe(width), [[], ...options.lines.map(() => [])], el);
  }

  /** The pixels that points can lie on. */
  get pixels(): number {
    return this.plot.bbox.width;
  }

  draw(table: Table, range: Range): void {
    this.range = range;
    this.plot.setData([table.xs, ...table.values]);
  }

  resize(width: number): void {
    if (width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT_PX });
  }

  recolour(look: Look): void {
    this.look = look;
    this.plot.redraw(false, true);
  }

  destroy(): void {
    this.plot.destroy();
  }

  private describe(width: number): uPlot.Options {
    return {
      width,
      height: HEIGHT_PX,
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false, dist: DRAG_PX }, bind: { dblclick: () => () => this.dblclick() } },
      scales: {
        x: { time: false, range: () => [...discernible(this.range)] },
        y: this.options.logarithmic ? { distr: 3, range: (_, low, high) => logRange(low, high) } : { range: (_, low, high) => linearRange(low, high) },
      },
      axes: [this.horizontal(), this.vertical()],
      series: [{}, ...this.options.lines.map((line, index) => this.line(line, index))],
      hooks: {
        setSelect: [(plot) => this.select(plot)],
        setCursor: [(plot) => this.point(plot)],
      },
    };
  }

  /** x counts. */
  private horizontal(): uPlot.Axis {
    return { ...this.axis(), size: 28, space: 48, incrs: WHOLE_INCREMENTS };
  }

  private vertical(): uPlot.Axis {
    const words = (value: number | null): string => (value === null ? "" : this.options.words(value));
    const whole = this.options.stepped ? { incrs: WHOLE_INCREMENTS } : {};
    const rounded = this.options.logarithmic ? { filter: (_: uPlot, splits: number[]) => roundSplits(splits) } : {};
    return { ...this.axis(), size: axisWidth, space: 32, values: (_, splits) => splits.map(words), ...whole, ...rounded };
  }

  private axis(): uPlot.Axis {
    return {
      stroke: () => this.look.ink,
      font: this.look.font,
      gap: AXIS_GAP_PX,
      grid: { stroke: () => this.look.grid, width: 1 },
      ticks: { show: false },
    };
  }

  private line({ joined, dots, dash }: Line, index: number): uPlot.Series {
    const stroke = (): string => this.look.lines[index]!;
    const points: uPlot.Series.Points = { size: 5, fill: stroke, ...(dots ? { show: true } : {}) };
    return {
      stroke,
      width: 2,
      spanGaps: joined,
      points,
      ...(dash.length > 0 ? { dash: [...dash] } : {}),
      ...(this.options.stepped ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
    };
  }

  private dblclick(): null {
    this.options.unzoomed();
    return null;
  }

  private select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < DRAG_PX) return;
    const range: Range = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.zoomed(range);
  }

  private point(plot: uPlot): void {
    const { left } = plot.cursor;
    this.options.pointed(left === undefined || left < 0 ? null : plot.posToVal(left, "x"));
  }
}

/** Whether there is a canvas to draw on: a reader without one still has words and the table. */
export function canDraw(): boolean {
  return document.createElement("canvas").getContext("2d") !== null;
}

/**
 * A range in which there are numbers to count: so far out that the next whole number is the same one,
 * uPlot would look for the end of its axis for ever.
 */
export function discernible([from, to]: Range): Range {
  const least = Math.max(Math.abs(from), Math.abs(to)) * 1e-12;
  return to - from >= least ? [from, to] : [from - least / 2, to + least / 2];
}

/** All of it and a little around; uPlot would give a line that is flat at zero the range from 0 to 100. */
function linearRange(low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : [low - Math.abs(low) / 10, low + Math.abs(low) / 10];
  return uPlot.rangeNum(low, high, 0.1, true);
}

/** All of it and a little around, not whole powers of ten: a loss hardly spans one. */
function logRange(low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null || high <= 0) return [0.1, 10];
  const least = Math.max(low, high * 1e-9);
  return [least / 1.1, high * 1.1];
}

/** Of the places on a logarithmic axis those with one digit, unless hardly any has. */
function roundSplits(splits: number[]): (number | null)[] {
  const kept = splits.map((value) => (Number(value.toPrecision(1)) === Number(value.toPrecision(6)) ? value : null));
  return kept.filter((value) => value !== null).length > 1 ? kept : splits;
}

/** As wide as the longest of its words. */
function axisWidth(plot: uPlot, values: string[] | null): number {
  const longest = (values ?? []).reduce((most, words) => Math.max(most, plot.ctx.measureText(words).width), 0);
  return Math.max(36, Math.ceil(longest / uPlot.pxRatio) + AXIS_GAP_PX + 8);
}
