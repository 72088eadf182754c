// What was typed into a form whose view was taken away, for as long as the page lives: whoever shows
// that view again goes on where they were. It is kept in memory only, and belongs to one view at a time.

import { Submission } from "./submission";
import type { Filled } from "./wanted";

/** What the view is opened with. */
export interface Start {
  version?: string;
  job?: string;
}

export interface Typed extends Filled {
  /** The name is written by the reader, not suggested. */
  nameIsOwn: boolean;
}

export interface Draft {
  /** What the shell says when it shows this draft again. */
  start: Start;
  typed: Typed | null;
  submission: Submission;
}

const LEFT_LIMIT = 16;
const left: Draft[] = [];

/** Take the draft that was begun from `start`, or a new one. */
export function takeDraft(start: Start): Draft {
  const at = left.findIndex(({ start: { version, job } }) => version === start.version && job === start.job);
  return left.splice(at, at < 0 ? 0 : 1)[0] ?? { start, typed: null, submission: new Submission() };
}

export function leaveDraft(draft: Draft): void {
  left.unshift(draft);
  left.length = Math.min(left.length, LEFT_LIMIT);
}
