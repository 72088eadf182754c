// Numbers that a reader may set, and what is made of them.

export interface Limits {
  least: number;
  most: number;
  step: number;
  /** What an empty field means; null if it means nothing. */
  start: number | null;
}

/** The number that a field means: its nearest allowed value, or `start` if it holds none. */
export function within<L extends Limits>({ least, most, step, start }: L, text: string): number | L["start"] {
  const wanted = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isNaN(wanted)) return start;
  const kept = Math.min(most, Math.max(least, wanted));
  return Number((Math.round(kept / step) * step).toFixed(2));
}
