// Saving what was edited, so that it is neither lost nor done twice.
//
// - While nobody answers, it is tried again. That is safe: an added record carries a key of ours, a
//   changed one the record id that the reader saw.
// - What somebody else changed meanwhile is never overwritten unasked.

import { type Json } from "../host/host";
import { persist, type Trouble } from "../host/persist";
import { type DraftRecord, sameRecord } from "./record";
import { type Context, isCode, type RecordItem } from "./things";

/** What became of a save; `theirs` is what stands there now, null if the record is gone. */
export type Outcome = { saved: RecordItem } | { theirs: RecordItem | null };

type Place = Pick<Context, "host" | "signal">;

export async function addRecord({ host, signal }: Place, dataset: string, record: DraftRecord, key: string, trouble: Trouble): Promise<RecordItem> {
  const added = await persist(() => host.call("records.add", { dataset, record: record as Json, key }), signal, trouble);
  return added as unknown as RecordItem;
}

export async function changeRecord(
  place: Place,
  dataset: string,
  seen: Pick<RecordItem, "id" | "record_id">,
  record: DraftRecord,
  trouble: Trouble,
): Promise<Outcome> {
  const args = { dataset, position: seen.id, record: record as Json, expected: seen.record_id };
  try {
    const saved = await persist(() => place.host.call("records.change", args), place.signal, trouble);
    return { saved: saved as unknown as RecordItem };
  } catch (error) {
    if (!isCode(error, "record_changed") && !isCode(error, "not_found")) throw error;
  }
  const theirs = await recordAt(place, dataset, seen.id, trouble);
  // Only the answer to an earlier try was lost.
  return theirs && sameRecord(theirs.record, record) ? { saved: theirs } : { theirs };
}

/** Remove a record; says what stands there instead if somebody changed it, or null. */
export async function removeRecord(
  place: Place,
  dataset: string,
  seen: Pick<RecordItem, "id" | "record_id">,
  trouble: Trouble,
): Promise<RecordItem | null> {
  try {
    await persist(() => place.host.call("records.remove", { dataset, position: seen.id, expected: seen.record_id }), place.signal, trouble);
    return null;
  } catch (error) {
    if (isCode(error, "not_found")) return null; // it is gone, as was wished
    if (!isCode(error, "record_changed")) throw error;
    return recordAt(place, dataset, seen.id, trouble);
  }
}

/** The record at a position now; null if there is none. */
export async function recordAt({ host, signal }: Place, dataset: string, position: string, trouble: Trouble): Promise<RecordItem | null> {
  try {
    return (await persist(() => host.call("records.get", { dataset, position }), signal, trouble)) as unknown as RecordItem;
  } catch (error) {
    if (isCode(error, "not_found")) return null;
    throw error;
  }
}
