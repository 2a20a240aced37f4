/** From messages to records: Fluent Bit's shape around the payload, or the payload itself. */
import { isUtf8 } from 'node:buffer';
import { isRecord, isTooDeep, parseExact, valueToJson } from '../../../src/plugin.ts';
import type { Batch, Value } from '../../../src/plugin.ts';
import { ORIGIN_HEADER, TAG_HEADER, TIME_HEADER } from '../../shared/kafka/headers.ts';

/** A message as the library reads it. */
export interface Message {
  key: Buffer | null;
  value: Buffer | null;
  headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

export interface RecordOptions {
  /** Payloads are JSON. */
  json: boolean;
  /** `message`: topic, partition, offset, error, key and payload. `payload`: the payload is the record. */
  shape: 'message' | 'payload';
  tag: string;
  tagFromHeader: boolean;
  /** Key that takes the origin of a record. */
  originKey: string | undefined;
}

/** Batches under way: each of one tag, of one partition, in order. */
export interface Tagged {
  tag: string;
  batch: Batch;
}

const TIME = /^(-?)(\d{1,12})\.(\d{9})$/;
const TAG = /^[A-Za-z0-9._/-]{1,256}$/;
/** Of an origin that a header claims. */
const MAX_ORIGIN = 200;
const BILLION = 1_000_000_000;

export class RecordMaker {
  private readonly options: RecordOptions;
  private readonly onUnparsed: () => void;
  private seconds = 0;
  private nanos = 0;

  /** `onUnparsed` is called for a payload that is not what it should be and goes on as text. */
  constructor(options: RecordOptions, onUnparsed: () => void) {
    this.options = options;
    this.onUnparsed = onUnparsed;
  }

  /** The tag of a message. */
  tagOf(message: Message): string {
    if (!this.options.tagFromHeader) return this.options.tag;
    const tag = headerOf(message, TAG_HEADER);
    return tag !== undefined && TAG.test(tag) ? tag : this.options.tag;
  }

  /** Appends the record of a message; returns the characters that it takes. `timestamp`: Unix milliseconds. */
  push(
    into: Batch,
    message: Message,
    place: { topic: string; partition: number; offset: number; source: string },
    timestamp: number,
  ): number {
    const text = this.textOf(message, place);
    this.takeTime(message, timestamp);
    const start = place.offset - into.base;
    into.push(undefined, text, this.seconds, this.nanos, start, start + 1);
    return text.length;
  }

  private textOf(
    message: Message,
    place: { topic: string; partition: number; offset: number; source: string },
  ): string {
    const { shape, originKey } = this.options;
    const payload = this.payloadText(message.value);
    let text: string;
    if (shape === 'payload') {
      text = payload.record ? payload.text : `{"payload":${payload.text}}`;
    } else {
      const key = message.key === null ? 'null' : JSON.stringify(String(message.key));
      text = `{"topic":${JSON.stringify(place.topic)},"partition":${place.partition},"offset":${place.offset},"error":null,"key":${key},"payload":${payload.text}}`;
    }
    if (originKey === undefined) return text;
    const claimed = headerOf(message, ORIGIN_HEADER);
    const origin =
      claimed === undefined || claimed.length > MAX_ORIGIN
        ? `${place.source}:${place.offset}-${place.offset + 1}`
        : claimed;
    const empty = /^\{\s*\}$/.test(text);
    return `${text.slice(0, -1)}${empty ? '' : ','}${JSON.stringify(originKey)}:${JSON.stringify(origin)}}`;
  }

  /** The payload as JSON on one line, and whether it is a map. */
  private payloadText(value: Buffer | null): { text: string; record: boolean } {
    if (value === null) return { text: 'null', record: false };
    const { json, shape } = this.options;
    const text = value.toString('utf8');
    const wantsJson = json || shape === 'payload';
    if (isUtf8(value) && wantsJson && !isTooDeep(text)) {
      try {
        const parsed = JSON.parse(text) as Value;
        const record = isRecord(parsed);
        if (shape === 'payload' && !record) this.onUnparsed();
        // A text with blanks around it, or over several lines, cannot be kept as it is.
        const asItIs = record && text.startsWith('{') && text.endsWith('}') && !/[\r\n]/.test(text);
        return { text: asItIs ? text : valueToJson(parseExact(text)), record };
      } catch {
        // Not JSON: it goes on as text.
      }
    }
    if (wantsJson || !isUtf8(value)) this.onUnparsed();
    return { text: JSON.stringify(text), record: false };
  }

  /** The time that the sender's header says, to the nanosecond, where the record is the sender's; else the message's. */
  private takeTime(message: Message, timestamp: number): void {
    if (this.options.shape === 'payload') {
      const [, sign, whole, fraction] = TIME.exec(headerOf(message, TIME_HEADER) ?? '') ?? [];
      if (whole !== undefined) {
        const nanos = Number(fraction);
        const negative = sign === '-';
        this.seconds = negative ? -Number(whole) - (nanos > 0 ? 1 : 0) : Number(whole);
        this.nanos = negative && nanos > 0 ? BILLION - nanos : nanos;
        return;
      }
    }
    const known = timestamp >= 0 ? timestamp : Date.now();
    this.seconds = Math.floor(known / 1000);
    this.nanos = Math.floor(known % 1000) * 1_000_000;
  }
}

function headerOf({ headers }: Message, name: string): string | undefined {
  for (const [key, value] of headers) {
    if (key !== null && value !== null && key.length === name.length && key.toString('latin1') === name)
      return value.toString('utf8');
  }
  return undefined;
}
