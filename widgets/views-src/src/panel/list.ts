// Lists of the service, page by page.

import type { Host, Json } from "../host/host";

/** What one request may ask for. */
export const PAGE = 200;
/** More than this is never loaded into the overview; the views of their own page through everything. */
export const MOST = 1000;

export interface Listed<T> {
  items: T[];
  /** There are more than were asked for. */
  more: boolean;
}

/** The first `wanted` items of a list. */
export async function list<T extends { id: string }>(host: Host, verb: string, wanted: number): Promise<Listed<T>> {
  const items: T[] = [];
  for (;;) {
    const limit = Math.min(PAGE, Math.min(MOST, wanted) - items.length);
    const after: { [name: string]: Json } = items.length > 0 ? { after: items.at(-1)!.id } : {};
    const page = (await host.call(verb, { limit, ...after })) as unknown as { items: T[]; has_more: boolean };
    items.push(...page.items);
    if (!page.has_more || page.items.length === 0 || items.length >= Math.min(MOST, wanted)) return { items, more: page.has_more };
  }
}
