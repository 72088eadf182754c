// Handing the reader a file that was made here.

import { element } from "./elements";

/** How long the browser may take to begin with it. */
const KEPT_MS = 60_000;

export function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
