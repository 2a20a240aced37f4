/** Event times as decimal numbers since 1970: with nine digits (file), with six (csv, templates). */

const BILLION = 1_000_000_000;

/** `1700000000.123456789`; times before 1970 count down: -1.5 s is `-1.500000000`. */
export function epochNanos(seconds: number, nanos: number): string {
  if (seconds >= 0) return `${seconds}.${digits(nanos, 9)}`;
  // Seconds are rounded down, so -0.5 s comes as (-1, 500,000,000).
  return nanos === 0 ? `${seconds}.000000000` : `-${-(seconds + 1)}.${digits(BILLION - nanos, 9)}`;
}

/** `1700000000.123457`, rounded, as C's `%f` prints it. */
export function epochMicros(seconds: number, nanos: number): string {
  const micros = Math.round(nanos / 1000);
  if (seconds < 0) return (seconds + nanos / BILLION).toFixed(6);
  return micros === 1_000_000 ? `${seconds + 1}.000000` : `${seconds}.${digits(micros, 6)}`;
}

/** A number below 10^width with leading zeros. */
function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
