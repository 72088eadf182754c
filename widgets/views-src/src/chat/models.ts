// The models that a reader may choose from.

export interface Model {
  id: string;
  title: string;
  /** The base model of an adapter; null for a base model. */
  base: string | null;
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

  /** The base model to show beside an adapter, if it may be used. */
  baseOf(id: string): Model | null {
    const base = this.find(id)?.base;
    return base ? this.find(base) : null;
  }

  /** What to call a model that may no longer be in the list. */
  title(id: string): string {
    return this.find(id)?.title ?? id;
  }
}
