// Options that count for nothing because of another one.

import type { Values } from "./holders";

/** What the shipped tasks call it. */
const EPOCHS = new Set(["epochs", "num_train_epochs"]);

/** The name of the option that decides in the place of this one: where the steps are fixed, they do and not the epochs. */
export function overruledBy(name: string, options: Values): string | null {
  return EPOCHS.has(name) && options.max_steps !== undefined ? "max_steps" : null;
}
