// The Train view: a form for one job, what it would come to, and the way to start it.

import { type FieldProblem, type Host, HostError, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist } from "../host/persist";
import type { ViewName } from "../host/shell";
import { ask, type Job } from "../host/things";
import { control, element } from "../parts/elements";
import { place } from "../parts/field";
import { FORM_STYLE } from "../parts/form-style";
import { HISTOGRAM_STYLE } from "../parts/histogram";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { WORK_STYLE } from "../parts/work";
import { ClonedFrom } from "./cloned-from";
import { type Draft, leaveDraft, type Start, takeDraft } from "./draft";
import { JobForm } from "./job-form";
import { Preflight } from "./preflight";
import { TRAIN_STYLE } from "./style";
import { submittedPanel } from "./submitted";
import { placed, type Wanted, wantedOf } from "./wanted";

class Train {
  private readonly ending = new AbortController();
  private readonly notices = new Notices();
  private readonly job: JobForm;
  private readonly cloned = new ClonedFrom(() => this.forget());
  private readonly preflight: Preflight;
  private readonly send = control("button", { type: "submit", class: "main" }, "Start training");
  private readonly form: HTMLFormElement;
  private readonly loading = element("p", { class: "soft" }, "Looking for what you can train on …");
  private readonly done = element("div", { hidden: true });
  private draft: Draft | null = null;
  private sending = false;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    this.job = new JobForm(host, this.signal, this.notices.trouble, {
      changed: () => this.changed(),
      chose: () => this.tellHere(),
      curate: (dataset) => this.open("curate", dataset === null ? {} : { dataset }),
      failed: (error) => this.problem(error),
    });
    this.preflight = new Preflight(host, this.signal, {
      complete: () => this.complete(this.job.missing().filter(({ where }) => where !== "name")),
      wanted: () => wantedOf(this.job.filled),
      fields: () => this.job.fields,
      refused: (error, notices) => this.refused(error, notices),
    });
    this.form = element("form", { novalidate: true, hidden: true }, this.cloned.element, this.job.element, this.preflight.element, element("div", { class: "row send" }, this.send));
    const title = element("h2", {}, "Train an adapter");
    const root = element("section", { class: "ady ady-train", "aria-label": "Train" }, title, this.loading, this.form, this.done, this.notices.element);
    this.el.replaceChildren(root);
    adopt(root, FORM_STYLE, WORK_STYLE, HISTOGRAM_STYLE, TRAIN_STYLE);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    void this.begin();
  }

  close(): void {
    this.keep();
    if (this.draft) leaveDraft(this.draft);
    this.ending.abort();
    this.el.replaceChildren();
  }

  private get signal(): AbortSignal {
    return this.ending.signal;
  }

  // -- beginning ----------------------------------------------------------------------------------

  /** Load what the form is made of and fill it; what failed can be tried again. */
  private async begin(): Promise<void> {
    try {
      const start = await persist(() => this.load(), this.signal, this.notices.trouble);
      this.draft ??= takeDraft(start);
      await this.fill(this.draft);
    } catch (error) {
      return this.problem(error, () => void this.begin());
    }
    this.loading.hidden = true;
    this.form.hidden = false;
    this.changed();
    this.tellHere();
    const { submission } = this.draft;
    if (submission.open) await this.sendBy(() => submission.settle(this.host, this.signal, this.notices.trouble));
  }

  private async load(): Promise<Start> {
    const [start] = await Promise.all([ask<Start | null>(this.host, "view.start"), this.job.load()]);
    return { ...(start?.version ? { version: start.version } : {}), ...(start?.job ? { job: start.job } : {}) };
  }

  private async fill({ typed, start }: Draft): Promise<void> {
    const { job, version } = start;
    if (typed) await this.unlessGone(() => this.job.fill(typed));
    if (typed?.clonedFrom) await this.unlessGone(async () => this.compareTo(await this.find(typed.clonedFrom!)));
    if (typed) return;
    if (job) await this.unlessGone(() => this.copy(job));
    if (version) await this.unlessGone(() => this.job.show([version]));
  }

  /** What this was opened with may be gone, or no longer for the reader: the form is of use without it. */
  private async unlessGone(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== "not_found") throw error;
      this.problem(error);
    }
  }

  private find(job: string): Promise<Job> {
    return persist(() => ask<Job>(this.host, "jobs.get", { job }), this.signal, this.notices.trouble);
  }

  /** Take over the settings of a job, and say which could not be taken. */
  private async copy(id: string): Promise<void> {
    const job = await this.find(id);
    const gone = await this.job.copy(job);
    this.compareTo(job);
    if (gone.length === 0) return;
    this.problem(new HostError("not_found", `Not there any more, or not for you: ${gone.join(", ")}`, "Look through the form before you start."));
  }

  private compareTo(job: Job): void {
    this.job.compareTo(job);
    this.cloned.show(job.name);
  }

  /** It is a job like any other from here on. */
  private forget(): void {
    this.job.compareTo(null);
    this.cloned.show(null);
    this.changed();
    this.job.focus();
  }

  // -- what is filled in --------------------------------------------------------------------------

  private changed(): void {
    this.cloned.count(this.job.differing);
    this.preflight.changed();
  }

  /** So that a reload comes back to this version; ids only, nothing that was typed. */
  private tellHere(): void {
    if (!this.draft) return;
    const [version] = this.job.chosen;
    this.draft.start = { ...(this.draft.start.job ? { job: this.draft.start.job } : {}), ...(version ? { version } : {}) };
    void this.host.call("view.here", { title: "Train", start: { ...this.draft.start } }).catch(() => undefined);
  }

  private keep(): void {
    if (this.draft && !this.form.hidden) this.draft.typed = this.job.filled;
  }

  // -- submitting ---------------------------------------------------------------------------------

  /** What the form asks for; null if something is missing, which is said at its field with all else that looks wrong. */
  private complete(missing = this.job.missing()): Wanted | null {
    place(this.job.fields, missing.length > 0 ? this.withDoubts(missing) : []);
    return missing.length > 0 ? null : wantedOf(this.job.filled);
  }

  private async submit(): Promise<void> {
    const { draft } = this;
    if (this.sending || !draft) return;
    const wanted = this.complete();
    if (wanted) await this.sendBy(() => draft.submission.send(this.host, wanted, this.signal, this.notices.trouble));
  }

  private async sendBy(send: () => Promise<Job>): Promise<void> {
    this.busy(true);
    this.notices.clear();
    try {
      this.showDone(await send());
    } catch (error) {
      this.refused(error);
    } finally {
      this.busy(false);
    }
  }

  /** Not `disabled`: that would take the focus away. */
  private busy(sending: boolean): void {
    this.sending = sending;
    this.send.setAttribute("aria-disabled", String(sending));
    this.send.textContent = sending ? "Submitting …" : "Start training";
  }

  private refused(error: unknown, notices = this.notices): void {
    if (this.signal.aborted) return;
    if (!(error instanceof HostError)) return notices.problem(error);
    const rest = place(this.job.fields, error.fields.length > 0 ? this.withDoubts(error.fields.map(placed)) : []);
    if (error.fields.length > 0 && rest.length === 0) return;
    notices.problem(new HostError(error.code, error.message, error.hint, rest));
  }

  /** The service may look at one thing before another: what it has not come to yet is said too. */
  private withDoubts(problems: readonly FieldProblem[]): FieldProblem[] {
    return [...problems, ...this.job.doubts.filter((doubt) => !problems.some(({ where }) => where === doubt.where))];
  }

  private showDone(job: Job): void {
    if (this.signal.aborted) return;
    const panel = submittedPanel(job, {
      watch: (id) => this.open("watch", { job: id }),
      all: () => this.open("jobs", {}),
      another: () => this.showForm(),
    });
    this.done.replaceChildren(panel);
    this.done.hidden = false;
    this.form.hidden = true;
    this.draft = { start: {}, typed: null, submission: this.draft!.submission };
    panel.focus();
  }

  private showForm(): void {
    this.done.hidden = true;
    this.form.hidden = false;
    this.tellHere();
    this.job.focus();
  }

  private open(view: ViewName, start: { [id: string]: string }): void {
    this.host.call("view.open", { view, start }).catch((error: unknown) => this.problem(error));
  }

  private problem(error: unknown, retry: (() => void) | null = null): void {
    if (this.signal.aborted) return;
    this.notices.problem(error, retry);
  }
}

export const mount: Mount = (el, host) => {
  const train = new Train(el, host);
  return () => train.close();
};

export default widget(mount);
