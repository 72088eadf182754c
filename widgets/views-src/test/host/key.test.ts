import { expect, it } from "vitest";
import { newKey } from "../../src/host/key";

it("makes keys that the service takes", () => {
  expect(newKey()).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
  expect(newKey()).not.toBe(newKey());
});
