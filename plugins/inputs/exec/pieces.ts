/** Cuts what a command writes into lines; one that is too long comes in several pieces, and nothing of it goes. */
import { characterEnd } from '../../shared/lines.ts';

const LINE_FEED = 0x0a;

/** Takes a line without its line feed, or a piece of one; `isMore`: the line goes on. */
export type PieceSink = (text: string, isMore: boolean) => void;

export class PieceSplitter {
  private readonly limit: number;
  private readonly sink: PieceSink;
  /** The beginning of a piece whose end has not come. */
  private parts: Buffer[] = [];
  private length = 0;

  /** `limit`: bytes of a piece; at least 4, which any character has room in. */
  constructor(limit: number, sink: PieceSink) {
    this.limit = limit;
    this.sink = sink;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      this.add(chunk.subarray(start, end === -1 ? chunk.length : end));
      if (end === -1) break;
      this.give(Buffer.concat(this.parts), false);
      start = end + 1;
    }
    // What is kept must not hold the whole chunk in memory.
    if (this.parts.length > 0) this.parts.push(Buffer.from(this.parts.pop() as Buffer));
  }

  /** Gives out a last line without end. */
  end(): void {
    if (this.length > 0) this.give(Buffer.concat(this.parts), false);
  }

  private add(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.parts.push(bytes);
    this.length += bytes.length;
    if (this.length <= this.limit) return;
    let rest = Buffer.concat(this.parts);
    while (rest.length > this.limit) {
      const end = characterEnd(rest, this.limit);
      this.give(rest.subarray(0, end), true);
      rest = rest.subarray(end);
    }
    this.parts = [rest];
    this.length = rest.length;
  }

  private give(bytes: Buffer, isMore: boolean): void {
    this.parts = [];
    this.length = 0;
    this.sink(bytes.toString('utf8'), isMore);
  }
}
