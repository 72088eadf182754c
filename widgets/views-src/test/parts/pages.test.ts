import { describe, expect, it, vi } from "vitest";
import { type Page, PageCache, Pages, pagesOf } from "../../src/parts/pages";

/** A list of numbers whose answers come when the test says so. */
class Source {
  readonly asked: { offset: number; limit: number; signal: AbortSignal; answer(total?: number, most?: number): void; refuse(error: unknown): void }[] = [];
  readonly changes: boolean[] = [];
  readonly errors: unknown[] = [];
  readonly pages = new Pages<number>(
    (offset, limit, signal) =>
      new Promise<Page<number>>((resolve, reject) => {
        const answer = (total = 1000, most = limit): void => {
          const count = Math.max(0, Math.min(most, limit, total - offset));
          resolve({ rows: Array.from({ length: count }, (_, index) => offset + index), total });
        };
        this.asked.push({ offset, limit, signal, answer, refuse: reject });
      }),
    10,
    (restarted) => this.changes.push(restarted),
    (error) => this.errors.push(error),
  );

  offsets(): number[] {
    return this.asked.map(({ offset }) => offset);
  }
}

async function started(total = 1000): Promise<Source> {
  const source = new Source();
  source.pages.reload();
  source.asked[0]!.answer(total);
  await vi.waitFor(() => expect(source.changes).toEqual([true]));
  return source;
}

describe("the pages of a table", () => {
  it("are those in sight, then those beside them", () => {
    expect(pagesOf(25, 45, 10, 1000)).toEqual([2, 3, 4, 5, 1]);
    expect(pagesOf(0, 10, 10, 1000)).toEqual([0, 1]);
    expect(pagesOf(990, 1000, 10, 1000)).toEqual([99, 98]);
    expect(pagesOf(0, 0, 10, 0)).toEqual([0]);
  });

  it("that were used last are kept", () => {
    const cache = new PageCache<number>(1, 2);
    cache.put(0, [10]);
    cache.put(1, [11]);
    cache.use([0]);
    cache.put(2, [12]);
    expect([cache.row(0), cache.row(1), cache.row(2)]).toEqual([10, undefined, 12]);
  });

  it("ask for the first page before any other", async () => {
    const source = await started();
    expect(source.offsets()).toEqual([0]);
    expect(source.pages.total).toBe(1000);
    expect(source.pages.row(9)).toBe(9);
    expect(source.pages.row(10)).toBeUndefined();
  });

  it("ask ahead, and for nothing twice", async () => {
    const source = await started();
    source.pages.want(0, 10);
    source.pages.want(0, 10);
    expect(source.offsets()).toEqual([0, 10]);
  });

  it("give up what is out of sight again", async () => {
    const source = await started();
    source.pages.want(100, 110);
    source.pages.want(500, 510);
    expect(source.asked[1]!.signal.aborted).toBe(true);
    source.asked[1]!.answer();
    await vi.waitFor(() => expect(source.offsets()).toContain(500));
    expect(source.pages.row(100)).toBeUndefined();
  });

  it("run a few requests at once", async () => {
    const source = await started();
    source.pages.want(100, 200);
    expect(source.offsets()).toEqual([0, 100, 110, 120]);
  });

  it("of before a reload never show", async () => {
    const source = await started();
    source.pages.want(0, 10);
    source.pages.reload();
    source.asked[1]!.answer(5);
    source.asked[2]!.answer(7);
    await vi.waitFor(() => expect(source.pages.total).toBe(7));
    expect(source.changes).toEqual([true, true]);
  });

  it("stay in sight until the answer after a reload comes", async () => {
    const source = await started();
    source.pages.reload();
    expect(source.pages.row(3)).toBe(3);
    expect(source.pages.waiting).toBe(true);
  });

  it("are asked for again after a refresh, and shown meanwhile", async () => {
    const source = await started();
    source.pages.refresh();
    expect(source.pages.row(3)).toBe(3);
    expect(source.offsets()).toEqual([0, 0]);
    source.asked[1]!.answer(999);
    await vi.waitFor(() => expect(source.pages.total).toBe(999));
    expect(source.changes).toEqual([true, false]);
  });

  it("are put together where rows are large and an answer is short", async () => {
    const source = new Source();
    source.pages.reload();
    source.asked[0]!.answer(1000, 4);
    await vi.waitFor(() => expect(source.asked.length).toBe(2));
    expect([source.asked[1]!.offset, source.asked[1]!.limit]).toEqual([4, 6]);
    source.asked[1]!.answer();
    await vi.waitFor(() => expect(source.pages.row(9)).toBe(9));
  });

  it("that fail are said once and not asked for again by themselves", async () => {
    const source = new Source();
    source.pages.reload();
    source.asked[0]!.refuse("broken");
    await vi.waitFor(() => expect(source.errors).toEqual(["broken"]));
    source.pages.want(0, 10);
    expect(source.offsets()).toEqual([0]);
    source.pages.reload();
    expect(source.offsets()).toEqual([0, 0]);
  });

  it("tell nothing more once they are closed", async () => {
    const source = new Source();
    source.pages.reload();
    source.pages.close();
    source.asked[0]!.answer();
    await Promise.resolve();
    expect(source.changes).toEqual([]);
  });
});
