// Handing the reader a file.

import { element } from "./elements";

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
