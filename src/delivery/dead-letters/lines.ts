/** Reads a file of dead letters line by line with bounded memory: what is in it may have been put there by anybody. */
import { readSync } from 'node:fs';

/** A longer line is skipped: more than any record that the memory buffer takes. Bytes. */
const MAX_LINE = 32_000_000;
const BLOCK = 256 * 1024;
const LINE_FEED = 10;

export interface FileLine {
  /** Without its end; undefined for a line that is too long to be looked at. */
  text: string | undefined;
  /** First byte. */
  start: number;
  /** The byte behind its end. */
  stop: number;
  /** It has no end: a crash cut it off, or it is being written. */
  torn: boolean;
}

/** The lines of an open file from its beginning. Throws what reading throws. */
export function* readLines(descriptor: number, maxLine = MAX_LINE): Iterable<FileLine> {
  const block = Buffer.allocUnsafe(BLOCK);
  let parts: Buffer[] = [];
  let start = 0;
  let held = 0;
  let position = 0;
  const text = (rest: Buffer): string | undefined =>
    held + rest.length > maxLine ? undefined : Buffer.concat([...parts, rest]).toString('utf8');
  for (;;) {
    const read = readSync(descriptor, block, 0, BLOCK, position);
    if (read === 0) break;
    let at = 0;
    for (let end = block.indexOf(LINE_FEED); end !== -1 && end < read; end = block.indexOf(LINE_FEED, at)) {
      const stop = position + end + 1;
      yield { text: text(block.subarray(at, end)), start, stop, torn: false };
      parts = [];
      held = 0;
      start = stop;
      at = end + 1;
    }
    const rest = block.subarray(at, read);
    held += rest.length;
    // Only its length is kept of a line that nobody will look at.
    if (held > maxLine) parts = [];
    else parts.push(Buffer.from(rest));
    position += read;
  }
  if (held > 0) yield { text: text(Buffer.alloc(0)), start, stop: position, torn: true };
}

/** Complete lines of an open file, and its bytes; cheaper than reading them. */
export function measure(descriptor: number): { lines: number; bytes: number; torn: boolean } {
  const block = Buffer.allocUnsafe(BLOCK);
  let lines = 0;
  let bytes = 0;
  let last = LINE_FEED;
  for (;;) {
    const read = readSync(descriptor, block, 0, BLOCK, bytes);
    if (read === 0) return { lines, bytes, torn: last !== LINE_FEED };
    for (let at = block.indexOf(LINE_FEED); at !== -1 && at < read; at = block.indexOf(LINE_FEED, at + 1))
      lines++;
    last = block[read - 1] as number;
    bytes += read;
  }
}
