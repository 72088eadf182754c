import { describe, expect, it } from "vitest";
import { bytesWords, durationWords, nameWords, numberWords, roughlyWords } from "../../src/parts/words";

describe("numbers", () => {
  it("have as many digits as say something", () => {
    expect(numberWords(1.623456)).toBe("1.623");
    expect(numberWords(0)).toBe("0");
    expect(numberWords(1234567)).toBe("1,234,567");
    expect(numberWords(4321.6)).toBe("4,322");
  });

  it("that are tiny or huge are powers of ten", () => {
    expect(numberWords(0.0002)).toBe("2 × 10⁻⁴");
    expect(numberWords(3.21e17)).toBe("3.21 × 10¹⁷");
  });

  it("that are none are a dash", () => {
    expect(numberWords(Number.NaN)).toBe("–");
  });
});

describe("durations", () => {
  it("have at most two units", () => {
    expect(durationWords(0)).toBe("0 s");
    expect(durationWords(0.2)).toBe("less than 1 s");
    expect(durationWords(65)).toBe("1 min 5 s");
    expect(durationWords(3600)).toBe("1 h");
    expect(durationWords(90061)).toBe("1 d 1 h");
  });

  it("that are guessed have no seconds behind their minutes", () => {
    expect(roughlyWords(12)).toBe("15 s");
    expect(roughlyWords(1231)).toBe("21 min");
    expect(roughlyWords(7201)).toBe("2 h 1 min");
  });
});

it("sizes are in the unit that fits", () => {
  expect(bytesWords(12)).toBe("12 bytes");
  expect(bytesWords(4_200_000)).toBe("4.2 MB");
});

it("names of fields are words", () => {
  expect(nameWords("learning_rate")).toBe("Learning rate");
});
