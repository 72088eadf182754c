// Numbers, times and sizes as a reader writes them.

/** Of an adapter: a version that it was trained on was withdrawn, or is gone. */
export const WITHDRAWN = "learnt from withdrawn data";

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A number with separators, and no more digits than say something. */
export function numberWords(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e15)) return scientificWords(value, digits);
  if (Number.isInteger(value)) return value.toLocaleString();
  return value.toLocaleString(undefined, size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits });
}

/** A number as a power of ten. */
export function scientificWords(value: number, digits = 4): string {
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e") as [string, string];
  const power = exponent.replace("+", "").replace("-", "⁻").replace(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)]!);
  return `${Number(mantissa).toLocaleString(undefined, { maximumSignificantDigits: digits })} × 10${power}`;
}

/** A size in the unit that fits. */
export function bytesWords(bytes: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const options = { style: "unit", unit: units[power]!, unitDisplay: power === 0 ? "long" : "short", maximumSignificantDigits: 3 } as const;
  return (bytes / 1000 ** power).toLocaleString(undefined, options);
}

/** How long, in at most two units: "2 h 5 min". */
export function durationWords(seconds: number): string {
  if (seconds > 0 && seconds < 1) return "less than 1 s";
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** A guess of how long: it needs no seconds behind its minutes. */
export function roughlyWords(seconds: number): string {
  if (seconds < 60) return durationWords(Math.max(5, Math.ceil(seconds / 5) * 5));
  return durationWords(Math.ceil(seconds / 60) * 60);
}

const SOON_SECONDS = 5;

/** When a job will be over; `at` is RFC 3339. */
export function leftWords(at: string, now: number): string {
  const seconds = (Date.parse(at) - now) / 1000;
  return seconds < SOON_SECONDS ? "a few seconds left" : `about ${roughlyWords(seconds)} left`;
}

/** When a job that waits will start; nothing where there is no ground for a guess. */
export function startsWords(at: string | null, now: number): string {
  if (at === null) return "";
  const seconds = (Date.parse(at) - now) / 1000;
  return seconds <= 0 ? "Starts soon." : `Starts in about ${roughlyWords(seconds)}.`;
}

/** A moment in the reader's own time; `at` is RFC 3339. */
export function momentWords(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The time of day of a moment. */
export function timeWords(at: string): string {
  return new Date(at).toLocaleTimeString(undefined, { timeStyle: "medium" });
}

/** The name of a field as words: `learning_rate` is "Learning rate". */
export function nameWords(name: string): string {
  const words = name.replace(/_/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** How many of something: "1 record", "12,345 records". */
export function countWords(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

/** A share between 0 and 1: "42%". */
export function shareWords(share: number): string {
  return share.toLocaleString(undefined, { style: "percent", maximumFractionDigits: 0 });
}

/** Characters of a digest that tell one from another at a glance. */
const DIGEST_SHOWN = 12;

/** The beginning of a digest, without the name of its algorithm. */
export function digestWords(digest: string): string {
  return `${digest.replace(/^sha256:/, "").slice(0, DIGEST_SHOWN)}…`;
}

/** How long each unit is, in seconds; what is older than `DATED` has a date. */
const SPANS: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3_600], ["minute", 60]];
const DATED = 30 * 86_400;

/** How long ago a moment was, or its date if that is long; `at` is RFC 3339. */
export function agoWords(at: string, now = Date.now()): string {
  const seconds = (now - Date.parse(at)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds > DATED) return new Date(at).toLocaleDateString(undefined, { dateStyle: "medium" });
  const [unit, length] = SPANS.find(([, span]) => seconds >= span)!;
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" }).format(-Math.floor(seconds / length), unit);
}
