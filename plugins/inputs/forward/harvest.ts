/** The events of the messages that came together: a batch per tag, and the chunks whose senders wait for an answer. */
import { Batch, isRecord, parseExact, TooLongError } from '../../../src/plugin.ts';
import type { EventTaker, InputContext, LargestReservation, LogRecord } from '../../../src/plugin.ts';
import { LEAST_CONTAINER, LEAST_RECORD, MemoryRoom, UNCOUNTED } from '../../shared/memory-room.ts';

/** Handed over when it has so many bytes of messages, or tags: each batch has its price. */
const FULL_BYTES = 1_000_000;
const FULL_TAGS = 1000;
/** What groups say may come to so many times the largest message, once it stands with each of their events. */
const MOST_COMMON = 4;

/** What a message becomes has no room in memory at the moment. */
export class NoRoomError extends Error {
  override name = 'NoRoomError';
}

/** What a message becomes has no room in memory at any time. The message is a sentence. */
export class TooManyError extends Error {
  override name = 'TooManyError';

  constructor({ bytes, option }: LargestReservation) {
    super(
      `The events of a message (each counts ${LEAST_RECORD} bytes at least) take more than the ${bytes} bytes of memory that there can be: raise ${option}, or have it send fewer at a time.`,
    );
  }
}

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
  /** Bytes of messages that are there, and have room of their own: what they become may take as much. */
  private covered = UNCOUNTED;
  /** Of these, those of the messages in front of the one that is being read. */
  private coveredBefore = UNCOUNTED;
  /** What was made of them. Bytes. */
  private spent = 0;
  /** Of these, what the messages in front of the one that is being read came to. */
  private spentBefore = 0;
  /** What their connection has set aside besides, for messages that are not taken. Bytes. */
  private readonly held: number;
  /** The same for the events of the one that is being read, where they were compressed. */
  private heldUnpacked = 0;
  private readonly room: MemoryRoom;
  /** Of a message, what groups may come to yet. */
  private commonLeft = 0;
  private readonly tagOf: (tag: string) => string;
  private readonly maxMessageBytes: number;

  /** `tagOf` makes the tag of records out of that of their message. */
  constructor(
    tagOf: (tag: string) => string,
    maxMessageBytes: number,
    context: Pick<InputContext, 'reserve' | 'largestReservation'>,
    held: number,
  ) {
    this.tagOf = tagOf;
    this.maxMessageBytes = maxMessageBytes;
    this.room = new MemoryRoom(context);
    this.held = held;
  }

  /** A message of so many bytes is read next. */
  expect(bytes: number): void {
    this.coveredBefore = this.covered;
    this.covered += bytes;
    this.spentBefore = this.spent;
    this.heldUnpacked = 0;
  }

  /** Its events have so many bytes, for which as many are set aside. */
  unpacked(bytes: number): void {
    this.covered += bytes;
    this.heldUnpacked = bytes;
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
    this.spend(LEAST_RECORD);
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

  /** So many lists and maps were made, of metadata. Throws {@link NoRoomError}, {@link TooManyError}. */
  built(containers: number): void {
    this.spend(containers * LEAST_CONTAINER);
  }

  /** Nothing was taken before the message that is being read. */
  get isFirst(): boolean {
    return this.spentBefore === 0 && this.chunks.length === 0;
  }

  /** What the message wants that got no room: more than was seen of it, so that few attempts are made, and no more than there can be. Bytes. */
  get wanted(): number {
    const seen = this.spent - this.spentBefore;
    return Math.max(0, Math.min(2 * seen - (this.covered - this.coveredBefore), this.left));
  }

  /** What there can be for the events of a compressed message. Bytes. */
  get leftToUnpack(): number {
    return this.left - this.room.bytes;
  }

  /** Sets so much aside for what messages become, or what there can be; false when there is no room. */
  prepare(bytes: number): boolean {
    return this.room.ask(Math.min(bytes, this.left), 0) === 'given';
  }

  /** Its batches were handed over. */
  release(): void {
    this.room.release();
  }

  private spend(bytes: number): void {
    this.spent += bytes;
    const more = this.spent - this.covered;
    if (more <= this.room.bytes) return;
    // With others in front of it, it is read once more, alone.
    if (more > this.left && this.isFirst) throw new TooManyError(this.room.largest);
    if (this.room.ask(more) !== 'given') throw new NoRoomError();
  }

  /** What there can be beside all that is set aside. Bytes. */
  private get left(): number {
    return this.room.largest.bytes - this.held - this.heldUnpacked;
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
