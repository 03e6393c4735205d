/** Longest wait: timers of browsers and Node hold a little more, in 31 bits. */
const LONGEST_TIMER = 2_000_000_000;

/** Milliseconds before attempt `n`, counted from 0: anything up to a range that doubles. */
export function jitter(n: number, random: number): number {
  return Math.max(50, random * Math.min(30_000, 500 * 2 ** n));
}

/** Milliseconds before an attempt for which the server named a time: never earlier than that. */
export function after(named: number, random: number): number {
  return Math.min(LONGEST_TIMER, named + random * Math.max(named / 4, 500));
}

/** A named wait, or `undefined` when a value is none. */
export function milliseconds(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value < Infinity ? value : undefined;
}
