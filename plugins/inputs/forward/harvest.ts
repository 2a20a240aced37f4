/** The events of the messages that came together: a batch per tag, and the chunks whose senders wait for an answer. */
import { Batch } from '../../../src/plugin.ts';
import type { EventTaker, LogRecord } from '../../../src/plugin.ts';

/** Handed over when it has so many bytes of messages, or tags: each batch has its price. */
const FULL_BYTES = 1_000_000;
const FULL_TAGS = 1000;

export class Harvest implements EventTaker {
  readonly byTag = new Map<string, Batch>();
  /** Ids of the chunks in it, in the order in which they came. */
  readonly chunks: string[] = [];
  /** Bounds of groups, which are no records. */
  skipped = 0;
  private bytes = 0;
  private batch = new Batch();
  /** Events of the batch before the message that is being read. */
  private mark = 0;
  private tag = '';

  private readonly tagOf: (tag: string) => string;

  /** `tagOf` makes the tag of records out of that of their message. */
  constructor(tagOf: (tag: string) => string) {
    this.tagOf = tagOf;
  }

  begin(given: string): void {
    const tag = this.tagOf(given);
    let batch = this.byTag.get(tag);
    if (batch === undefined) {
      batch = new Batch();
      this.byTag.set(tag, batch);
    }
    this.batch = batch;
    this.mark = batch.length;
    this.tag = tag;
  }

  take(text: string, seconds: number, nanos: number, metadata: LogRecord | undefined): void {
    const { batch } = this;
    batch.push(undefined, text, seconds, nanos);
    if (metadata !== undefined) batch.metadata ??= Array.from({ length: batch.length - 1 }, () => undefined);
    batch.metadata?.push(metadata);
  }

  skip(): void {
    this.skipped++;
  }

  /** The message that began last is whole; it has so many bytes, decompressed. */
  end(bytes: number, chunk: string | undefined): void {
    this.bytes += bytes;
    this.mark = this.batch.length;
    if (chunk !== undefined) this.chunks.push(chunk);
  }

  /** The message that is not whole was none: its events go, if it came to some. */
  undo(): void {
    const { batch, mark } = this;
    batch.retain((index) => index < mark);
    if (batch.length === 0) this.byTag.delete(this.tag);
  }

  get isFull(): boolean {
    return this.bytes >= FULL_BYTES || this.byTag.size >= FULL_TAGS;
  }
}
