// The points of a chart, in columns of typed arrays. `NaN` stands for "no value here".
//
// What always holds: x grows from point to point. A point that comes again with the x of the last one
// completes it; one that lies further back replaces everything from there on, because a run that was
// lost goes on from an earlier step.

/** One x and a value for each series; null leaves a gap. */
export interface Point {
  x: number;
  values: readonly (number | null | undefined)[];
}

const FIRST_CAPACITY = 1024;

export class Points {
  length = 0;
  /** Changes when points that were there before are no longer the same. */
  version = 0;
  private xs = new Float64Array(FIRST_CAPACITY);
  private readonly columns: Float64Array[];

  constructor(readonly series: number) {
    this.columns = Array.from({ length: series }, () => new Float64Array(FIRST_CAPACITY));
  }

  x(index: number): number {
    return this.xs[index]!;
  }

  /** The value of a series at a point; NaN if it has none. */
  value(series: number, index: number): number {
    return this.columns[series]![index]!;
  }

  append(points: Iterable<Point>): void {
    for (const point of points) this.add(point);
  }

  clear(): void {
    this.length = 0;
    this.version++;
  }

  /** The index of the first point that is not left of x; `length` if there is none. */
  find(x: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.xs[middle]! < x) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The index of the point that is nearest to x; null if there is none. */
  nearest(x: number): number | null {
    if (this.length === 0) return null;
    const right = Math.min(this.find(x), this.length - 1);
    const left = Math.max(right - 1, 0);
    return x - this.xs[left]! <= this.xs[right]! - x ? left : right;
  }

  private add({ x, values }: Point): void {
    const last = this.length - 1;
    const fresh = last < 0 || x > this.xs[last]!;
    if (!fresh && x < this.xs[last]!) this.cut(x);
    const again = this.length > 0 && this.xs[this.length - 1] === x;
    const index = again ? this.length - 1 : this.length++;
    if (again) this.version++;
    this.grow();
    this.xs[index] = x;
    this.columns.forEach((column, series) => {
      const value = values[series] ?? Number.NaN;
      if (!again || !Number.isNaN(value)) column[index] = value;
    });
  }

  private cut(x: number): void {
    this.length = this.find(x);
    this.version++;
  }

  private grow(): void {
    if (this.length <= this.xs.length) return;
    const larger = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const made = new Float64Array(old.length * 2);
      made.set(old);
      return made;
    };
    this.xs = larger(this.xs);
    this.columns.forEach((column, series) => (this.columns[series] = larger(column)));
  }
}
