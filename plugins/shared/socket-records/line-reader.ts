/** Takes lines out of a stream: what a separator ends. One that is too long is cut, and its rest passed over. */
import type { LineText } from '../../../src/plugin.ts';
import { characterEnd } from '../lines.ts';
import type { RecordSink } from './record-sink.ts';

export interface LineReaderOptions {
  separator: Buffer;
  /** Bytes of a line. */
  limit: number;
  /** What is read stays in memory until the flush. */
  staysInMemory: boolean;
}

export class LineReader {
  private readonly sink: RecordSink;
  private readonly separator: Buffer;
  /** A byte is found faster. */
  private readonly needle: Buffer | number;
  private readonly limit: number;
  private readonly readsRaw: boolean;
  private readonly text: LineText & { bytes: Buffer };
  /** In the rest of a line that was cut. */
  private isSkipping = false;
  /** Of what is shown again, no separator begins before. */
  private searched = 0;

  constructor(sink: RecordSink, { separator, limit, staysInMemory }: LineReaderOptions) {
    this.sink = sink;
    this.separator = separator;
    this.needle = separator.length === 1 ? (separator[0] as number) : separator;
    this.limit = limit;
    this.readsRaw = staysInMemory && sink.takesRaw;
    this.text = {
      bytes: separator,
      slice(start, stop) {
        return this.bytes.toString('utf8', start, stop);
      },
    };
  }

  /** In the middle of a line of which nothing is left. */
  get isWithin(): boolean {
    return this.isSkipping;
  }

  read(bytes: Buffer): number {
    const { needle, separator } = this;
    this.text.bytes = bytes;
    let start = 0;
    for (let from = this.searched; ; from = start) {
      const end = bytes.indexOf(needle, from);
      if (end === -1) break;
      if (this.isSkipping) this.isSkipping = false;
      else this.take(bytes, start, end);
      start = end + separator.length;
    }
    // It may have begun.
    const kept = Math.max(start, bytes.length - separator.length + 1);
    if (!this.isSkipping && bytes.length - start > this.limit + separator.length - 1) {
      this.take(bytes, start, bytes.length);
      this.isSkipping = true;
    }
    if (this.isSkipping) start = kept;
    this.searched = kept - start;
    return start;
  }

  end(rest: Buffer): void {
    if (!this.isSkipping && rest.length > 0) this.sink.incomplete();
  }

  /** Takes the whole of a datagram. What is behind the last separator is incomplete, but one without any is a line. */
  readWhole(bytes: Buffer): void {
    const taken = this.read(bytes);
    if (taken === 0 && bytes.length > 0) this.take(bytes, 0, bytes.length);
    else this.end(bytes.subarray(taken));
    this.isSkipping = false;
    this.searched = 0;
  }

  private take(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > this.limit) {
      const line = bytes.subarray(start, end);
      this.sink.line(line.toString('utf8', 0, characterEnd(line, this.limit)), true);
    } else if (length > 0) {
      if (this.readsRaw) this.sink.raw(this.text, start, end);
      else this.sink.line(bytes.toString('utf8', start, end), false);
    }
  }
}
