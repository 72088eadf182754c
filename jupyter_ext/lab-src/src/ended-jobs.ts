// Which jobs have ended since this page was loaded. Pure: it is told what the service says.

export interface Job {
  id: string;
  name: string;
  tenant: string;
  state: string;
  adapter: string | null;
}

const FINAL = new Set(["completed", "failed", "cancelled"]);

/**
 * Each job is reported once. What was over at the first look is old news; so is what has an older id
 * than was known then and was not seen running: it only moved up in the list.
 */
export class EndedJobs {
  private readonly running = new Set<string>();
  private readonly told = new Set<string>();
  private newest: string | null = null;

  /** Jobs that were running when they were last seen. */
  get waitedFor(): readonly string[] {
    return [...this.running];
  }

  /** Take what a look at the list found, newest first; returns what has ended. */
  look(jobs: readonly Job[]): Job[] {
    const ended = this.newest === null ? [] : jobs.filter((job) => this.isNews(job));
    for (const job of jobs) {
      if (FINAL.has(job.state)) this.running.delete(job.id);
      else this.running.add(job.id);
    }
    for (const job of ended) this.told.add(job.id);
    this.newest ??= jobs[0]?.id ?? "";
    return ended;
  }

  /** A job is gone, or no longer to be seen. */
  forget(id: string): void {
    this.running.delete(id);
  }

  private isNews(job: Job): boolean {
    if (!FINAL.has(job.state) || this.told.has(job.id)) return false;
    return this.running.has(job.id) || job.id > this.newest!;
  }
}
