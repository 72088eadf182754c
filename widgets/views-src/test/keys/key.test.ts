import { describe, expect, it } from "vitest";
import { asks, endWords, isAlive, lastUseWords, requestsWords, stateOf, statusOf, tokensWords } from "../../src/keys/key";
import { key } from "./keys";

const NOW = Date.parse("2026-03-01T12:00:00Z");

describe("a key", () => {
  it("has a state: in force, spent for today, expired or revoked", () => {
    expect(stateOf(key(), NOW)).toBe("in force");
    expect(stateOf(key({ tokens_per_day: 100, tokens_today: 99 }), NOW)).toBe("in force");
    expect(stateOf(key({ tokens_per_day: 100, tokens_today: 100 }), NOW)).toBe("spent");
    expect(stateOf(key({ tokens_today: 1_000_000 }), NOW)).toBe("in force");
    expect(stateOf(key({ adapters: [{ id: "ad_1", name: null }], tokens_per_day: 1, tokens_today: 1 }), NOW)).toBe("asks nothing");
    expect(stateOf(key({ adapters: [{ id: "ad_1", name: null }], verbs: ["infer", "embed"] }), NOW)).toBe("in force");
    expect(stateOf(key({ expires_at: "2026-03-01T12:00:00Z", tokens_per_day: 1, tokens_today: 1 }), NOW)).toBe("expired");
    expect(stateOf(key({ revoked_at: "2026-03-01T11:00:00Z", expires_at: "2026-02-01T00:00:00Z" }), NOW)).toBe("revoked");
    expect([key(), key({ tokens_per_day: 1, tokens_today: 1 })].map((one) => isAlive(one, NOW))).toEqual([true, true]);
    expect(isAlive(key({ revoked_at: "2026-03-01T11:00:00Z" }), NOW)).toBe(false);
  });

  it("warns before it ends, and while its tokens are spent", () => {
    expect(statusOf(key(), NOW)).toMatchObject({ mood: "good", note: expect.stringMatching(/^Until /) as string });
    expect(statusOf(key({ expires_at: "2026-03-03T00:00:00Z" }), NOW)).toMatchObject({ mood: "warn", note: expect.stringMatching(/^Ends soon: /) as string });
    expect(statusOf(key({ tokens_per_day: 1, tokens_today: 2 }), NOW).note).toContain("until midnight UTC");
  });

  it("warns where its owner may not use its adapters any more, and can still be ended", () => {
    const left = key({ adapters: [{ id: "ad_1", name: null }] });
    expect(statusOf(left, NOW)).toMatchObject({ mood: "warn", note: expect.stringMatching(/^You may not use its adapters any more\. Until /) as string });
    expect(isAlive(left, NOW)).toBe(true);
  });

  it("says until when the old secret works, as long as it does", () => {
    expect(statusOf(key({ overlap_until: "2026-03-01T13:00:00Z" }), NOW).note).toContain("The old secret works until");
    expect(statusOf(key({ overlap_until: "2026-03-01T11:00:00Z" }), NOW).note).not.toContain("old secret");
  });

  it("says what it was used for and what it may", () => {
    expect(tokensWords(key({ tokens_today: 1234 }))).toBe("1,234 tokens today");
    expect(tokensWords(key({ tokens_today: 1234, tokens_per_day: 5000 }))).toBe("1,234 of 5,000 tokens today");
    expect([null, 1, 60].map((requests_per_minute) => requestsWords(key({ requests_per_minute })))).toEqual(["", "At most 1 request a minute", "At most 60 requests a minute"]);
    expect(lastUseWords(key(), NOW)).toBe("Never used");
    expect(lastUseWords(key({ last_used_at: "2026-03-01T11:59:50Z" }), NOW)).toBe("Last used just now");
  });

  it("asks an adapter by its whole name, or by its name without a version", () => {
    expect(["@demo/soap@1", "@demo/soap", "@demo/so", "@demo/soap@2"].map((name) => asks(key(), name))).toEqual([true, true, false, false]);
  });

  it("names what stops with it", () => {
    expect(endWords(key())).toContain("uses ak-a1B2… to ask @demo/soap@1 stops");
    expect(endWords(key({ adapters: [{ id: "ad_1", name: null }] }))).toContain("uses ak-a1B2… stops");
    expect(endWords(key({ adapters: [1, 2, 3, 4].map((n) => ({ id: `ad_${n}`, name: `@demo/a@${n}` })) }))).toContain("to ask 4 adapters stops");
  });
});
