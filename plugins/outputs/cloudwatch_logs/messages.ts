/**
 * The message of a record, as it stands in the body of the request: a JSON text in quotes.
 *
 * Texts here are bytes: UTF-8 that was read as Latin-1, a character per byte, so that lengths are what CloudWatch counts and nothing is
 * decoded and encoded again. JSON's escaping touches only ASCII and works on them as on any text.
 */
import { memberText, valueToJson } from '../../../src/plugin.ts';
import type { Slice, Value } from '../../../src/plugin.ts';

export interface Message {
  /** The message as a JSON string with its quotes, as bytes. */
  literal: string;
  /** Its length in UTF-8 when it is read, or somewhat more. Bytes. */
  bytes: number;
}

/** The message of a record; undefined when it has none. */
export type MessageOf = (slice: Slice, index: number) => Message | undefined;

/** What CloudWatch takes instead of an empty message, which it refuses. */
const BLANK: Message = { literal: '" "', bytes: 1 };

/** The whole record as JSON, spliced from the chunk. */
export const wholeRecord: MessageOf = (slice, index) => {
  const text = rawJson(slice, index);
  return { literal: JSON.stringify(text), bytes: text.length };
};

/** The value under a top-level key alone: a text as it reads, anything else as its JSON. */
export function valueOf(key: string): MessageOf {
  const rawKey = toBytes(key);
  return (slice, index) => {
    const raw = memberText(rawJson(slice, index), rawKey) ?? foundByParsing(slice, index, key);
    if (raw === undefined) return undefined;
    if (raw === '""') return BLANK;
    // A text already is what the body wants; reading its escapes makes it no longer.
    if (raw.startsWith('"')) return { literal: raw, bytes: raw.length - 2 };
    return { literal: JSON.stringify(raw), bytes: raw.length };
  };
}

/** What a message reads, as bytes. */
export function textOf(message: Message): string {
  return toBytes(JSON.parse(fromBytes(message.literal)) as string);
}

/** A text as its UTF-8 bytes. */
export function toBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function fromBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function rawJson({ chunk, from }: Slice, index: number): string {
  const at = from + index;
  return chunk.bytes.toString('latin1', chunk.endOf(at - 1), chunk.endOf(at) - 1);
}

/** The key is written with escapes, or is not there. */
function foundByParsing(slice: Slice, index: number, key: string): string | undefined {
  if (!slice.jsonBytes(index).includes('\\u')) return undefined;
  const record = slice.record(index);
  return Object.hasOwn(record, key) ? toBytes(valueToJson(record[key] as Value)) : undefined;
}
