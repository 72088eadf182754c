// What a job would come to, before it starts: numbers, warnings and the first batch. What was found holds
// for what was asked; once the form says something else, it is said to be out of date.

import { type Host, HostError } from "../host/host";
import { ask } from "../host/things";
import { button, element } from "../parts/elements";
import { type Field, fits } from "../parts/field";
import { Notices } from "../parts/notice";
import { type Step, Work } from "../parts/work";
import { type Batch, batchOf } from "./first-batch";
import { type Report, reportOf, type Warning } from "./report";
import { placed, type Wanted } from "./wanted";

const STEP: Step = { title: "Pre-flight", unit: "record", cancelled: "The pre-flight was cancelled." };
const ABOUT = "Counts tokens, steps, time and memory, and shows the first batch. Nothing is started.";
const STALE = "The form has changed since: this is what it said before.";

interface Form {
  /** What the form asks for now; null if something but the name is missing, which it says. */
  complete(): Wanted | null;
  /** The same, whatever is missing. */
  wanted(): Wanted;
  fields(): Field[];
  /** Say what was refused at its field, and all else in these notices. */
  refused(error: unknown, notices: Notices): void;
}

export class Preflight {
  readonly element: HTMLElement;
  private readonly start = button("Run the pre-flight", () => void this.run());
  private readonly about = element("p", { class: "soft" }, ABOUT);
  private readonly stale = element("p", { class: "notice warn", role: "status", hidden: true }, STALE);
  private readonly report = element("div", { class: "report", tabindex: "-1" });
  private readonly batch = element("div", { class: "batch" });
  private readonly batchButton = button("Show the first batch", () => void this.showBatch());
  private readonly work: Work;
  /** Beside the button that was pressed, not at the end of the form. */
  private readonly notices = new Notices();
  /** What was asked when the report was made. */
  private asked: Wanted | null = null;

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly form: Form,
  ) {
    this.work = new Work({ host, notices: this.notices, signal }, () => this.tell());
    const head = element("div", { class: "row" }, element("h3", {}, "Pre-flight"), this.about, this.start);
    this.element = element("section", { class: "preflight", "aria-label": "Pre-flight" }, head, this.work.element, this.notices.element, this.stale, this.report, this.batch);
  }

  /** The form has changed. */
  changed(): void {
    this.stale.hidden = this.asked === null || JSON.stringify(this.asked) === JSON.stringify(workOf(this.form.wanted()));
  }

  private async run(): Promise<void> {
    const complete = this.form.complete();
    if (complete === null || this.work.busy) return;
    const wanted = workOf(complete);
    this.notices.clear();
    try {
      const done = await this.work.run(STEP, () => this.host.call("jobs.preflight", wanted));
      if (done && !this.signal.aborted) this.show(wanted, done.result as unknown as Report);
    } catch (error) {
      this.refused(error);
    } finally {
      this.tell();
      if (document.activeElement === document.body) this.start.focus(); // the button to cancel it is gone
    }
  }

  private refused(error: unknown): void {
    this.form.refused(error, this.notices);
    if (this.notices.element.hasChildNodes()) this.notices.element.scrollIntoView({ block: "nearest" }); // not behind the foot
  }

  /** Not `disabled`: that would take the focus away. */
  private tell(): void {
    this.start.setAttribute("aria-disabled", String(this.work.busy));
    this.start.textContent = this.asked === null ? "Run the pre-flight" : "Run it again";
  }

  private show(wanted: Wanted, report: Report): void {
    this.asked = wanted;
    this.about.hidden = true;
    this.batch.replaceChildren(this.batchButton);
    const options = (wanted.options ?? {}) as { cutoff_len?: number };
    this.report.replaceChildren(reportOf(report, options.cutoff_len ?? null, (warning) => this.wayTo(warning)));
    this.changed();
    if (this.element.contains(document.activeElement)) this.report.focus();
  }

  /** A way to the field that a warning is about. */
  private wayTo(warning: Warning): HTMLElement | null {
    const field = this.form.fields().find((one) => fits(one, placed(warning)) && !one.element.hidden);
    return field ? button(`Go to ${field.title}`, () => field.focus(), "link") : null;
  }

  private async showBatch(): Promise<void> {
    this.batchButton.disabled = true;
    this.notices.clear();
    try {
      const asked = this.asked!;
      const batch = await ask<Batch>(this.host, "jobs.first-batch", asked);
      if (!this.signal.aborted) this.batch.replaceChildren(batchOf(batch, "datasets" in asked));
    } catch (error) {
      if (this.signal.aborted) return;
      const unread = error instanceof HostError && error.code === "not_allowed";
      if (unread) this.batch.replaceChildren(element("p", { class: "soft" }, "The first batch is shown to those who may read the datasets; you may train on them only."));
      else this.refused(error);
    } finally {
      this.batchButton.disabled = false;
    }
  }
}

/** What a job is called and how urgent it is changes nothing of what is computed. */
function workOf({ name: _, priority: __, cloned_from: ___, ...work }: Wanted): Wanted {
  return work;
}
