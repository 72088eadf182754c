import { describe, expect, it } from "vitest";
import { within } from "../../src/chat/limits";

const TOKENS = { least: 1, most: 4096, step: 1, start: 256 };
const TEMPERATURE = { least: 0, most: 2, step: 0.1, start: 0.2 };

describe("a number that the reader sets", () => {
  it.each([
    ["300", 300],
    ["300.4", 300],
    ["0", 1],
    ["99999", 4096],
    ["", 256],
    ["many", 256],
  ])("%j tokens are %d", (text, kept) => expect(within(TOKENS, text)).toBe(kept));

  it.each([
    ["0", 0],
    ["0.3", 0.3],
    ["-1", 0],
    ["7", 2],
    ["", 0.2],
  ])("%j as a temperature is %d", (text, kept) => expect(within(TEMPERATURE, text)).toBe(kept));

  it.each([
    ["", null],
    ["seven", null],
    ["7", 7],
    ["-7", 0],
  ])("%j as a seed is %j", (text, kept) => expect(within({ least: 0, most: 99, step: 1, start: null }, text)).toBe(kept));
});
