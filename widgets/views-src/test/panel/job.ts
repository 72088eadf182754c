// A job as the service describes it.

import type { Job } from "../../src/panel/things";

export const THEN = "2026-01-02T03:04:05Z";

export function job(id: string, state: Job["state"], more: Partial<Job> = {}): Job {
  return { id, name: id, tenant: "@demo", state, reason: null, position: null, cancel_requested: false, progress: null, created_at: THEN, finished_at: null, ...more };
}
