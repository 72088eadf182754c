// Sends a file in parts, so that a lost connection costs one part and progress can be shown.
// Events: {"sent", "total"} after each part, and last the file as the service describes it.

import { type Args, HostError, isPassing, type Json } from "./host";
import type { HttpHost } from "./http-host";
import { pause, PAUSES_MS } from "./persist";

/** Small enough for a Jupyter server, which keeps a whole part in memory. */
export const PART_BYTES = 4 * 1024 * 1024;
const PART_MS = 120_000;
/** Parts in a row that may fail before the upload does. */
const ATTEMPTS = 20;

interface FileInfo {
  state: string;
  bytes: number;
}

export async function* upload(host: HttpHost, path: string, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
  const content = args.content;
  if (!(content instanceof Blob)) throw new HostError("invalid_input", "There is no file to upload.");
  if (content.size === 0) throw new HostError("invalid_input", "This file is empty.", "Choose another one.");
  let sent = 0;
  for (let failures = 0; ; ) {
    yield { sent, total: content.size };
    try {
      const answer = await sendPart(host, path, content, sent, signal);
      failures = 0;
      sent = Math.min(sent + PART_BYTES, content.size);
      if (answer.status !== 202) return yield (await answer.json()) as Json;
    } catch (error) {
      if (signal.aborted || !isPassing(error) || ++failures >= ATTEMPTS) throw error;
      await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length) - 1]!, signal);
      const file = await fileAt(host, path, signal);
      // Only the answer to the last part was lost: the service has it all.
      if (file?.state === "ready" && sent + PART_BYTES >= content.size) return yield file as unknown as Json;
      sent = file?.state === "receiving" ? file.bytes : 0;
    }
  }
}

function sendPart(host: HttpHost, path: string, content: Blob, from: number, signal: AbortSignal): Promise<Response> {
  const to = Math.min(from + PART_BYTES, content.size);
  const range = { "Content-Range": `bytes ${from}-${to - 1}/${content.size}` };
  const either = AbortSignal.any([signal, AbortSignal.timeout(PART_MS)]);
  return host.fetch({ method: "PUT", path, body: content.slice(from, to) }, either, range);
}

/** The file as the service has it; null if it has nothing, or cannot be asked now. */
async function fileAt(host: HttpHost, path: string, signal: AbortSignal): Promise<FileInfo | null> {
  try {
    const answer = await host.fetch({ method: "GET", path: path.split("?")[0]! }, signal);
    return (await answer.json()) as FileInfo;
  } catch (error) {
    if (isPassing(error) || (error instanceof HostError && error.code === "not_found")) return null;
    throw error;
  }
}
