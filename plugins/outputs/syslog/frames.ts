/**
 * Messages in a stream (RFC 6587):
 *
 *     newline         message⏎            what Fluent Bit sends; a message must not hold a line end
 *     octet_counting  length message      RFC 5425's way for TLS; a message may hold anything
 */
import type { ByteSink, Rejection, Slice } from '../../../src/plugin.ts';
import type { MessageEncoder } from './message.ts';

export type Framing = 'newline' | 'octet_counting';

const LINE_FEED = 10;

/** Appends the frames of all records; returns those that have none. */
export function writeFrames(
  slices: readonly Slice[],
  sink: ByteSink,
  encode: MessageEncoder,
  framing: Framing,
): Rejection[] {
  const rejected: Rejection[] = [];
  let index = 0;
  for (const slice of slices) {
    for (let at = 0; at < slice.length; at++, index++) {
      const start = sink.length;
      const reason = encode(slice, at, sink);
      if (reason !== undefined) rejected.push({ index, reason });
      else if (framing === 'newline') sink.byte(LINE_FEED);
      else insertLength(sink, start);
    }
  }
  return rejected;
}

/** Writes the length of what begins at `start` in front of it. */
function insertLength(sink: ByteSink, start: number): void {
  const end = sink.length;
  const prefix = `${end - start} `;
  sink.reserve(prefix.length);
  sink.raw.copyWithin(start + prefix.length, start, end);
  sink.raw.write(prefix, start, 'latin1');
  sink.length = end + prefix.length;
}

/** Appends each message as a datagram: their ends, and the records that they are of, go onto the lists. */
export function writeDatagrams(
  slices: readonly Slice[],
  sink: ByteSink,
  encode: MessageEncoder,
  ends: number[],
  records: number[],
): Rejection[] {
  const rejected: Rejection[] = [];
  let index = 0;
  for (const slice of slices) {
    for (let at = 0; at < slice.length; at++, index++) {
      const reason = encode(slice, at, sink);
      if (reason !== undefined) {
        rejected.push({ index, reason });
        continue;
      }
      ends.push(sink.length);
      records.push(index);
    }
  }
  return rejected;
}
