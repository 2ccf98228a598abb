// strftime(3) in the C locale, local time: what `@X` in an output format stands for.

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const SHORT = 3;
const DAY_MS = 86_400_000;
const NOON = 12;

/** A moment: what Date holds, and the nanoseconds of its second. */
export interface Moment {
  readonly date: Date;
  /** 0..999,999,999. */
  readonly nanoseconds: number;
}

/** Of the wall clock, to the microsecond. */
export function now(): Moment {
  const ms = performance.timeOrigin + performance.now();
  const whole = Math.floor(ms / 1000);
  return { date: new Date(ms), nanoseconds: Math.round((ms / 1000 - whole) * 1e6) * 1000 };
}

type Conversion = (moment: Moment) => string;

function two(value: number, pad = "0"): string {
  return String(value).padStart(2, pad);
}

function hour12({ date }: Moment): number {
  return date.getHours() % NOON || NOON;
}

/** Days since 1 January, from 0. */
function dayOfYear({ date }: Moment): number {
  const start = Date.UTC(date.getFullYear(), 0, 1);
  return Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - start) / DAY_MS);
}

/** 1 is Monday, 7 Sunday. */
function weekday({ date }: Moment): number {
  return date.getDay() || 7;
}

/** Year and week of ISO 8601: the week that holds the year's first Thursday is the first. */
function isoWeek(moment: Moment): { year: number; week: number } {
  const { date } = moment;
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - weekday(moment), NOON);
  return {
    year: thursday.getFullYear(),
    week: 1 + Math.floor(dayOfYear({ date: thursday, nanoseconds: 0 }) / 7),
  };
}

/** "+0100" */
export function zoneOffset({ date }: Moment): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

function zoneName({ date }: Moment): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(date);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}

const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  a: ({ date }) => DAYS[date.getDay()]!.slice(0, SHORT),
  A: ({ date }) => DAYS[date.getDay()]!,
  b: ({ date }) => MONTHS[date.getMonth()]!.slice(0, SHORT),
  B: ({ date }) => MONTHS[date.getMonth()]!,
  c: (moment) => strftime("%a %b %e %H:%M:%S %Y", moment),
  C: ({ date }) => two(Math.floor(date.getFullYear() / 100)),
  d: ({ date }) => two(date.getDate()),
  D: (moment) => strftime("%m/%d/%y", moment),
  e: ({ date }) => two(date.getDate(), " "),
  F: (moment) => strftime("%Y-%m-%d", moment),
  g: (moment) => two(isoWeek(moment).year % 100),
  G: (moment) => String(isoWeek(moment).year),
  h: (moment) => strftime("%b", moment),
  H: ({ date }) => two(date.getHours()),
  I: (moment) => two(hour12(moment)),
  j: (moment) => String(dayOfYear(moment) + 1).padStart(3, "0"),
  k: ({ date }) => two(date.getHours(), " "),
  l: (moment) => two(hour12(moment), " "),
  m: ({ date }) => two(date.getMonth() + 1),
  M: ({ date }) => two(date.getMinutes()),
  n: () => "\n",
  N: ({ nanoseconds }) => String(nanoseconds).padStart(9, "0"),
  p: ({ date }) => (date.getHours() < NOON ? "AM" : "PM"),
  P: ({ date }) => (date.getHours() < NOON ? "am" : "pm"),
  r: (moment) => strftime("%I:%M:%S %p", moment),
  R: (moment) => strftime("%H:%M", moment),
  s: ({ date }) => String(Math.floor(date.getTime() / 1000)),
  S: ({ date }) => two(date.getSeconds()),
  t: () => "\t",
  T: (moment) => strftime("%H:%M:%S", moment),
  u: (moment) => String(weekday(moment)),
  U: (moment) => two(Math.floor((dayOfYear(moment) + 7 - moment.date.getDay()) / 7)),
  V: (moment) => two(isoWeek(moment).week),
  w: ({ date }) => String(date.getDay()),
  W: (moment) => two(Math.floor((dayOfYear(moment) + 7 - (weekday(moment) - 1)) / 7)),
  x: (moment) => strftime("%m/%d/%y", moment),
  X: (moment) => strftime("%H:%M:%S", moment),
  y: ({ date }) => two(date.getFullYear() % 100),
  Y: ({ date }) => String(date.getFullYear()),
  z: zoneOffset,
  Z: zoneName,
  "%": () => "%",
};

/** `%X` for each letter of strftime(3), and `%N`; another stays as it is. */
export function strftime(format: string, moment: Moment): string {
  return format.replaceAll(/%(.)/gs, (whole, letter: string) => CONVERSIONS[letter]?.(moment) ?? whole);
}
