// The models that a reader may choose from.

import type { Host, Json } from "../host/host";

export interface Model {
  id: string;
  title: string;
  /** The base model of an adapter; null for a base model. */
  base: string | null;
  /** Answers only over the sealed channel. */
  restricted: boolean;
}

interface AdapterCard {
  id: string;
  full_name: string;
  base_model: string;
  sensitivity: string;
}

interface BaseModelCard {
  id: string;
  name: string;
  default: boolean;
}

/** The most that the service gives at once, and more lists of that than a choice can hold. */
const PAGE = 200;
const PAGES = 25;

/** All models that the reader may use: adapters first, the newest on top; then base models, the default one on top. */
export async function listModels(host: Host): Promise<Model[]> {
  const [adapters, bases] = await Promise.all([
    all<AdapterCard>(host, "adapters.list"),
    all<BaseModelCard>(host, "base-models.list"),
  ]);
  bases.sort((one, other) => Number(other.default) - Number(one.default));
  return [...adapters.map(modelOfAdapter), ...bases.map(({ name }) => ({ id: name, title: `${name} (base model)`, base: null, restricted: false }))];
}

function modelOfAdapter({ full_name, base_model, sensitivity }: AdapterCard): Model {
  const restricted = sensitivity === "restricted";
  const title = `${full_name} (adapter${restricted ? ", restricted" : ""})`;
  return { id: full_name, title, base: base_model, restricted };
}

async function all<T extends { id: string }>(host: Host, verb: string): Promise<T[]> {
  const items: T[] = [];
  for (let pages = 0; pages < PAGES; pages++) {
    const after: { [name: string]: Json } = items.length > 0 ? { after: items.at(-1)!.id } : {};
    const page = (await host.call(verb, { limit: PAGE, ...after })) as unknown as { items: T[]; has_more: boolean };
    items.push(...page.items);
    if (!page.has_more || page.items.length === 0) break;
  }
  return items;
}

export class Models {
  private all: readonly Model[] = [];

  get length(): number {
    return this.all.length;
  }

  [Symbol.iterator](): IterableIterator<Model> {
    return this.all[Symbol.iterator]();
  }

  /** Take another list; says whether it differs from the one before. */
  replace(models: readonly Model[]): boolean {
    const before = JSON.stringify(this.all);
    this.all = models;
    return JSON.stringify(models) !== before;
  }

  find(id: string): Model | null {
    return this.all.find((model) => model.id === id) ?? null;
  }

  /** The model of that name; a name without a version means its newest. */
  named(name: string): Model | null {
    return this.find(name) ?? this.all.find(({ id, base }) => base !== null && id.startsWith(`${name}@`)) ?? null;
  }

  /** What to begin with: the newest adapter that answers here, else the default base model. */
  first(sealed: boolean): Model | null {
    return this.all.find(({ restricted }) => sealed || !restricted) ?? null;
  }

  /** The base model to show beside an adapter, if it may be used. */
  baseOf(id: string): Model | null {
    const base = this.find(id)?.base;
    return base ? this.find(base) : null;
  }
}
