/**
 * Takes messages out of a stream. Each says by itself how it is framed (RFC 6587): a length before it, or a line feed or NUL behind it.
 *
 * A message that is longer than the limit is cut, and its rest skipped. A length that no message has is the end of the connection: whatever
 * follows it could not be understood.
 */
import { isAscii } from 'node:buffer';
import { characterEnd } from '../../shared/lines.ts';
import { StreamError } from '../../shared/stream-connection.ts';
import type { StreamReader } from '../../shared/stream-connection.ts';
import type { Intake } from './intake.ts';
import { OctetCount } from './octet-count.ts';

export type Framing = 'auto' | 'newline' | 'octet_counting';

export interface ReaderSettings {
  framing: Framing;
  /** Longest message, bytes. */
  maxBytes: number;
}

const NUL = 0x00;
const LINE_FEED = 0x0a;
/** A longer message is cut, but its sender is believed; beyond this many bytes it is not. */
const LARGEST_COUNT = 16 * 1024 * 1024;

export class SyslogReader implements StreamReader {
  private readonly settings: ReaderSettings;
  private readonly intake: Intake;
  private readonly source: string;
  private readonly count = new OctetCount();
  /** Bytes of a message with a length that are to be skipped. */
  private skip = 0;
  /** The rest of a line is to be skipped. */
  private skipsLine = false;
  /** Bytes at the beginning of what is shown next that hold no end of a line. */
  private scanned = 0;
  /** Bytes that must be there before the message at the beginning of what is shown next is whole; 0: nobody knows. */
  private needed = 0;

  /** The piece that is read, as text where each byte is a character. */
  private bytes: Buffer = Buffer.alloc(0);
  private text: string | undefined;
  /** The next NUL in it. */
  private nul = -1;

  constructor(settings: ReaderSettings, intake: Intake, source: string) {
    this.settings = settings;
    this.intake = intake;
    this.source = source;
  }

  get isWithin(): boolean {
    return this.skip > 0 || this.skipsLine;
  }

  read(bytes: Buffer): number {
    // Who sends a long message byte by byte must not have all of it looked at each time.
    if (this.goesOn(bytes)) return 0;
    this.bytes = bytes;
    this.text = isAscii(bytes) ? bytes.toString('latin1') : undefined;
    this.nul = bytes.indexOf(NUL);
    let at = 0;
    while (at < bytes.length) {
      const next = this.skip > 0 || this.skipsLine ? this.skipped(at) : this.message(at);
      if (next < 0) break;
      at = next;
    }
    return at;
  }

  end(rest: Buffer, isWhole: boolean): void {
    this.bytes = rest;
    this.text = undefined;
    this.nul = -1;
    if (this.isWithin) return;
    const { framing } = this.settings;
    const isCounted = framing !== 'newline' && this.count.read(rest, 0, framing === 'auto') === 'length';
    this.take(isCounted ? this.count.start : 0, rest.length, isCounted || !isWhole);
  }

  flush(): Promise<void> | undefined {
    return this.intake.flush();
  }

  /** Whether the message at the beginning is known to be incomplete still. */
  private goesOn(bytes: Buffer): boolean {
    if (bytes.length < this.needed) return true;
    this.needed = 0;
    const { scanned } = this;
    if (scanned === 0 || bytes.length > this.settings.maxBytes) return false;
    if (bytes.indexOf(LINE_FEED, scanned) !== -1 || bytes.indexOf(NUL, scanned) !== -1) return false;
    this.scanned = bytes.length;
    return true;
  }

  /** Skips what belongs to a message that was cut; answers what follows it. */
  private skipped(at: number): number {
    const { length } = this.bytes;
    if (this.skipsLine) {
      const end = this.lineEnd(at);
      if (end === -1) return length;
      this.skipsLine = false;
      return end + 1;
    }
    const part = Math.min(this.skip, length - at);
    this.skip -= part;
    return at + part;
  }

  /** Takes the message at `at`; answers what follows it, or -1 when it is not there as a whole. */
  private message(at: number): number {
    const { framing } = this.settings;
    if (framing === 'newline') return this.line(at);
    const found = this.count.read(this.bytes, at, framing === 'auto');
    if (found === 'none') return this.line(at);
    return found === 'more' ? -1 : this.counted(at);
  }

  private counted(at: number): number {
    const { length, start } = this.count;
    const { maxBytes } = this.settings;
    if (length > LARGEST_COUNT) {
      this.intake.lost('malformed');
      throw new StreamError(
        'malformed',
        `A message was said to have ${length} bytes: no message has, so the connection cannot be understood any more.`,
      );
    }
    const taken = Math.min(length, maxBytes);
    if (this.bytes.length - start < taken) {
      this.needed = start + taken - at;
      return -1;
    }
    this.skip = length - taken;
    this.take(start, start + taken, taken < length);
    return start + taken;
  }

  private line(at: number): number {
    const { length } = this.bytes;
    const { maxBytes } = this.settings;
    const end = this.lineEnd(at + (at === 0 ? this.scanned : 0));
    this.scanned = 0;
    const stop = end === -1 ? length : end;
    if (stop - at > maxBytes) {
      this.take(at, at + maxBytes, true);
      this.skipsLine = end === -1;
      return end === -1 ? length : end + 1;
    }
    if (end === -1) {
      this.scanned = length - at;
      return -1;
    }
    this.take(at, end, false);
    return end + 1;
  }

  /** Where the line ends that `at` stands in; -1 when its end is not there. */
  private lineEnd(at: number): number {
    const { bytes, text } = this;
    const end = text === undefined ? bytes.indexOf(LINE_FEED, at) : text.indexOf('\n', at);
    if (this.nul === -1) return end;
    if (this.nul < at) this.nul = bytes.indexOf(NUL, at);
    return this.nul !== -1 && (end === -1 || this.nul < end) ? this.nul : end;
  }

  private take(from: number, to: number, isCut: boolean): void {
    const { bytes, text } = this;
    if (text !== undefined) {
      this.intake.take(text, from, to, isCut, this.source);
      return;
    }
    const end = isCut ? characterEnd(bytes, to) : to;
    const own = bytes.toString('utf8', from, end);
    this.intake.take(own, 0, own.length, isCut, this.source);
  }
}
