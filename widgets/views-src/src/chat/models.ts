// The models that a reader may choose from.

import { type Host, HostError } from "../host/host";
import { ask, list, type Page, PAGE_LIMIT } from "../host/things";

export interface Model {
  id: string;
  title: string;
  /** The base model of an adapter; null for a base model. */
  base: string | null;
  /** Answers only over the sealed channel. */
  restricted: boolean;
  /** Learnt from a version that is withdrawn or gone. */
  withdrawn?: boolean;
}

interface AdapterCard {
  id: string;
  full_name: string;
  base_model: string;
  sensitivity: string;
  withdrawn?: boolean;
}

/** What the service tells of any name that answers. */
interface ModelCard {
  id: string;
  kind: "adapter" | "base" | "embedding";
  base_model: string;
  sensitivity: string | null;
}

interface BaseModelCard {
  id: string;
  name: string;
  default: boolean;
}

/** What a reader can choose from, and whether there are adapters that are too old to be in it. */
export interface Choice {
  models: Model[];
  older: boolean;
}

const MOST_BASES = 1000;
/** There is no such model, or what is called so does not chat. */
const REFUSALS = new Set(["not_found", "invalid_input"]);
const CHECKPOINT = /-step\d+$/;

/**
 * Models that the reader may use: the newest adapters, the newest on top; then base models, the default one on top.
 * What is in neither list, such as an older adapter or a checkpoint, is among them if it is `wanted`; of several
 * names that can mean it the last one is whole.
 */
export async function listModels(host: Host, ...wanted: readonly string[]): Promise<Choice> {
  const whole = wanted.at(-1) ?? "";
  const [adapters, bases] = await Promise.all([
    adaptersWith(host, whole),
    list<BaseModelCard>(host, "base-models.list", {}, MOST_BASES),
  ]);
  bases.items.sort((one, other) => Number(other.default) - Number(one.default));
  const ofBases = bases.items.map(({ name }) => ({ id: name, title: `${name} (base model)`, base: null, restricted: false }));
  const ofAdapters = adapters.items.map(modelOfAdapter);
  const isListed = !whole || [...ofAdapters, ...ofBases].some(({ id }) => wanted.some((name) => isNamed(id, name)));
  const unlisted = isListed ? [] : await answeringTo(host, whole);
  return { models: [...ofAdapters, ...unlisted, ...ofBases], older: adapters.has_more };
}

/** The model that answers by this name, if one does: no list holds checkpoints. */
async function answeringTo(host: Host, model: string): Promise<Model[]> {
  try {
    const { id, kind, base_model, sensitivity } = await ask<ModelCard>(host, "models.get", { model });
    return kind === "adapter" ? [modelOfAdapter({ id, full_name: id, base_model, sensitivity: sensitivity ?? "" })] : [];
  } catch (error) {
    if (error instanceof HostError && REFUSALS.has(error.code)) return [];
    throw error;
  }
}

async function adaptersWith(host: Host, wanted: string): Promise<Page<AdapterCard>> {
  const page = (search?: string): Promise<Page<AdapterCard>> => ask(host, "adapters.list", { limit: PAGE_LIMIT, ...(search ? { search } : {}) });
  const isWanted = ({ full_name: name }: AdapterCard): boolean => isNamed(name, wanted);
  const newest = await page();
  if (!wanted || !newest.has_more || newest.items.some(isWanted)) return newest;
  const older = (await page(wanted)).items.filter(isWanted);
  return { ...newest, items: [...newest.items, ...older.slice(0, 1)] };
}

/** What a name can mean; without an owner also an adapter of the reader's own. */
export function namesOf(name: string, owner: string): string[] {
  return name.includes("/") ? [name] : [name, `${owner}/${name}`];
}

/** Whether an adapter goes by this name, which may leave its version out. */
function isNamed(id: string, name: string): boolean {
  return id === name || id.startsWith(`${name}@`);
}

/** The adapter that a model is, or is a checkpoint of. */
export function adapterOf(model: string): string {
  return model.replace(CHECKPOINT, "");
}

function modelOfAdapter({ full_name, base_model, sensitivity, withdrawn = false }: AdapterCard): Model {
  const restricted = sensitivity === "restricted";
  const kind = CHECKPOINT.test(full_name) ? "checkpoint" : "adapter";
  const title = `${full_name} (${kind}${restricted ? ", restricted" : ""})`;
  return { id: full_name, title, base: base_model, restricted, ...(withdrawn ? { withdrawn } : {}) };
}

export class Models {
  private all: readonly Model[] = [];
  /** Whether there are older adapters that are not among these. */
  older = false;

  get length(): number {
    return this.all.length;
  }

  [Symbol.iterator](): IterableIterator<Model> {
    return this.all[Symbol.iterator]();
  }

  /** Take another list; says whether it differs from the one before. */
  replace({ models, older }: Choice): boolean {
    const before = JSON.stringify([this.all, this.older]);
    this.all = models;
    this.older = older;
    return JSON.stringify([models, older]) !== before;
  }

  find(id: string): Model | null {
    return this.all.find((model) => model.id === id) ?? null;
  }

  /** The model of the first of these names that is one; a name without a version means its newest. */
  named(...names: readonly string[]): Model | null {
    const found = names.map((name) => this.find(name) ?? this.all.find(({ id, base }) => base !== null && isNamed(id, name)));
    return found.find((model) => model !== undefined) ?? null;
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
