// The sections of the dashboard: which states each shows, in what order, and what may be done there.

import type { Job, JobState, Page } from "../host/things";
import type { Deed } from "../parts/job-actions";

export interface SectionKind {
  title: string;
  states: readonly JobState[];
  /** What the column says that differs from state to state. */
  status: string;
  /** What the moment means at which a job came here. */
  since: string;
  /** Jobs here do not change any more. */
  final: boolean;
  /** Jobs that are shown at first, and more with each "Load more". */
  size: number;
}

// Those that are not over are few: the service limits them for each owner.
const ACTIVE = { final: false, size: 100 };
const FINAL = { final: true, size: 20 };

/** In the order in which a job comes through them. */
export const SECTIONS: readonly SectionKind[] = [
  { title: "Created", states: ["created"], status: "Waits because", since: "Created", ...ACTIVE },
  { title: "Queued", states: ["queued"], status: "Position", since: "Queued", ...ACTIVE },
  { title: "Training", states: ["training"], status: "Progress", since: "Started", ...ACTIVE },
  { title: "Completed", states: ["completed"], status: "Adapter", since: "Completed", ...FINAL },
  { title: "Failed and cancelled", states: ["failed", "cancelled"], status: "Reason", since: "Ended", ...FINAL },
];

/** The place of a job that is in no line, since its owner uses all that they may. */
const LAST = Number.MAX_SAFE_INTEGER;

/** What is done most with the jobs of each state; all else is behind "More". */
export const FIRST: Readonly<Record<JobState, readonly Deed[]>> = {
  created: ["watch", "cancel"],
  queued: ["watch", "cancel"],
  training: ["watch", "cancel"],
  completed: ["chat", "watch"],
  failed: ["resubmit", "clone", "watch"],
  cancelled: ["resubmit", "clone", "watch"],
};

/**
 * Which jobs each section shows. The pages were asked for one after the other, so that a job that moved
 * meanwhile may be there twice: where it came last is right.
 */
export function placed(pages: readonly (Page<Job> | null)[]): Job[][] {
  const last = new Map<string, { job: Job; at: number }>();
  pages.forEach((page, at) => page?.items.forEach((job) => last.set(job.id, { job, at })));
  const jobs = [...last.values()];
  return pages.map((_, at) => jobs.filter((one) => one.at === at).map(({ job }) => job).sort(inOrder));
}

export function sinceOf(job: Job): string {
  return job.state_at ?? job.created_at;
}

/** The line as it is, and the oldest first of those that are not in it yet; all else with the newest first. */
function inOrder(one: Job, other: Job): number {
  const later = Date.parse(sinceOf(other)) - Date.parse(sinceOf(one));
  if (one.state === "created") return -later;
  if (one.state !== "queued") return later;
  return (one.position ?? LAST) - (other.position ?? LAST) || -later;
}
