// Fetches a file and hands it to the reader. The browser keeps what has come, on disk where it is much.
// Events: {"received", "total"} now and then, and last {"name", "bytes", "report"} of what the reader got;
// the report is what the service says that the file lacks.

import type { Json } from "./host";
import type { Sender } from "./upload";
import { offer } from "../parts/download";

/** A large file may take its time; one that stands still is given up by the service. */
const WHOLE_MS = 3_600_000;
const TOLD_BYTES = 1024 * 1024;
/** Longer names say nothing more. */
const NAME_LIMIT = 120;

export async function* download(host: Sender, path: string, signal: AbortSignal): AsyncGenerator<Json, void> {
  const answer = await host.fetch({ method: "GET", path }, AbortSignal.any([signal, AbortSignal.timeout(WHOLE_MS)]));
  const total = Number(answer.headers.get("Content-Length")) || null;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let [received, told] = [0, 0];
  const reader = answer.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.byteLength;
    if (received - told < TOLD_BYTES) continue;
    told = received;
    yield { received, total };
  }
  const name = nameOf(answer.headers.get("Content-Disposition")) ?? "download";
  offer(name, new Blob(parts, { type: answer.headers.get("Content-Type") ?? "application/octet-stream" }));
  const report = answer.headers.get("X-Export-Report");
  yield { name, bytes: received, report: report === null ? null : (JSON.parse(report) as Json) };
}

/** The name that a header gives a file, without what would make it a path. */
export function nameOf(disposition: string | null): string | null {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  const plain = /filename="?([^";]+)"?/i.exec(disposition ?? "")?.[1];
  const name = (extended ? decoded(extended) : plain)?.replace(/[\\/:\u0000-\u001f]/g, "_").slice(-NAME_LIMIT);
  return name || null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
