// Which rows of a very long table are in sight. Pure arithmetic: no document.
//
// A browser caps how high an element may be, and a million rows are higher. So the element that is
// scrolled stays below that, and where it is shorter than the rows, its scroll position stands for a
// larger one: `position`, in pixels of the rows. A small scroll still moves the rows by as much as the
// wheel said; only a leap (the thumb was dragged) is scaled.

/** Firefox draws nothing beyond about 17.8 million pixels; the others go further. */
export const HEIGHT_LIMIT_PX = 12_000_000;

export interface Rows {
  /** The first row to draw, and the one behind the last. */
  first: number;
  end: number;
}

export class Window {
  private total = 0;
  private sight = 0;
  private last = 0;
  /** Pixels of the rows above the upper edge. */
  position = 0;

  constructor(
    readonly rowHeight: number,
    private readonly limit = HEIGHT_LIMIT_PX,
  ) {}

  /** Say how many rows there are and how many pixels are in sight. */
  fit(total: number, sight: number): void {
    this.total = total;
    this.sight = sight;
    this.position = this.within(this.position);
    this.last = this.scrollTop;
  }

  get height(): number {
    return Math.min(this.full, this.limit);
  }

  /** Where the scrolled element must stand to show `position`. */
  get scrollTop(): number {
    return Math.round(this.position * this.scale);
  }

  /** Take a new scroll position of the element. */
  scrolled(to: number): void {
    const by = to - this.last;
    this.last = to;
    const ends = to <= 0 || to >= this.height - this.sight;
    const leapt = ends || this.scale === 1 || Math.abs(by) > 2 * this.sight;
    this.position = this.within(leapt ? to / this.scale : this.position + by);
  }

  /** Whether the element has drifted from where it should stand; it is put there when all is still. */
  get drifted(): boolean {
    return Math.abs(this.last - this.scrollTop) > 1;
  }

  /** Stand where the element was put. */
  settle(): void {
    this.last = this.scrollTop;
  }

  /** The rows in sight, with some above and below. */
  rows(spare: number): Rows {
    const first = Math.floor(this.position / this.rowHeight);
    const end = Math.ceil((this.position + this.sight) / this.rowHeight);
    return { first: Math.max(0, first - spare), end: Math.min(this.total, end + spare) };
  }

  /** Where in the scrolled element a row begins now. */
  topOf(row: number): number {
    return row * this.rowHeight - this.position + this.last;
  }

  /** Move as little as shows the whole of a row; says whether anything moved. */
  reveal(row: number): boolean {
    const before = this.position;
    const top = row * this.rowHeight;
    if (top < this.position) this.position = this.within(top);
    else if (top + this.rowHeight > this.position + this.sight) this.position = this.within(top + this.rowHeight - this.sight);
    return this.position !== before;
  }

  /** How many whole rows are in sight: what PageDown moves by. */
  get rowsInSight(): number {
    return Math.max(1, Math.floor(this.sight / this.rowHeight));
  }

  private get full(): number {
    return this.total * this.rowHeight;
  }

  /** Pixels of the element for each pixel of the rows. */
  private get scale(): number {
    const free = this.full - this.sight;
    return free <= 0 || this.full <= this.limit ? 1 : (this.limit - this.sight) / free;
  }

  private within(position: number): number {
    return Math.max(0, Math.min(position, this.full - this.sight));
  }
}
