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
/** How often to look whether the records are in; one look each 5 s at last. */
const LOOKS = 360;

/** Sends a request of an upload. */
export type Sender = Pick<HttpHost, "fetch">;

interface FileInfo {
  state: "receiving" | "received" | "importing" | "ready" | "refused";
  bytes: number;
}

/** Whether the service has all of a file, whatever it made of it. */
function isWhole({ state }: FileInfo): boolean {
  return state === "received" || state === "ready" || state === "refused";
}

export async function* upload(host: Sender, path: string, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
  const content = args.content;
  if (!(content instanceof Blob)) throw new HostError("invalid_input", "There is no file to upload.");
  if (content.size === 0) throw new HostError("invalid_input", "This file is empty.", "Choose another one.");
  let sent = 0;
  /** Whether no file of this name was there before; the answer to a part that is not the last says so. */
  let fresh = false;
  for (let failures = 0; ; ) {
    yield { sent, total: content.size };
    try {
      const answer = await sendPart(host, path, content, sent, signal);
      const file = (await answer.json()) as FileInfo;
      failures = 0;
      sent = Math.min(sent + PART_BYTES, content.size);
      if (sent === content.size) return yield file as unknown as Json;
      fresh = !isWhole(file);
      // Said now and not after the last part: content of another size is other content.
      if (!fresh && file.bytes !== content.size) throw nameTaken();
    } catch (error) {
      if (signal.aborted || !mayResume(error) || ++failures >= ATTEMPTS) throw error;
      await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length) - 1]!, signal);
      const file = await settled(host, path, signal);
      if (file && isWhole(file)) {
        // Only the answer to the last part was lost: the service has it all.
        if (fresh && file.bytes === content.size) return yield file as unknown as Json;
        if (!isPassing(error)) throw error;
      }
      // Else it begins anew: if this very file is there, the service says so.
      sent = file?.state === "receiving" && file.bytes < content.size ? file.bytes : 0;
    }
  }
}

/** Nobody answered; or the service has not noticed yet that the request before has ended. */
function mayResume(error: unknown): error is HostError {
  return isPassing(error) || (error instanceof HostError && error.code === "conflict");
}

function sendPart(host: Sender, path: string, content: Blob, from: number, signal: AbortSignal): Promise<Response> {
  const to = Math.min(from + PART_BYTES, content.size);
  const range = { "Content-Range": `bytes ${from}-${to - 1}/${content.size}` };
  const either = AbortSignal.any([signal, AbortSignal.timeout(PART_MS)]);
  return host.fetch({ method: "PUT", path, body: content.slice(from, to) }, either, range);
}

/** The file once its records are not being imported any more. */
async function settled(host: Sender, path: string, signal: AbortSignal): Promise<FileInfo | null> {
  for (let looks = 0; ; looks++) {
    const file = await persistently(() => fileAt(host, path, signal), signal);
    if (file?.state !== "importing" || looks >= LOOKS) return file;
    await pause(PAUSES_MS[Math.min(looks, PAUSES_MS.length - 1)]!, signal);
    signal.throwIfAborted();
  }
}

/** Ask until somebody answers, but not for ever. */
async function persistently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !isPassing(error) || ++failures >= ATTEMPTS) throw error;
      await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length) - 1]!, signal);
    }
  }
}

/** The file as the service has it; null if it has nothing. */
async function fileAt(host: Sender, path: string, signal: AbortSignal): Promise<FileInfo | null> {
  try {
    const answer = await host.fetch({ method: "GET", path: path.split("?")[0]! }, signal);
    return (await answer.json()) as FileInfo;
  } catch (error) {
    if (error instanceof HostError && error.code === "not_found") return null;
    throw error;
  }
}

function nameTaken(): HostError {
  return new HostError(
    "conflict",
    "A file of this name with other content is in this dataset.",
    "Remove that one first, or give this one another name.",
  );
}
