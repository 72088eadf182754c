// One version: what it holds, what changed in it, where it came from and where it went.

import { button, element } from "../parts/elements";
import { VirtualTable } from "../parts/table";
import { Tabs } from "../parts/tabs";
import { momentWords } from "../parts/words";
import { bubbles } from "./bubbles";
import { Diff } from "./diff";
import { askToExport } from "./export";
import { actsOf } from "./lineage/acts";
import { Graph } from "./lineage/graph";
import { recordLineage } from "./lineage/record";
import type { ProvenanceGraph } from "./lineage/things";
import { ROW_COLUMNS, type Row, rowOf } from "./records";
import { reportOf } from "./report";
import { ask, attempt, type Context, type Dataset, type List, type RecordItem, type Version } from "./things";
import { askToWithdraw } from "./withdraw";

export class VersionPage {
  readonly element = element("section", { class: "details" });
  private readonly title = element("h3", { tabindex: "-1" });
  private readonly said = element("p", { class: "soft", role: "status" });
  private readonly preview: Preview;

  constructor(
    private readonly context: Context,
    dataset: Dataset,
    private readonly version: Version,
    others: readonly Version[],
    private readonly events: { onClose(): void; onChange(): void },
  ) {
    const { name } = version;
    this.title.textContent = name;
    this.element.setAttribute("aria-label", `Details of ${name}`);
    this.preview = new Preview(context, version);
    const diff = new Diff(context, version, others);
    const lineage = element("div");
    const seen = new Set<string>();
    const tabs = new Tabs(
      `Parts of ${name}`,
      [
        { name: "report", title: "Report", panel: element("div", {}, reportOf(version)) },
        { name: "records", title: "Contents", panel: this.preview.element },
        { name: "changes", title: "Changes", panel: diff.element },
        { name: "lineage", title: "Lineage", panel: lineage },
      ],
      (tab) => {
        if (seen.has(tab)) return;
        seen.add(tab);
        if (tab === "changes") diff.begin();
        if (tab === "lineage") void this.trace(lineage);
      },
    );
    tabs.show("report");
    const acts = [button("Export …", () => void askToExport(context, version).then((words) => words && (this.said.textContent = words)), "small", `Export ${name}`)];
    if (dataset.right === "manage" && version.state !== "withdrawn") acts.push(button("Withdraw …", () => void this.withdraw(), "small danger", `Withdraw ${name}`));
    const close = button("✕", () => events.onClose(), "small", `Close the details of ${name}`);
    this.element.append(element("header", { class: "row" }, this.title, element("span", { class: "row end" }, ...acts, close)), this.said, ...withdrawnNote(version), tabs.element);
  }

  focus(): void {
    this.title.focus();
    this.title.scrollIntoView({ block: "nearest" });
  }

  close(): void {
    this.preview.close();
  }

  private async trace(place: HTMLElement): Promise<void> {
    place.replaceChildren(element("p", { class: "soft", role: "status" }, "Looking …"));
    await attempt(this.context, async () => {
      const graph = await ask<ProvenanceGraph>(this.context, "versions.provenance", { version: this.version.id });
      place.replaceChildren(new Graph(graph, this.version.id, actsOf(this.context, this.version.id)).element);
    }, true);
  }

  private async withdraw(): Promise<void> {
    if (!(await askToWithdraw(this.context, this.version))) return;
    this.events.onClose();
    this.events.onChange();
  }
}

function withdrawnNote({ state, reason, withdrawn_at: at }: Version): HTMLElement[] {
  if (state !== "withdrawn") return [];
  return [element("p", { class: "notice warn" }, element("span", {}, `Withdrawn${at ? ` ${momentWords(at)}` : ""}: ${reason || "no reason was given."}`))];
}

type ReadRow = Row & { item: RecordItem };

/** The records of a version, to read. Their positions are 1, 2, 3 …, so a page is found by its offset. */
class Preview {
  readonly element = element("div", { class: "split" });
  private readonly panel = element("section", { class: "panel", "aria-label": "Record", hidden: true });
  private readonly table: VirtualTable<ReadRow>;

  constructor(
    private readonly context: Context,
    version: Version,
  ) {
    this.table = new VirtualTable<ReadRow>({
      label: `Records of ${version.name}`,
      columns: ROW_COLUMNS.map(({ order: _, ...rest }) => rest),
      rowHeight: 36,
      pageSize: 50, // of these the rows keep the whole records
      fetchPage: async (offset, limit, signal) => {
        const asked = { ...context, signal: AbortSignal.any([signal, context.signal]) };
        const args = { version: version.id, limit, ...(offset > 0 ? { after: String(offset) } : {}) };
        const { items } = await ask<List<RecordItem>>(asked, "versions.records", args);
        return { rows: items.map((item) => ({ ...rowOf(item), item })), total: version.records };
      },
      keyOf: ({ id }) => id,
      onOpen: (row) => this.open(row),
      onError: (error) => context.notices.problem(error, () => this.table.reload()),
    });
    this.element.append(element("div", { class: "list" }, this.table.element), this.panel);
  }

  close(): void {
    this.table.close();
  }

  private open({ id, item }: ReadRow): void {
    const close = button("✕", () => this.hide(), "small end", "Close the record");
    const head = element("header", { class: "row" }, element("h3", {}, `Record ${Number(id).toLocaleString()}`), close);
    const where = button("Which adapters saw it?", () => where.replaceWith(recordLineage(this.context, item.record_id)), "small");
    this.panel.replaceChildren(head, element("div", { class: "panel-body" }, bubbles(item.record), element("div", {}, where)));
    this.panel.hidden = false;
    this.element.classList.add("open");
    this.table.select(id);
  }

  private hide(): void {
    this.panel.hidden = true;
    this.element.classList.remove("open");
    this.table.select(null);
    this.table.element.focus();
  }
}
