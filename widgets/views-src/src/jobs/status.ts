// What a row says about where its job stands.

import { sentence } from "../host/host";
import type { Job } from "../host/things";
import { durationWords, numberWords, roughlyWords, shareWords } from "../parts/words";

export interface Status {
  text: string;
  note: string;
  /** Of a job in training: from 0 to 1, or null before the first step. */
  progress?: number | null;
}

/** Less than this says nothing yet about how long it takes. */
const TELLING = 0.02;

export function statusOf(job: Job, now: number): Status {
  switch (job.state) {
    case "created":
      return { text: sentence(job.reason ?? "it is being prepared"), note: "" };
    case "queued":
      return { text: job.position === null ? "Waits" : numberWords(job.position), note: job.reason ? sentence(job.reason) : "" };
    case "training":
      return training(job, now);
    case "completed":
      return { text: job.adapter ?? "–", note: resultOf(job) };
    default:
      return ended(job);
  }
}

function training(job: Job, now: number): Status {
  const { progress, started_at } = job;
  const seconds = started_at === null ? 0 : Math.max(0, (now - Date.parse(started_at)) / 1000);
  const left = progress !== null && progress >= TELLING && progress < 1 ? ` · about ${roughlyWords((seconds / progress) * (1 - progress))} left` : "";
  const text = progress === null ? "Getting ready" : `${shareWords(Math.floor(progress * 100) / 100)}${left}`;
  const note = started_at === null ? "" : `Runs for ${durationWords(seconds)}`;
  return { text, note, progress };
}

function resultOf({ summary, started_at, finished_at }: Job): string {
  const measured = started_at && finished_at ? (Date.parse(finished_at) - Date.parse(started_at)) / 1000 : undefined;
  const seconds = summary?.train_runtime ?? measured;
  const loss = summary?.train_loss;
  return [seconds === undefined ? "" : `Ran ${durationWords(seconds)}`, loss === undefined ? "" : `loss ${numberWords(loss)}`].filter(Boolean).join(" · ");
}

/** The service writes "reason; remedy". */
function ended({ state, reason }: Job): Status {
  const [why = "", ...remedy] = (reason ?? (state === "failed" ? "it gave no reason; look at its log" : "")).split("; ");
  return { text: why && sentence(why), note: remedy.length > 0 ? sentence(remedy.join("; ")) : "" };
}
