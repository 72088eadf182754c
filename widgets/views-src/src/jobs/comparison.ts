// Several jobs side by side: their curves in one chart each, and in what they differ.

import { persist, repeat } from "../host/persist";
import { ask, type Job, type Page, type Task } from "../host/things";
import { Chart, swatch } from "../parts/chart";
import { SINGLE } from "../parts/curve-kinds";
import { button, control, element, scrolled } from "../parts/elements";
import { numbersOf, scoresOf, type Statistics } from "../parts/job-statistics";
import type { Workplace } from "../parts/work";
import { type Axis, pointsOf, type Step, unitOf } from "./curves";
import { type Difference, differencesOf, type Options } from "./differences";

/** More points of a curve than a chart is wide would look the same. */
const POINTS = 2000;
/** Jobs that go on are looked at again. */
const LOOK_EVERY_MS = 10_000;
const FINAL = new Set(["completed", "failed", "cancelled"]);
interface Run {
  job: Job;
  steps: Step[];
  statistics: Statistics;
}

interface Listener {
  back(): void;
  /** Compare these only. */
  only(jobs: string[]): void;
  watch(job: string): void;
}

interface MetricsEvent {
  at: string;
  data: Record<string, number | null>;
}

export class Comparison {
  readonly element = element("div", { class: "comparison" });
  private readonly life = new AbortController();
  private readonly legend = element("ul", { class: "ady-lines legend" });
  private readonly axes: Record<Axis, HTMLButtonElement>;
  private readonly grid = element("div", { class: "charts" });
  private readonly same = control("input", { type: "checkbox" });
  private readonly differences = element("div", { class: "differences" });
  private charts: Chart[] = [];
  private axis: Axis = "step";
  private runs: Run[] = [];
  /** Of each task, by its name. */
  private options: Readonly<Record<string, Options>> = {};

  constructor(
    private readonly place: Workplace,
    private readonly jobs: readonly string[],
    private readonly tell: Listener,
  ) {
    const by = (axis: Axis, words: string): HTMLButtonElement => button(words, () => this.along(axis), "small");
    this.axes = { step: by("step", "By step"), time: by("time", "By time") };
    const axes = element("div", { class: "row", role: "group", "aria-label": "Charts" }, ...Object.values(this.axes));
    this.same.addEventListener("change", () => this.showDifferences());
    this.element.append(
      element("div", {}, button("← All jobs", () => tell.back(), "link")),
      element("h2", { tabindex: "-1" }, "Compare jobs"),
      this.legend,
      axes,
      this.grid,
      element("div", { class: "row" }, element("h3", {}, "What they differ in"), element("label", { class: "check end" }, this.same, "Show what is the same too")),
      this.differences,
    );
  }

  /** Load and show; what is still running is followed. */
  async start(): Promise<void> {
    const signal = this.signal;
    await persist(() => this.load(), signal, this.place.notices.trouble);
    this.element.querySelector("h2")!.focus();
    if (this.runs.every(({ job }) => FINAL.has(job.state))) return;
    await repeat(() => this.load(), LOOK_EVERY_MS, signal, this.place.notices.trouble);
  }

  close(): void {
    this.life.abort();
    for (const chart of this.charts) chart.close();
  }

  private get signal(): AbortSignal {
    return AbortSignal.any([this.life.signal, this.place.signal]);
  }

  private async load(): Promise<void> {
    const [runs, tasks] = await Promise.all([Promise.all(this.jobs.map((job) => this.read(job))), ask<Page<Task>>(this.place.host, "tasks.list")]);
    if (this.signal.aborted) return;
    this.runs = runs;
    this.options = Object.fromEntries(tasks.items.map(({ name, schema }) => [name, (schema as { properties?: Options }).properties ?? {}]));
    this.show();
  }

  /** What was read of a job that is over stays so. */
  private async read(id: string): Promise<Run> {
    const known = this.runs.find(({ job }) => job.id === id);
    if (known && FINAL.has(known.job.state)) return known;
    const { host } = this.place;
    const [job, metrics, statistics] = await Promise.all([
      ask<Job>(host, "jobs.get", { job: id }),
      ask<Page<MetricsEvent>>(host, "jobs.metrics", { job: id, points: POINTS }),
      ask<Statistics>(host, "jobs.statistics", { job: id }),
    ]);
    return { job, steps: stepsOf(metrics.items, job.started_at), statistics };
  }

  private show(): void {
    this.showLegend();
    if (this.charts.length === 0) this.drawCharts();
    else this.fillCharts();
    this.showDifferences();
  }

  private showLegend(): void {
    const entries = this.runs.map(({ job }, at) => {
      const rest = this.jobs.filter((id) => id !== job.id);
      const remove = button("✕", () => this.tell.only(rest), "small", `Take ${job.name} out`);
      return element("li", {}, swatch(at), button(job.name, () => this.tell.watch(job.id), "link"), element("span", { class: "chip" }, job.state), ...(rest.length > 1 ? [remove] : []));
    });
    this.legend.replaceChildren(...entries);
  }

  private along(axis: Axis): void {
    if (this.axis === axis) return;
    this.axis = axis;
    this.drawCharts();
  }

  private drawCharts(): void {
    for (const chart of this.charts) chart.close();
    for (const [axis, each] of Object.entries(this.axes)) each.setAttribute("aria-pressed", String(axis === this.axis));
    const [unit] = unitOf(this.runs.map(({ steps }) => steps));
    const series = this.runs.map(({ job }) => ({ label: job.name, joined: true }));
    const along = this.axis === "step" ? "step" : unit;
    this.charts = SINGLE.map((kind) => new Chart({ ...kind, series, along }));
    this.grid.replaceChildren(...this.charts.map((chart) => chart.element));
    this.fillCharts();
  }

  private fillCharts(): void {
    const steps = this.runs.map((run) => run.steps);
    this.charts.forEach((chart, at) => {
      const points = pointsOf(steps, SINGLE[at]!.field, this.axis);
      chart.element.hidden = points.length === 0;
      chart.set(points);
    });
  }

  private showDifferences(): void {
    const jobs = this.runs.map(({ job }) => job);
    const results = resultsOf(this.runs.map(({ statistics }) => statistics));
    const inputs = differencesOf(jobs, this.options).filter(({ differs }) => differs || this.same.checked);
    const part = (title: string, rows: readonly Difference[]): HTMLElement[] => {
      if (rows.length === 0) return [];
      const head = element("tr", {}, element("th", { scope: "rowgroup", colspan: String(jobs.length + 1), class: "part" }, title));
      return [element("tbody", {}, head, ...rows.map(rowOf))];
    };
    const heads = element("tr", {}, element("td"), ...jobs.map(({ name }, at) => element("th", { scope: "col", class: "ady-lines" }, swatch(at), name)));
    const table = element("table", {}, element("thead", {}, heads), ...part("Settings", inputs), ...part("Results", results));
    const none = inputs.length === 0 ? [element("p", { class: "soft" }, "They were made from the same data with the same settings.")] : [];
    this.differences.replaceChildren(...none, scrolled("What they differ in", "scrolls", table));
  }
}

function rowOf({ title, values, differs }: Difference): HTMLElement {
  const cells = values.map((value) => element("td", {}, value));
  return element("tr", { class: differs ? "differs" : "" }, element("th", { scope: "row" }, title), ...cells);
}

function stepsOf(events: readonly MetricsEvent[], startedAt: string | null): Step[] {
  const start = Date.parse(startedAt ?? events[0]?.at ?? "");
  return events.map(({ at, data }) => ({ step: Number(data.step), elapsed: Math.max(0, Date.parse(at) - start), values: data }));
}

/** The numbers that any of them has. */
function resultsOf(all: readonly Statistics[]): Difference[] {
  const numbers = all.map((statistics) => new Map([...numbersOf(statistics), ...scoresOf(statistics)]));
  const names = [...new Set(numbers.flatMap((each) => [...each.keys()]))];
  return names.map((title) => ({ title, values: numbers.map((each) => each.get(title) ?? "–"), differs: false }));
}
