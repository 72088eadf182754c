// A drawing of where things come from: buttons that stand in layers, and lines between them. The keyboard
// walks along the lines; the same is there as a table.

import { control, drawn, element } from "../../parts/elements";
import { countWords, momentWords } from "../../parts/words";
import { column } from "../files";
import { layersOf, reachable } from "./layout";
import { type GraphNode, NODE_KINDS, type ProvenanceGraph, titleOf } from "./things";

const WIDTH = 184;
const HEIGHT = 58;
const GAP_X = 52;
const GAP_Y = 16;
/** Of so many nodes a drawing says nothing any more. */
const MOST_DRAWN = 150;

export class Graph {
  readonly element = element("div", { class: "lineage" });
  private readonly facts = element("div", { class: "facts", role: "status" });
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private readonly lines: { source: string; target: string; line: SVGPathElement }[] = [];
  private readonly nodes: Map<string, GraphNode>;
  private readonly layers: string[][];

  /** `acts` are buttons for what can be done with a node. */
  constructor(
    private readonly graph: ProvenanceGraph,
    centre: string | null,
    private readonly acts: (node: GraphNode) => HTMLElement[],
  ) {
    this.nodes = new Map(graph.nodes.map((node) => [node.id, node]));
    this.layers = layersOf([...this.nodes.keys()], graph.edges);
    const more = graph.truncated ? [element("p", { class: "notice warn" }, element("span", {}, "There is more than is shown here."))] : [];
    const drawing = this.nodes.size <= MOST_DRAWN ? [this.drawing(), this.facts] : [element("p", { class: "soft" }, "Too much to draw: the table has it all.")];
    const table = element("details", { class: "as-table", open: this.nodes.size > MOST_DRAWN }, control("summary", {}, "As a table"), this.table());
    this.element.append(...more, ...drawing, table);
    if (this.nodes.size <= MOST_DRAWN) this.choose(centre && this.nodes.has(centre) ? centre : (this.layers[0]?.[0] ?? null));
  }

  private drawing(): HTMLElement {
    const tallest = Math.max(1, ...this.layers.map((layer) => layer.length));
    const [width, height] = [this.layers.length * (WIDTH + GAP_X) - GAP_X, tallest * (HEIGHT + GAP_Y) - GAP_Y];
    const place = this.places(height);
    const lines = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (const { source, target } of this.graph.edges) {
      const [from, to] = [place.get(source), place.get(target)];
      if (!from || !to) continue;
      const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
      const bend = Math.max(24, (x2 - x1) / 2);
      const line = drawn("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, fill: "none" });
      this.lines.push({ source, target, line });
      lines.append(line);
    }
    const box = element("div", { class: "canvas" }, lines);
    box.style.width = `${width}px`;
    box.style.height = `${height}px`;
    for (const id of this.layers.flat()) box.append(this.node(this.nodes.get(id)!, place.get(id)!));
    return control("div", { class: "drawing", role: "group", "aria-label": "From files to adapters: arrow keys go along the lines" }, box);
  }

  private places(height: number): Map<string, { x: number; y: number }> {
    const at = (layer: string[], x: number): [string, { x: number; y: number }][] => {
      const above = (height - (layer.length * (HEIGHT + GAP_Y) - GAP_Y)) / 2;
      return layer.map((id, y) => [id, { x: x * (WIDTH + GAP_X), y: above + y * (HEIGHT + GAP_Y) }]);
    };
    return new Map(this.layers.flatMap(at));
  }

  private node(node: GraphNode, { x, y }: { x: number; y: number }): HTMLButtonElement {
    const state = stateOf(node);
    const kind = `${NODE_KINDS[node.kind]}${node.merged ? ", merged" : ""}${state ? ` · ${state}` : ""}`;
    const made = control("button", { type: "button", class: `node ${node.kind}${node.state === "withdrawn" ? " withdrawn" : ""}`, title: titleOf(node), tabindex: "-1" });
    made.append(element("span", { class: "who" }, kind), element("span", { class: "name" }, shortOf(node)));
    made.style.left = `${x}px`;
    made.style.top = `${y}px`;
    made.style.width = `${WIDTH}px`;
    made.style.height = `${HEIGHT}px`;
    made.addEventListener("click", () => this.choose(node.id));
    made.addEventListener("keydown", (event) => this.pressed(event, node.id));
    this.buttons.set(node.id, made);
    return made;
  }

  /** Mark a node, what it came from and what came of it, and say what it is. */
  private choose(id: string | null): void {
    if (id === null) return;
    const { edges } = this.graph;
    const related = new Set([...reachable(id, edges, "sources"), ...reachable(id, edges, "results"), id]);
    for (const [other, made] of this.buttons) {
      made.tabIndex = other === id ? 0 : -1;
      made.setAttribute("aria-pressed", String(other === id));
      made.classList.toggle("related", related.has(other));
    }
    for (const { source, target, line } of this.lines) line.classList.toggle("related", related.has(source) && related.has(target));
    this.tell(this.nodes.get(id)!);
    requestAnimationFrame(() => this.reveal(id)); // once it has a place
  }

  /** Bring a node into what is seen of the drawing, and leave the page where it is. */
  private reveal(id: string): void {
    const made = this.buttons.get(id);
    const box = made?.closest<HTMLElement>(".drawing");
    if (made && box) box.scrollTo?.({ left: made.offsetLeft - (box.clientWidth - WIDTH) / 2, top: made.offsetTop - (box.clientHeight - HEIGHT) / 2 });
  }

  private tell(node: GraphNode): void {
    const { edges } = this.graph;
    const names = (way: "sources" | "results"): string => {
      const others = [...reachable(node.id, edges, way)].map((id) => this.nodes.get(id)).filter((other) => other !== undefined);
      return others.length === 0 ? "nothing" : others.map((other) => `${NODE_KINDS[other.kind].toLowerCase()} ${other.name ?? "that is not shared with you"}`).join(", ");
    };
    const about = [node.records === null ? "" : countWords(node.records, "record"), node.created_at ? momentWords(node.created_at) : ""].filter(Boolean).join(" · ");
    this.facts.replaceChildren(
      element("p", {}, element("strong", {}, titleOf(node)), ...(about ? [` · ${about}`] : []), ...(node.state === "withdrawn" ? [" ", element("span", { class: "chip withdrawn" }, "withdrawn")] : [])),
      element("p", { class: "soft" }, `Made from: ${names("sources")}.`),
      element("p", { class: "soft" }, `Went into: ${names("results")}.`),
      element("div", { class: "row" }, ...this.acts(node)),
    );
  }

  private pressed(event: KeyboardEvent, id: string): void {
    const next = this.beside(event.key, id);
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(next);
    this.buttons.get(next)!.focus();
  }

  private beside(key: string, id: string): string | undefined {
    const { edges } = this.graph;
    const layer = this.layers.find((ids) => ids.includes(id))!;
    const at = layer.indexOf(id);
    if (key === "ArrowDown") return layer[at + 1];
    if (key === "ArrowUp") return layer[at - 1];
    if (key === "ArrowRight") return edges.find(({ source, target }) => source === id && this.buttons.has(target))?.target;
    if (key === "ArrowLeft") return edges.find(({ source, target }) => target === id && this.buttons.has(source))?.source;
    return undefined;
  }

  private table(): HTMLElement {
    const head = element("tr", {}, column("What"), column("Name"), column("State", "wide"), column("Made from"), element("td"));
    const from = (node: GraphNode): string => {
      const names = this.graph.edges.filter(({ target }) => target === node.id).map(({ source }) => this.nodes.get(source));
      return names.filter((other) => other !== undefined).map(titleOf).join(", ") || "–";
    };
    const rows = this.layers.flat().map((id) => {
      const node = this.nodes.get(id)!;
      return element("tr", {}, element("td", {}, NODE_KINDS[node.kind]), element("th", { scope: "row", class: "name" }, titleOf(node)), element("td", { class: "wide" }, stateOf(node) || "–"), element("td", {}, from(node)), element("td", {}, element("div", { class: "row actions" }, ...this.acts(node))));
    });
    return element("table", { "aria-label": "Lineage" }, element("thead", {}, head), element("tbody", {}, ...rows));
  }
}

/** The end of a name tells things of one owner apart; all of it is said below. */
function shortOf({ name }: GraphNode): string {
  return name === null ? "not shared with you" : name.slice(name.lastIndexOf("/") + 1);
}

/** What is worth saying of a state: that something went well is not. */
function stateOf({ state }: GraphNode): string {
  return state === null || state === "completed" || state === "ready" ? "" : state;
}
