// The job that is watched, and what is said about it.

import { sentence } from "../host/host";
import type { Job } from "../host/things";
import { durationWords, leftWords, numberWords, startsWords } from "../parts/words";
import type { Failure, Run } from "./run";

/** What is known of the adapter that a job made. */
export interface Adapter {
  full_name: string;
  weight_digest: string;
  content_digests: string[];
  rank: number;
  bytes: number;
  tenant: string;
  right: string;
}

const FINAL = new Set(["completed", "failed", "cancelled"]);
const PHASES: Record<string, string> = {
  loading: "Loading the base model …",
  preparing: "Preparing the dataset …",
  training: "Starting to train …",
  saving: "Saving the adapter …",
  stopped: "Stopping …",
};

/** A service of a release that tells no right has no sharing: who sees a job there, owns it. */
export function manages({ right }: { right?: string | null }): boolean {
  return (right ?? "manage") === "manage";
}

export function isFinal(job: Job): boolean {
  return FINAL.has(job.state);
}

export function isCancelling(job: Job): boolean {
  return job.cancel_requested && !isFinal(job);
}

/** What the job is about, beside its state; empty if the numbers say it. */
export function statusWords(job: Job, run: Run): string {
  if (isCancelling(job)) return "Cancelling: the agent finishes its step first.";
  const reason = job.reason ? sentence(job.reason) : "";
  switch (job.state) {
    case "created":
      return reason || "It is being prepared.";
    case "queued":
      return [job.position === null ? "" : `Position ${numberWords(job.position)} in the queue.`, startsWords(job.starts_at, Date.now()), reason].filter(Boolean).join(" ");
    case "training":
      return run.phase !== null && (run.phase !== "training" || run.step === 0) ? (PHASES[run.phase] ?? "") : startWords(run);
    case "cancelled":
      return reason;
    default:
      return "";
  }
}

function startWords(run: Run): string {
  if (run.step === 0) return "Waiting for the first numbers …";
  return run.resumedStep > 0 ? `Resumed at step ${numberWords(run.resumedStep)}.` : "";
}

/** "Step 60 of 120"; empty before the first one. */
export function stepWords(job: Job, run: Run): string {
  if (run.step === 0) return "";
  const total = job.state === "completed" ? run.step : run.totalSteps;
  return total === null ? `Step ${numberWords(run.step)}` : `Step ${numberWords(run.step)} of ${numberWords(total)}`;
}

/** The share of the work that is done; null if that is not known. */
export function shareOf(job: Job, run: Run): number | null {
  if (job.state === "completed") return 1;
  if (run.step > 0 && run.totalSteps !== null) return Math.min(1, run.step / run.totalSteps);
  return job.progress;
}

/** How long it has taken, and about how long it will. */
export function timeWordsOf(job: Job, now: number): string {
  if (job.started_at === null || (job.state !== "training" && !isFinal(job))) return "";
  const until = job.finished_at === null ? now : Date.parse(job.finished_at);
  const seconds = Math.max(0, (until - Date.parse(job.started_at)) / 1000);
  if (isFinal(job)) return `whole time ${durationWords(seconds)}`;
  const left = isCancelling(job) || job.ends_at === null ? "" : leftWords(job.ends_at, now);
  return [`running for ${durationWords(seconds)}`, left].filter(Boolean).join(" · ");
}

/** Why a job failed and what mends it; the service joins them with a semicolon. */
export function failureWords(reason: string | null, told: Failure | null): [reason: string, remedy: string] {
  if (reason === null) return ["It did not say why.", ""];
  const first = told?.reason.replace(/\.+$/, "") ?? "";
  const cut = first && reason.startsWith(first) ? first.length : reason.indexOf("; ");
  if (cut < 0) return [sentence(reason), ""];
  const remedy = reason.slice(cut).replace(/^[.;\s]+/, "");
  return [sentence(reason.slice(0, cut)), remedy ? sentence(remedy) : ""];
}
