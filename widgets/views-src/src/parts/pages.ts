// The pages of a long list: what is known of it, and what is asked for next.
//
// - At most a few requests run at once; the pages in sight come first.
// - A page that is out of sight again before it came is given up.
// - What was asked before `reload` never shows.

export interface Page<Row> {
  rows: readonly Row[];
  total: number;
}

/** Fetch up to `limit` rows from `offset` on. Fewer may come where rows are large. */
export type FetchPage<Row> = (offset: number, limit: number, signal: AbortSignal) => Promise<Page<Row>>;

const AT_ONCE = 3;
/** Pages kept; the ones that were used last stay. */
const KEPT = 80;

interface Kept<Row> {
  rows: Row[];
  fresh: boolean;
}

/** Pages by number, the one used last at the end. */
export class PageCache<Row> {
  private readonly pages = new Map<number, Kept<Row>>();

  constructor(
    readonly size: number,
    private readonly kept = KEPT,
  ) {}

  row(index: number): Row | undefined {
    return this.pages.get(Math.floor(index / this.size))?.rows[index % this.size];
  }

  put(page: number, rows: Row[]): void {
    this.pages.delete(page);
    this.pages.set(page, { rows, fresh: true });
    for (const oldest of this.pages.keys()) {
      if (this.pages.size <= this.kept) break;
      this.pages.delete(oldest);
    }
  }

  /** Keep these for longer than the others. */
  use(pages: readonly number[]): void {
    for (const page of pages) {
      const kept = this.pages.get(page);
      if (!kept) continue;
      this.pages.delete(page);
      this.pages.set(page, kept);
    }
  }

  fresh(page: number): boolean {
    return this.pages.get(page)?.fresh ?? false;
  }

  /** Everything may have changed: still good to show, but to be asked for again. */
  age(): void {
    for (const page of this.pages.values()) page.fresh = false;
  }
}

/** The pages that hold the rows from `first` to before `end`, and then those beside them. */
export function pagesOf(first: number, end: number, size: number, total: number): number[] {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  const from = Math.min(Math.floor(first / size), last);
  const to = Math.min(Math.max(from, Math.floor((end - 1) / size)), last);
  const inSight = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return [...inSight, to + 1, from - 1].filter((page) => page >= 0 && page <= last);
}

export class Pages<Row> {
  total = 0;
  private cache: PageCache<Row>;
  /** Whether what is shown is of before `reload`. */
  private outdated = true;
  private wanted: readonly number[] = [0];
  private readonly running = new Map<number, AbortController>();
  private failed = new Set<number>();
  private generation = 0;
  private closed = false;

  constructor(
    private readonly fetchPage: FetchPage<Row>,
    private readonly size: number,
    /** Something new is known; `restarted` if it replaces everything. */
    private readonly onChange: (restarted: boolean) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    this.cache = new PageCache(size);
  }

  row(index: number): Row | undefined {
    return this.cache.row(index);
  }

  /** Whether what was asked anew is still to come. */
  get waiting(): boolean {
    return this.outdated && !this.failed.has(0);
  }

  /** Ask for the rows in sight. */
  want(first: number, end: number): void {
    if (this.outdated) return; // first of all the first page, which says how many rows there are
    this.wanted = pagesOf(first, end, this.size, this.total);
    this.cache.use(this.wanted);
    for (const [page, controller] of this.running) if (!this.wanted.includes(page)) controller.abort();
    this.pump();
  }

  /** Begin again: another search, filter or order. What is shown stays until the new comes. */
  reload(): void {
    this.restart();
    this.outdated = true;
    this.wanted = [0];
    this.pump();
  }

  /** The same list, which has changed somewhere. */
  refresh(): void {
    if (this.outdated) return this.reload();
    this.restart();
    this.cache.age();
    if (this.total === 0) this.wanted = [0];
    this.pump();
  }

  close(): void {
    this.closed = true;
    this.restart();
  }

  private restart(): void {
    this.generation++;
    this.failed = new Set();
    for (const controller of this.running.values()) controller.abort();
    this.running.clear();
  }

  private pump(): void {
    for (const page of this.wanted) {
      if (this.closed || this.running.size >= AT_ONCE) return;
      const known = !this.outdated && this.cache.fresh(page);
      if (!known && !this.running.has(page) && !this.failed.has(page)) void this.load(page);
    }
  }

  private async load(page: number): Promise<void> {
    const generation = this.generation;
    const controller = new AbortController();
    this.running.set(page, controller);
    try {
      const { rows, total } = await this.whole(page, controller.signal);
      if (generation === this.generation && !controller.signal.aborted) this.take(page, rows, total);
    } catch (error) {
      if (generation !== this.generation || controller.signal.aborted) return;
      this.failed.add(page);
      this.onError(error);
    } finally {
      if (generation === this.generation) {
        this.running.delete(page);
        this.pump();
      }
    }
  }

  /** All rows of a page, however many answers they take. */
  private async whole(page: number, signal: AbortSignal): Promise<{ rows: Row[]; total: number }> {
    const rows: Row[] = [];
    for (;;) {
      const offset = page * this.size + rows.length;
      const answer = await this.fetchPage(offset, this.size - rows.length, signal);
      signal.throwIfAborted();
      rows.push(...answer.rows);
      const complete = rows.length >= this.size || offset + answer.rows.length >= answer.total || answer.rows.length === 0;
      if (complete) return { rows, total: answer.total };
    }
  }

  private take(page: number, rows: Row[], total: number): void {
    const restarted = this.outdated;
    if (restarted) this.cache = new PageCache(this.size);
    this.outdated = false;
    this.total = total;
    this.cache.put(page, rows);
    this.onChange(restarted);
  }
}
