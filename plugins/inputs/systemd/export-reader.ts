/**
 * Reads the journal's export format (systemd's JOURNAL_EXPORT_FORMATS), as it comes by a pipe in pieces of any size:
 *
 *     KEY=value\n                                     text: printable UTF-8 on one line
 *     KEY\n<length, 64 bits, little endian>value\n    anything else: several lines, control characters, bytes
 *     \n                                              end of the entry
 *
 * It has no size limits of its own, so here a field and an entry have: what is longer is cut, and never held in memory.
 * (The JSON form costs journalctl over three times the CPU, and writes a coloured line as a list of numbers.)
 */
import { isAscii, isUtf8 } from 'node:buffer';

const LINE_FEED = 10;
const UNDERSCORE = 95;
const LENGTH_BYTES = 8;
/** No field name is longer: what is, is no export format. Bytes. */
const MAX_KEY = 1024;
/** What a field keeps where the entry has reached its limit: the short ones say whose it is. Bytes. */
const SHORT = 1024;
const NOT_ASCII = /[\u0080-\u00FF]/;

/** What is not text or was too long. */
export type Flaw = 'cut' | 'binary' | undefined;

export interface EntrySink {
  /** A field of the entry. `value` is text; what of it is not UTF-8 stands there as U+FFFD, and then `bytes` has the original. */
  field(key: string, value: string, flaw: Flaw, bytes?: Buffer): void;
  /** An address field (`__CURSOR`, `__REALTIME_TIMESTAMP`, …): about the entry, not of it. */
  address(key: string, value: string): void;
  end(): void;
}

/** What came is no export format. */
export class ExportError extends Error {}

export class ExportReader {
  private readonly sink: EntrySink;
  private readonly limit: number;
  /** What came of a field that is not complete. */
  private rest: Buffer = Buffer.alloc(0);
  /** Bytes of a value that was cut and is still coming, its line end included. */
  private toSkip = 0;
  /** The line that was cut goes on to its end. */
  private skipsLine = false;
  /** Bytes of the entry so far. */
  private taken = 0;

  /** `limit`: bytes of a field, and of an entry before only short fields are taken. */
  constructor(sink: EntrySink, limit: number) {
    this.sink = sink;
    this.limit = limit;
  }

  /** Takes what came. Throws ExportError. */
  push(piece: Buffer): void {
    let data = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    data = this.skip(data);
    const stop = this.read(data);
    // A copy: what is left must not keep the whole piece.
    this.rest = stop === data.length ? Buffer.alloc(0) : Buffer.from(data.subarray(stop));
  }

  /** Forgets the entry that is not complete: its writer has ended. */
  reset(): void {
    this.rest = Buffer.alloc(0);
    this.toSkip = 0;
    this.skipsLine = false;
    this.taken = 0;
  }

  private skip(data: Buffer): Buffer {
    if (this.toSkip > 0) {
      const skipped = Math.min(this.toSkip, data.length);
      this.toSkip -= skipped;
      return data.subarray(skipped);
    }
    if (!this.skipsLine) return data;
    const end = data.indexOf(LINE_FEED);
    if (end === -1) return data.subarray(data.length);
    this.skipsLine = false;
    return data.subarray(end + 1);
  }

  /** Takes the complete fields; returns where the first incomplete one begins. */
  private read(data: Buffer): number {
    // One decoding for all, in which an offset is a byte; what is not ASCII is decoded again by the field.
    const text = data.toString('latin1');
    const ascii = isAscii(data);
    let at = 0;
    while (at < data.length) {
      const end = text.indexOf('\n', at);
      if (end === -1) return this.endless(data, text, at);
      if (end === at) {
        this.taken = 0;
        this.sink.end();
        at++;
        continue;
      }
      const equals = text.indexOf('=', at);
      if (equals !== -1 && equals < end) {
        this.take(data, text, ascii, at, equals, equals + 1, end);
        at = end + 1;
        continue;
      }
      const next = this.readBinary(data, text, ascii, at, end);
      if (next === undefined) return at;
      at = next;
    }
    return at;
  }

  /** A field without its end: waits for it, or cuts it when it is over the limit. */
  private endless(data: Buffer, text: string, at: number): number {
    const equals = text.indexOf('=', at);
    if (equals === -1) {
      if (data.length - at > MAX_KEY) throw new ExportError('a line is neither a field nor the name of one');
      return at;
    }
    const room = this.room();
    if (data.length - equals - 1 <= room) return at;
    this.take(data, text, false, at, equals, equals + 1, equals + 1 + room, 'cut');
    this.skipsLine = true;
    return data.length;
  }

  /** A field with its length; returns where the next begins, undefined when more of it must come. */
  private readBinary(
    data: Buffer,
    text: string,
    ascii: boolean,
    at: number,
    end: number,
  ): number | undefined {
    if (end - at > MAX_KEY) throw new ExportError('the name of a field is too long');
    const start = end + 1 + LENGTH_BYTES;
    if (data.length < start) return undefined;
    const length = Number(data.readBigUInt64LE(end + 1));
    if (!Number.isSafeInteger(length)) throw new ExportError('the length of a field makes no sense');
    const room = this.room();
    if (length <= room) {
      if (data.length < start + length + 1) return undefined;
      if (data[start + length] !== LINE_FEED) throw new ExportError('a field is longer than it says');
      this.take(data, text, ascii, at, end, start, start + length);
      return start + length + 1;
    }
    if (data.length < start + room) return undefined;
    this.take(data, text, ascii, at, end, start, start + room, 'cut');
    const over = start + length + 1 - data.length;
    if (over <= 0) return start + length + 1;
    this.toSkip = over;
    return data.length;
  }

  /** Bytes that the next field may have. */
  private room(): number {
    return this.taken < this.limit ? this.limit : SHORT;
  }

  private take(
    data: Buffer,
    text: string,
    ascii: boolean,
    at: number,
    keyEnd: number,
    start: number,
    stop: number,
    cut?: 'cut',
  ): void {
    const key = text.slice(at, keyEnd);
    let flaw: Flaw = cut;
    let end = stop;
    if (cut === undefined && stop - start > this.room()) {
      flaw = 'cut';
      end = start + this.room();
    }
    let value = text.slice(start, end);
    if (text.charCodeAt(at) === UNDERSCORE && text.charCodeAt(at + 1) === UNDERSCORE) {
      this.sink.address(key, value);
      return;
    }
    this.taken += end - start;
    if (ascii || !NOT_ASCII.test(value)) {
      this.sink.field(key, value, flaw);
      return;
    }
    if (flaw === 'cut') end = start + wholeCharacters(data.subarray(start, end));
    value = data.toString('utf8', start, end);
    const bytes = data.subarray(start, end);
    if (value.includes('\uFFFD') && !isUtf8(bytes)) this.sink.field(key, value, flaw ?? 'binary', bytes);
    else this.sink.field(key, value, flaw);
  }
}

/** Bytes of a text that was cut anywhere, without a character that is not whole at its end. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return back < size ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
