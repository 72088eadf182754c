// Numbers, sizes and times as the reader writes them.

const NUMBER = new Intl.NumberFormat();
const SHORT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const UNITS = ["B", "kB", "MB", "GB", "TB"];
/** How many seconds each unit is worth, the largest first. */
const SPANS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
/** Older than this is a date, not a time ago. */
const DAYS_AGO = 30;

/** A number with separators: 12,345. */
export function number(value: number): string {
  return NUMBER.format(value);
}

/** A number and what it counts: "1 record", "12,345 records". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** A share between 0 and 1: 42%. */
export function percent(share: number): string {
  return PERCENT.format(share);
}

/** Bytes in the unit that keeps the number short: 1.5 MB. */
export function size(bytes: number): string {
  let unit = 0;
  let value = bytes;
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? number(value) : SHORT.format(value)} ${UNITS[unit]}`;
}

/** A moment in the reader's own format and time zone. */
export function moment(iso: string): string {
  return MOMENT.format(new Date(iso));
}

/** How long ago a moment was, or its date when that is long. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds > DAYS_AGO * 86_400) return new Date(iso).toLocaleDateString();
  const [unit, length] = SPANS.find(([, span]) => seconds >= span)!;
  return RELATIVE.format(-Math.floor(seconds / length), unit);
}
