/** Cuts a stream of bytes into lines, with a bound on how long one may be. */

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Takes a line without its end; `truncated` when it was longer than the limit and its rest is gone. */
export type LineSink = (line: string, truncated: boolean) => void;

export class LineSplitter {
  private readonly limit: number;
  private readonly sink: LineSink;
  /** The beginning of a line whose end has not come. */
  private parts: Buffer[] = [];
  private length = 0;
  /** In the rest of a line that was cut. */
  private skipping = false;

  /** `limit` in bytes, the line end not counted. */
  constructor(limit: number, sink: LineSink) {
    this.limit = limit;
    this.sink = sink;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end === -1) break;
      this.line(chunk.subarray(start, end));
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    if (rest.length === 0 || this.skipping) return;
    // Copied: the reader may use its memory again.
    this.parts.push(Buffer.from(rest));
    this.length += rest.length;
    // One byte more than the limit may still be a carriage return.
    if (this.length > this.limit + 1) {
      this.line(EMPTY);
      this.skipping = true;
    }
  }

  /** Gives out a last line without end. */
  end(): void {
    if (this.length > 0) this.line(EMPTY);
    this.skipping = false;
  }

  private line(last: Buffer): void {
    if (this.skipping) {
      this.skipping = false;
      return;
    }
    let bytes = last;
    if (this.length > 0) {
      bytes = Buffer.concat([...this.parts, last]);
      this.parts = [];
      this.length = 0;
    }
    let { length } = bytes;
    if (bytes[length - 1] === CARRIAGE_RETURN) length--;
    if (length <= this.limit) this.sink(bytes.toString('utf8', 0, length), false);
    else this.sink(bytes.toString('utf8', 0, characterEnd(bytes, this.limit)), true);
  }
}

const EMPTY = Buffer.alloc(0);

/** The last offset up to `limit` that does not lie inside a UTF-8 character. */
export function characterEnd(bytes: Buffer, limit: number): number {
  let end = limit;
  // A character has at most three continuation bytes; more of them are no UTF-8 at all.
  while (end > limit - 4 && end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return end > limit - 4 ? end : limit;
}
