// What a row says about where its job stands.

import { sentence } from "../host/host";
import type { Job } from "../host/things";
import { durationWords, leftWords, numberWords, shareWords, startsWords } from "../parts/words";

export interface Status {
  text: string;
  note: string;
  /** Of a job in training: from 0 to 1, or null before the first step. */
  progress?: number | null;
}

export function statusOf(job: Job, now: number): Status {
  switch (job.state) {
    case "created":
      return { text: sentence(job.reason ?? "it is being prepared"), note: "" };
    case "queued":
      return { text: job.position === null ? "Waits" : numberWords(job.position), note: [startsWords(job.starts_at, now), job.reason ? sentence(job.reason) : ""].filter(Boolean).join(" ") };
    case "training":
      return training(job, now);
    case "completed":
      return { text: job.adapter ?? "–", note: resultOf(job) };
    default:
      return ended(job);
  }
}

function training({ progress, step, total_steps, started_at, ends_at, cancel_requested }: Job, now: number): Status {
  const share = progress === null ? "Getting ready" : shareWords(Math.floor(progress * 100) / 100);
  const left = ends_at === null || cancel_requested ? "" : leftWords(ends_at, now);
  const steps = step === null ? "" : total_steps === null ? `Step ${numberWords(step)}` : `Step ${numberWords(step)} of ${numberWords(total_steps)}`;
  const runs = started_at === null ? "" : `runs for ${durationWords(Math.max(0, (now - Date.parse(started_at)) / 1000))}`;
  const note = [steps, runs].filter(Boolean).join(" · ");
  return { text: [share, left].filter(Boolean).join(" · "), note: note.charAt(0).toUpperCase() + note.slice(1), progress };
}

function resultOf({ summary, started_at, finished_at }: Job): string {
  const whole = started_at && finished_at ? `Whole time ${durationWords((Date.parse(finished_at) - Date.parse(started_at)) / 1000)}` : "";
  const time = summary?.train_runtime === undefined ? whole : `Training time ${durationWords(summary.train_runtime)}`;
  return [time, summary?.train_loss === undefined ? "" : `mean loss ${numberWords(summary.train_loss)}`].filter(Boolean).join(" · ");
}

/** The service writes "reason; remedy". */
function ended({ state, reason }: Job): Status {
  const [why = "", ...remedy] = (reason ?? (state === "failed" ? "it gave no reason; look at its log" : "")).split("; ");
  return { text: why && sentence(why), note: remedy.length > 0 ? sentence(remedy.join("; ")) : "" };
}
