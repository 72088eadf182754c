// The bad records of a file: each with what mends it, a page at a time, and all of them as a file.

import { fetched } from "../../parts/download";
import { button, control, element } from "../../parts/elements";
import { countWords } from "../../parts/words";
import { column } from "../files";
import { ask, attempt, type Context, type List } from "../things";
import { type FileProblem, placeOf } from "./things";

const PAGE = 50;

export interface ProblemsOf {
  dataset: string;
  file: string;
  /** How many there are. */
  count: number;
}

export class Problems {
  readonly element = element("div", { class: "bad-records" });
  private readonly body = element("tbody");
  private readonly more = button("Load more", () => void this.load(this.last), "small");
  private readonly said = element("span", { class: "soft", role: "status" });
  private last: string | null = null;

  constructor(
    private readonly context: Context,
    private readonly of: ProblemsOf,
  ) {
    const head = element("tr", {}, column("Record", "number"), column("Where"), column("What is wrong"), column("How to mend it"));
    const save = button("Download the list", () => void this.download(), "small");
    this.more.hidden = true;
    this.element.append(
      element("div", { class: "row" }, element("strong", {}, countWords(of.count, "bad record")), save, this.said),
      control("div", { class: "problems", role: "region", tabindex: "0", "aria-label": "What is wrong" }, element("table", {}, element("thead", {}, head), this.body)),
      this.more,
    );
    void this.load(null);
  }

  private async load(after: string | null): Promise<void> {
    await attempt(this.context, async () => {
      const { dataset, file } = this.of;
      const { items, has_more } = await ask<List<FileProblem>>(this.context, "files.problems", { dataset, file, limit: PAGE, ...(after ? { after } : {}) });
      this.last = items.at(-1)?.id ?? null;
      this.more.hidden = !has_more;
      this.body.append(...items.map(rowOf));
    }, true);
  }

  private async download(): Promise<void> {
    const { dataset, file } = this.of;
    await attempt(this.context, async () => {
      await fetched(this.context, "files.problems-file", { dataset, file, download: "csv" }, new AbortController().signal, (words) => (this.said.textContent = words));
      this.said.textContent = "Downloaded.";
    });
  }
}

function rowOf(problem: FileProblem): HTMLElement {
  const { number, reason, remedy } = problem;
  return element("tr", {}, element("td", { class: "number" }, number === null ? "–" : number.toLocaleString()), element("td", {}, placeOf(problem)), element("td", {}, reason), element("td", {}, remedy));
}
