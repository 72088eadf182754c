// What can be done with a thing in a graph: look at it where it is shown.

import { button } from "../../parts/elements";
import { ask, attempt, type Context } from "../things";
import type { GraphNode } from "./things";

/** Buttons for a node; `here` is the version that is being looked at. */
export function actsOf(context: Context, here: string | null = null): (node: GraphNode) => HTMLElement[] {
  const open = (view: string, start: Record<string, string>): void => {
    context.host.call("view.open", { view, start }).catch((error: unknown) => context.notices.problem(error));
  };
  const openVersion = (version: string): Promise<boolean> =>
    attempt(context, async () => open("curate", { dataset: (await ask<{ dataset: string }>(context, "versions.get", { version })).dataset, version }), true);
  return ({ id, kind, name }) => {
    if (name === null || id === here) return [];
    if (kind === "job") return [button("Watch it", () => open("watch", { job: id }), "small", `Watch the job ${name}`)];
    if (kind === "adapter") return [button("Chat with it", () => open("chat", { model: name }), "small", `Chat with ${name}`)];
    if (kind === "version") return [button("Open it", () => void openVersion(id), "small", `Open ${name}`)];
    return [];
  };
}
