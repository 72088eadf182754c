// Few points that draw like all of them: of each column of pixels the first, the last, the lowest and
// the highest point of every series stay, and one gap.
// Source: Jugel et al., M4: a visualization-oriented time series data aggregation, VLDB 2014.
//
// Columns are as wide as a power of two in x, between half and a whole pixel column. One more point
// touches the last column only; when there are too many columns they are merged in pairs. So the
// result is the same whether points came one by one or all at once.

import type { Points } from "./points";

export type Range = readonly [from: number, to: number];

/** All x, and the values of each series at them. */
export interface Table {
  xs: number[];
  values: (number | null)[][];
}

const FINEST_POWER = -10;
/** In the place of an index: there is none. */
const NONE = -1;
// A column: key, first and last index; then for each series the indices of lowest, highest and a gap.
const FIRST = 0;
const LAST = 1;
const SHARED = 2;
const LOW = 0;
const HIGH = 1;
const GAP = 2;
const EACH = 3;

export class Decimation {
  private columns = 1;
  private range: Range | null = null;
  private keys: number[] = [];
  private indices: number[] = [];
  private power = FINEST_POWER;
  private seen = 0;
  private version = -1;
  private complete = false;
  private readonly stride: number;

  constructor(
    private readonly points: Points,
    /** Series that have few values: there, having none is no gap. */
    private readonly sparse: readonly boolean[],
  ) {
    this.stride = SHARED + EACH * points.series;
  }

  /** Look at this range of x only (null: all), on so many pixels. */
  show(range: Range | null, columns: number): void {
    const wanted = Math.max(1, Math.floor(columns));
    if (wanted === this.columns && range?.[0] === this.range?.[0] && range?.[1] === this.range?.[1]) return;
    this.columns = wanted;
    this.range = range;
    this.version = -1;
  }

  /** The points to draw, with all that has come since. */
  table(): Table {
    this.update();
    const table: Table = { xs: [], values: Array.from({ length: this.points.series }, () => []) };
    const kept = new Int32Array(this.stride);
    for (let start = 0; start < this.indices.length; start += this.stride) this.write(start, kept, table);
    return table;
  }

  private update(): void {
    if (this.version !== this.points.version) this.restart();
    for (; this.seen < this.points.length && !this.complete; this.seen++) {
      this.put(this.seen);
      // One point beyond the range leads the line out of it.
      this.complete = this.range !== null && this.points.x(this.seen) > this.range[1];
    }
  }

  private restart(): void {
    this.version = this.points.version;
    this.empty();
    this.complete = false;
    this.seen = this.range === null ? 0 : Math.max(0, this.points.find(this.range[0]) - 1);
  }

  private empty(): void {
    this.keys = [];
    this.indices = [];
    this.power = FINEST_POWER;
  }

  private put(index: number): void {
    // Of the points left of the range, the last one leads the line into it.
    if (this.range !== null && this.points.x(index) < this.range[0]) this.empty();
    const key = this.keyOf(index);
    const last = this.keys.length - 1;
    if (last < 0 || this.keys[last] !== key) this.open(index, key);
    else this.join(last * this.stride, index);
    while (this.keys.at(-1)! - this.keys[0]! >= 2 * this.columns) this.halve();
  }

  private keyOf(index: number): number {
    return Math.floor(this.points.x(index) * 2 ** -this.power);
  }

  private open(index: number, key: number): void {
    this.keys.push(key);
    this.indices.push(index, index);
    for (let series = 0; series < this.points.series; series++) {
      const none = Number.isNaN(this.points.value(series, index));
      this.indices.push(none ? NONE : index, none ? NONE : index, none && !this.sparse[series] ? index : NONE);
    }
  }

  private join(start: number, index: number): void {
    this.indices[start + LAST] = index;
    for (let series = 0; series < this.points.series; series++) {
      const none = Number.isNaN(this.points.value(series, index));
      const at = start + SHARED + EACH * series;
      if (!none) this.widen(series, at, index, index);
      else if (!this.sparse[series] && this.indices[at + GAP] === NONE) this.indices[at + GAP] = index;
    }
  }

  /** Let lowest and highest at `at` also cover those of another place. */
  private widen(series: number, at: number, low: number, high: number): void {
    const { indices, points } = this;
    const lowest = indices[at + LOW]!;
    const highest = indices[at + HIGH]!;
    if (lowest === NONE || points.value(series, low) < points.value(series, lowest)) indices[at + LOW] = low;
    if (highest === NONE || points.value(series, high) > points.value(series, highest)) indices[at + HIGH] = high;
  }

  /** Make columns twice as wide. */
  private halve(): void {
    this.power++;
    const { keys, indices, stride } = this;
    let kept = NONE;
    for (let column = 0; column < keys.length; column++) {
      const key = Math.floor(keys[column]! / 2);
      const start = column * stride;
      if (kept !== NONE && keys[kept] === key) {
        this.merge(kept * stride, start);
        continue;
      }
      kept++;
      keys[kept] = key;
      if (kept !== column) for (let field = 0; field < stride; field++) indices[kept * stride + field] = indices[start + field]!;
    }
    keys.length = kept + 1;
    indices.length = keys.length * stride;
  }

  private merge(into: number, from: number): void {
    const { indices } = this;
    indices[into + LAST] = indices[from + LAST]!;
    for (let series = 0; series < this.points.series; series++) {
      const at = into + SHARED + EACH * series;
      const other = from + SHARED + EACH * series;
      if (indices[other + LOW] !== NONE) this.widen(series, at, indices[other + LOW]!, indices[other + HIGH]!);
      if (indices[at + GAP] === NONE) indices[at + GAP] = indices[other + GAP]!;
    }
  }

  /** Write one column's points, each once and in order. */
  private write(start: number, kept: Int32Array, table: Table): void {
    let count = 0;
    for (let field = FIRST; field < this.stride; field++) {
      const index = this.indices[start + field]!;
      if (index === NONE) continue;
      let place = count;
      while (place > 0 && kept[place - 1]! > index) place--;
      if (place > 0 && kept[place - 1] === index) continue;
      kept.copyWithin(place + 1, place, count++);
      kept[place] = index;
    }
    for (let place = 0; place < count; place++) this.writePoint(kept[place]!, table);
  }

  private writePoint(index: number, table: Table): void {
    table.xs.push(this.points.x(index));
    for (let series = 0; series < this.points.series; series++) {
      const value = this.points.value(series, index);
      table.values[series]!.push(Number.isNaN(value) ? null : value);
    }
  }
}
