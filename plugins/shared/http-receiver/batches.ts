/** Takes the records of one request in: a batch per tag, in order, with the time of arrival where an event has none of its own. */
import { Batch, parseExact } from '../../../src/plugin.ts';
import type { Accessor, LogRecord } from '../../../src/plugin.ts';
import { Refusal } from './refusal.ts';
import type { Room } from './room.ts';
import { checkTag } from './tag.ts';

/** A batch has its price, however few records are in it. */
const MAX_TAGS = 1000;

/** Where a record's tag is looked for. */
export interface TagKey {
  /** As configured, for messages. */
  text: string;
  read: Accessor;
}

/** A key that every record gets, with the text of its member: `"key":"value"`. */
export interface AddedKey {
  key: string;
  value: string;
  member: string;
  /** A record that has the key keeps its own. */
  yields: boolean;
}

export function addedKey(key: string, value: string, { yields = false } = {}): AddedKey {
  return { key, value, member: `${JSON.stringify(key)}:${JSON.stringify(value)}`, yields };
}

export class RequestBatches {
  readonly byTag = new Map<string, Batch>();
  /** What its records take. */
  readonly room: Room;
  private readonly tag: string;
  private readonly tagKey: TagKey | undefined;
  private readonly added: readonly AddedKey[];
  private readonly seconds: number;
  private readonly nanos: number;
  /** Characters that the added keys take in each record, and what it is given as metadata. */
  private readonly addedLength: number;
  private last: Batch | undefined;

  constructor(options: {
    /** Tag of records without one of their own. */
    tag: string;
    tagKey: TagKey | undefined;
    added: readonly AddedKey[];
    /** Unix milliseconds. */
    now: number;
    /** Has room for the body already. */
    room: Room;
    /** Metadata that each record gets from its request, where there is some. */
    metadata?: LogRecord | undefined;
  }) {
    this.tag = options.tag;
    this.tagKey = options.tagKey;
    this.added = options.added;
    this.seconds = Math.floor(options.now / 1000);
    this.nanos = (options.now % 1000) * 1e6;
    this.room = options.room;
    const metadata = options.metadata === undefined ? 0 : JSON.stringify(options.metadata).length;
    this.addedLength = options.added.reduce((sum, { member }) => sum + member.length, metadata);
  }

  /** A record that came without time. `text` is its JSON on one line where that is known. */
  take(record: LogRecord, text: string | undefined): void {
    this.takeEvent(record, text, this.seconds, this.nanos, undefined);
  }

  /** A record with its time and metadata; it is undefined where it is still to be read from the text. */
  takeEvent(
    record: LogRecord | undefined,
    text: string | undefined,
    seconds: number,
    nanos: number,
    metadata: LogRecord | undefined,
  ): void {
    this.room.spend((text?.length ?? 0) + this.addedLength);
    const batch =
      this.tagKey === undefined
        ? (this.last ??= this.batchOf(this.tag))
        : this.batchFor(record ?? (parseExact(text ?? '{}') as LogRecord), this.tagKey);
    batch.push(record, text, seconds, nanos);
    const index = batch.length - 1;
    for (const { key, value, member, yields } of this.added) {
      if (!yields || !Object.hasOwn(batch.record(index), key)) batch.set(index, key, value, member);
    }
    if (metadata !== undefined) batch.metadata ??= Array.from({ length: batch.length - 1 }, () => undefined);
    batch.metadata?.push(metadata);
  }

  private batchFor(record: LogRecord, { text, read }: TagKey): Batch {
    const found = read(record);
    if (typeof found !== 'string' || found === '') return this.batchOf(this.tag);
    checkTag(found, text);
    return this.batchOf(found);
  }

  private batchOf(tag: string): Batch {
    let batch = this.byTag.get(tag);
    if (batch === undefined) {
      if (this.byTag.size === MAX_TAGS)
        throw new Refusal(
          413,
          `The records of the body have more than ${MAX_TAGS} tags: send less at a time.`,
        );
      batch = new Batch();
      this.byTag.set(tag, batch);
    }
    return batch;
  }
}
