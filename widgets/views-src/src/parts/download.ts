// Handing the reader a file.

import { element } from "./elements";
import type { Workplace } from "./work";
import { bytesWords } from "./words";

/** How long the browser may take to begin with it. */
const KEPT_MS = 60_000;

/** A text that was made here. */
export function download(name: string, text: string, type: string): void {
  offer(name, new Blob([text], { type }));
}

export function offer(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

/** Fetch a file, say how far it is, and answer what it was. */
export async function fetched({ host, signal: life }: Workplace, verb: string, args: Record<string, string>, signal: AbortSignal, tell: (words: string) => void): Promise<{ name: string; report: unknown }> {
  let got = { name: "", report: null as unknown };
  for await (const event of host.stream(verb, args, AbortSignal.any([signal, life]))) {
    const { received, total, name, report } = event as { received?: number; total?: number | null; name?: string; report?: unknown };
    if (name !== undefined) got = { name, report };
    if (received !== undefined) tell(total ? `${bytesWords(received)} of ${bytesWords(total)}` : bytesWords(received));
  }
  return got;
}
