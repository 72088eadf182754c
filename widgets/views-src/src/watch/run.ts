// What the events of a job say, taken one by one.
//
// - An event is taken once, however often it comes: pages of the past and the live stream overlap.
// - Numbers of a step that comes again replace those of a lost attempt; the charts' `Points` do that.

export interface JobEvent {
  seq: number;
  at: string;
  kind: string;
  data: Partial<Record<string, string | number | null>>;
}

export interface Failure {
  reason: string;
  remedy: string;
}

export type Kind = "metrics" | "log" | "other";

export class Run {
  step = 0;
  totalSteps: number | null = null;
  resumedStep = 0;
  /** What the worker is about; null if it has not said. */
  phase: string | null = null;
  failure: Failure | null = null;
  private readonly seqs: Record<Kind, number> = { metrics: 0, log: 0, other: 0 };

  /** The last event of a kind that was taken. */
  seq(kind: Kind): number {
    return this.seqs[kind];
  }

  /** Where a stream goes on so that no event is missed. */
  get resumeAt(): number {
    return Math.max(this.seqs.metrics, this.seqs.other);
  }

  /** Take an event; false if it was taken before. */
  take(event: JobEvent): boolean {
    const kind = kindOf(event);
    if (event.seq <= this.seqs[kind]) return false;
    this.seqs[kind] = event.seq;
    if (event.kind === "metrics") this.step = Number(event.data.step);
    else if (event.kind === "phase") this.takePhase(event);
    else if (event.kind === "state") this.takeState(event);
    else if (event.kind === "error") this.failure = { reason: words(event.data.reason), remedy: words(event.data.remedy) };
    return true;
  }

  /** Learn how many steps there are from the job itself. */
  learn(total: number | null): void {
    this.totalSteps ??= total;
  }

  private takePhase(event: JobEvent): void {
    this.phase = words(event.data.state) || null;
    if (typeof event.data.total_steps === "number") this.totalSteps = event.data.total_steps || null;
    if (typeof event.data.resumed_step === "number") this.resumedStep = event.data.resumed_step;
  }

  private takeState(event: JobEvent): void {
    if (event.data.state === "training" && event.data.reason) return; // it is only being cancelled
    this.phase = null;
  }
}

/** The log has pages of its own: errors are in it. */
function kindOf(event: JobEvent): Kind {
  if (event.kind === "metrics") return "metrics";
  return event.kind === "log" || event.kind === "error" ? "log" : "other";
}

function words(value: unknown): string {
  return typeof value === "string" ? value : "";
}
