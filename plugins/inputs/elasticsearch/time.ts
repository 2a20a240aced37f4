/** The time of a document: ISO 8601 with a fraction of any length, or milliseconds since 1970, as Elasticsearch reads dates by default. */
import type { Value } from '../../../src/plugin.ts';

const ISO =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
const MILLIS = /^-?\d{1,15}$/;
const NANO_DIGITS = 9;

export class DocumentClock {
  seconds = 0;
  nanos = 0;

  /** Reads a time; false when it is none. */
  read(time: Value | undefined): boolean {
    if (typeof time === 'number') return this.readMillis(time);
    if (typeof time !== 'string') return false;
    return MILLIS.test(time) && time.length > 4 ? this.readMillis(Number(time)) : this.readIso(time);
  }

  private readMillis(millis: number): boolean {
    if (!Number.isFinite(millis) || Math.abs(millis) > 8.64e15) return false;
    this.seconds = Math.floor(millis / 1000);
    this.nanos = Math.floor((millis - this.seconds * 1000) * 1e6);
    return true;
  }

  private readIso(text: string): boolean {
    const [, date, minutes = '00:00', seconds = '00', fraction = '', zone = 'Z'] =
      ISO.exec(text.trim()) ?? [];
    if (date === undefined) return false;
    const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
    const millis = Date.parse(`${date}T${minutes}:${seconds}${offset.toUpperCase()}`);
    if (Number.isNaN(millis)) return false;
    this.seconds = millis / 1000;
    this.nanos = Number(fraction.padEnd(NANO_DIGITS, '0'));
    return true;
  }
}
