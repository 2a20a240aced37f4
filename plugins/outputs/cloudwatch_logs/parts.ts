/**
 * A message that is larger than an event may be, as numbered parts: JSON objects, so that CloudWatch Logs Insights finds their fields.
 *
 *     {"partial_message":true,"partial_id":"9f…-120-4711","partial_ordinal":2,"partial_total":3,"partial_last":false,"message":"…"}
 *
 * The names are those of Docker's fluentd driver. The texts under `message`, put together in the order of `partial_ordinal`, are the
 * message to the byte. `partial_id` says which record it was; a record that is sent again has the same, so that a double is seen.
 */
import { randomUUID } from 'node:crypto';
import type { Slice } from '../../../src/plugin.ts';
import type { Message } from './messages.ts';

/** Room for the names, the numbers and the id of a part. Bytes. */
const ENVELOPE_BYTES = 320;

/** The id of a record's parts. */
export function partsId(slice: Slice, index: number): string {
  const origin = slice.origin(index);
  return origin === undefined ? randomUUID() : `${origin.source}-${origin.start}-${origin.stop}`;
}

/** `text` is UTF-8 bytes as Latin-1 (messages.ts); no part is larger than `maxBytes`. */
export function cutIntoParts(text: string, id: string, maxBytes: number): Message[] {
  const pieces = cutText(text, maxBytes - ENVELOPE_BYTES);
  return pieces.map((piece, index) => {
    const envelope =
      `{"partial_message":true,"partial_id":${JSON.stringify(id)},"partial_ordinal":${index + 1},` +
      `"partial_total":${pieces.length},"partial_last":${index === pieces.length - 1},"message":${piece}}`;
    return { literal: JSON.stringify(envelope), bytes: envelope.length };
  });
}

/** Pieces as JSON strings, none longer than `maxBytes`, none beginning inside a character. */
function cutText(text: string, maxBytes: number): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (start < text.length) {
    let length = Math.min(maxBytes, text.length - start);
    for (;;) {
      const end = characterEnd(text, start, start + length);
      const literal = JSON.stringify(text.slice(start, end));
      if (literal.length <= maxBytes) {
        pieces.push(literal);
        start = end;
        break;
      }
      // Escapes made it longer: in proportion, and a little less, until it fits.
      length = Math.max(1, Math.min(length - 1, Math.floor((length * maxBytes) / literal.length)));
    }
  }
  return pieces;
}

/** The end of the last whole character that begins behind `start` and ends before `end`; that of the first if there is none. */
function characterEnd(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isContinuation(text, at)) at--;
  if (at > start) return at;
  at = start + 1;
  while (isContinuation(text, at)) at++;
  return at;
}

function isContinuation(text: string, at: number): boolean {
  return at < text.length && (text.charCodeAt(at) & 0xc0) === 0x80;
}
