/** The events of the messages that came together: a batch per tag, and the chunks whose senders wait for an answer. */
import { Batch, isRecord, MsgpackError, parseExact, TooLongError } from '../../../src/plugin.ts';
import type { EventTaker, LogRecord } from '../../../src/plugin.ts';

/** Handed over when it has so many bytes of messages, or tags: each batch has its price. */
const FULL_BYTES = 1_000_000;
const FULL_TAGS = 1000;
/** A message of few bytes must not become many events: of less than so many bytes none is made. */
const LEAST_EVENT = 8;
/** Events that a message may have however small they are. */
const FEW_EVENTS = 1000;
/** What groups say may come to so many times the largest message, once it stands with each of their events. */
const MOST_COMMON = 4;

export class Harvest implements EventTaker {
  readonly byTag = new Map<string, Batch>();
  /** Ids of the chunks in it, in the order in which they came. */
  readonly chunks: string[] = [];
  private bytes = 0;
  private batch = new Batch();
  /** Events of the batch before the message that is being read. */
  private mark = 0;
  private tag = '';

  /** What the events have in common, as the opentelemetry input puts it into the metadata of each. */
  private common: LogRecord | undefined;
  private commonSize = 0;
  private eventsLeft = 0;
  /** Of a message, what groups may come to yet. */
  private commonLeft = 0;
  private readonly tagOf: (tag: string) => string;
  private readonly maxMessageBytes: number;

  /** `tagOf` makes the tag of records out of that of their message. */
  constructor(tagOf: (tag: string) => string, maxMessageBytes: number) {
    this.tagOf = tagOf;
    this.maxMessageBytes = maxMessageBytes;
  }

  /** What is read next has so many bytes. */
  expect(bytes: number): void {
    this.eventsLeft = Math.max(FEW_EVENTS, bytes / LEAST_EVENT);
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
    this.common = undefined;
    this.commonLeft = this.maxMessageBytes * MOST_COMMON;
  }

  take(text: string, seconds: number, nanos: number, own: LogRecord | undefined): void {
    const { batch, common } = this;
    if (--this.eventsLeft < 0)
      throw new MsgpackError('There are too many events of next to nothing: send fewer at a time.');
    const metadata = common === undefined ? own : { ...own, ...common };
    if (common !== undefined && (this.commonLeft -= this.commonSize) < 0)
      throw new TooLongError(this.maxMessageBytes);
    batch.push(undefined, text, seconds, nanos);
    if (metadata !== undefined) batch.metadata ??= Array.from({ length: batch.length - 1 }, () => undefined);
    batch.metadata?.push(metadata);
  }

  group(text: string | undefined): void {
    this.common = text === undefined ? undefined : commonMetadata(text);
    this.commonSize = text?.length ?? 0;
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

/** Of what a group says: where its records come from. */
function commonMetadata(text: string): LogRecord | undefined {
  const said = parseExact(text);
  if (!isRecord(said)) return undefined;
  const { resource, scope } = said;
  const common: LogRecord = {};
  if (isRecord(resource)) common['resource'] = resource;
  if (isRecord(scope)) common['scope'] = scope;
  return Object.keys(common).length === 0 ? undefined : common;
}
