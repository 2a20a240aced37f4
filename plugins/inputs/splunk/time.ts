/** The time of an event: Unix seconds as a number or a text, with a fraction of any length; also milliseconds and finer, as Splunk takes them. */
import { memberText } from '../../../src/plugin.ts';
import type { Value } from '../../../src/plugin.ts';

const DECIMAL = /^([+-]?)(\d{1,20})(?:\.(\d*))?$/;
/** `{"time":1700000000.123456789,` as senders write it, in front. */
const IN_FRONT = /^\{\s*"time"\s*:\s*([-+\d.]+)\s*[,}]/;
/** A time, somewhere, with more digits than a double holds for times of this century. */
const LONG_FRACTION = /"time"\s*:\s*-?\d+\.\d{7}/;
/** From so many digits on a time is in milliseconds, microseconds, nanoseconds: no seconds before the year 5138 have as many. */
const MILLIS_DIGITS = 12;
const NANO_DIGITS = 9;

export class EventClock {
  seconds = 0;
  nanos = 0;

  /** Reads the time of an envelope. False when there is none that can be read. `text`: the envelope's JSON, where a number's digits are. */
  read(time: Value | undefined, text: string): boolean {
    if (typeof time === 'string') return this.readText(time.trim());
    if (typeof time === 'bigint') return this.readText(String(time));
    if (typeof time !== 'number' || !Number.isFinite(time)) return false;
    return this.readText(digitsOf(time, text)) || this.readText(String(time));
  }

  private readText(text: string): boolean {
    const [, sign, whole, fraction = ''] = DECIMAL.exec(text) ?? [];
    if (whole === undefined) return false;
    const digits = whole.replace(/^0+(?=\d)/, '');
    // 12 to 14 digits: thousandths, 15 to 17: millionths, more: billionths.
    const shift =
      digits.length < MILLIS_DIGITS ? 0 : Math.min(NANO_DIGITS, 3 * Math.floor((digits.length - 9) / 3));
    const point = digits.length - shift;
    const seconds = Number(digits.slice(0, point));
    const nanos = Number((digits.slice(point) + fraction).slice(0, NANO_DIGITS).padEnd(NANO_DIGITS, '0'));
    const before = sign === '-';
    this.seconds = before ? -seconds - (nanos > 0 ? 1 : 0) : seconds;
    this.nanos = before && nanos > 0 ? 1_000_000_000 - nanos : nanos;
    return true;
  }
}

/** The digits of the time as they were written: a double may have fewer. */
function digitsOf(time: number, text: string): string {
  const inFront = IN_FRONT.exec(text)?.[1];
  if (inFront !== undefined && Number(inFront) === time) return inFront;
  return (LONG_FRACTION.test(text) ? memberText(text, 'time') : undefined) ?? String(time);
}
