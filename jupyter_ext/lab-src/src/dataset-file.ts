// Files that a dataset can be made of, and what to call it. Pure.

export const DATASET_FILE = /\.(jsonl?|ndjson|csv|tsv|parquet|arrow|txt|zip)$/i;
/** Source: adaptery.names, NAME_LIMIT and the form of a name. */
const NAME_LIMIT = 64;

/** A name that the service takes, made of a file's. */
export function suggested(file: string): string {
  const plain = file.replace(DATASET_FILE, "").toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
  const allowed = plain.replace(/[^a-z0-9._-]+/g, "-").replace(/\.{2,}/g, ".").slice(0, NAME_LIMIT);
  return allowed.replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "") || "dataset";
}
