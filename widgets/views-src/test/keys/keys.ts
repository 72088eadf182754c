// A key as tests write it down.

import type { Key } from "../../src/keys/key";

export function key(changes: Partial<Key> = {}): Key {
  return {
    id: "ak_1",
    name: "pipeline",
    prefix: "ak-a1B2…",
    adapters: [{ id: "ad_1", name: "@demo/soap@1" }],
    verbs: ["infer", "read"],
    tokens_per_day: null,
    tokens_today: 0,
    requests_per_minute: null,
    expires_at: "2026-03-31T12:00:00Z",
    overlap_until: null,
    last_used_at: null,
    revoked_at: null,
    ...changes,
  };
}
