/**
 * The bodies of PutLogEvents requests: the records of one stream in order of their times, each body within what CloudWatch takes.
 *
 *     {"logGroupName":"…","logStreamName":"…","logEvents":[{"timestamp":1700000000500,"message":"…"},…]}
 */
import type { ByteSink, Slice } from '../../../src/plugin.ts';
import { EVENT_OVERHEAD, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_SPAN_MS } from './limits.ts';
import { textOf, toBytes } from './messages.ts';
import type { Message, MessageOf } from './messages.ts';
import type { Target } from './names.ts';
import { cutIntoParts, partsId } from './parts.ts';

/** Where the records of an attempt are, and when they were; by their indexes through all slices. */
export class Records {
  readonly count: number;
  private readonly slices: readonly Slice[];
  private readonly sliceOf: Uint32Array;
  private readonly firstOf: number[] = [];
  private readonly seconds: Float64Array;
  private readonly nanos: Int32Array;

  constructor(slices: readonly Slice[]) {
    this.slices = slices;
    this.count = slices.reduce((sum, { length }) => sum + length, 0);
    this.sliceOf = new Uint32Array(this.count);
    this.seconds = new Float64Array(this.count);
    this.nanos = new Int32Array(this.count);
    let index = 0;
    for (const [number, slice] of slices.entries()) {
      this.firstOf.push(index);
      for (let at = 0; at < slice.length; at++, index++) {
        this.sliceOf[index] = number;
        this.seconds[index] = slice.seconds(at);
        this.nanos[index] = slice.nanos(at);
      }
    }
  }

  slice(index: number): Slice {
    return this.slices[this.sliceOf[index] as number] as Slice;
  }

  /** The index in its slice. */
  at(index: number): number {
    return index - (this.firstOf[this.sliceOf[index] as number] as number);
  }

  /** Unix time in milliseconds; CloudWatch knows none before 1970. */
  millis(index: number): number {
    return Math.max(
      0,
      (this.seconds[index] as number) * 1000 + Math.floor((this.nanos[index] as number) / 1e6),
    );
  }

  /** Orders by time, nanoseconds included; what has the same time stays as it is. */
  sort(indexes: number[]): void {
    const { seconds, nanos } = this;
    const compare = (a: number, b: number): number =>
      (seconds[a] as number) - (seconds[b] as number) || (nanos[a] as number) - (nanos[b] as number);
    for (let at = 1; at < indexes.length; at++) {
      if (compare(indexes[at - 1] as number, indexes[at] as number) <= 0) continue;
      indexes.sort(compare);
      return;
    }
  }
}

/** A request that is ready to be sent. */
export interface Batch {
  /** The records whose events it has, in that order; several events of one record are alone in theirs. */
  records: number[];
  /** The times of its events. Unix milliseconds. */
  times: number[];
}

export interface BatchOptions {
  records: Records;
  message: MessageOf;
  /** Larger messages are cut into parts. Bytes. */
  maxEventBytes: number;
}

/** Makes the requests of one stream, one after the other. */
export class BatchWriter {
  /** Records that have no message. */
  readonly empty: number[] = [];
  private readonly options: BatchOptions;
  private readonly head: string;
  /** In order of time. */
  private readonly indexes: readonly number[];
  private next = 0;
  /** What is left of a record that is cut into parts. */
  private parts: Message[] = [];
  /** A message that did not fit into the last request. */
  private waiting: Message | undefined;

  constructor(target: Target, indexes: readonly number[], options: BatchOptions) {
    this.options = options;
    this.indexes = indexes;
    this.head = toBytes(
      `{"logGroupName":${JSON.stringify(target.group)},"logStreamName":${JSON.stringify(target.stream)},"logEvents":[`,
    );
  }

  /** The records that no request was made for, or not all of them. */
  get rest(): readonly number[] {
    return this.indexes.slice(this.parts.length > 0 ? this.next - 1 : this.next);
  }

  /** Leaves out what is left of a record whose last part was refused. */
  skipParts(): void {
    this.parts = [];
  }

  /** Writes the next body into the sink, which is empty; undefined when there is nothing left. */
  write(sink: ByteSink): Batch | undefined {
    const part = this.parts.shift();
    if (part !== undefined) return this.writePart(part, sink);
    const { records: source, message, maxEventBytes } = this.options;
    const batch: Batch = { records: [], times: [] };
    let bytes = 0;
    while (this.next < this.indexes.length && batch.records.length < MAX_BATCH_EVENTS) {
      const index = this.indexes[this.next] as number;
      const time = source.millis(index);
      if (batch.times.length > 0 && time - (batch.times[0] as number) > MAX_SPAN_MS) break;
      const event = this.waiting ?? exact(message(source.slice(index), source.at(index)), maxEventBytes);
      this.waiting = event;
      if (event === undefined) {
        this.empty.push(index);
        this.next++;
        continue;
      }
      if (event.bytes > maxEventBytes) {
        // Its parts are requests of their own: each is nearly as large as one may be.
        if (batch.records.length > 0) break;
        this.waiting = undefined;
        this.next++;
        this.parts = cutIntoParts(
          textOf(event),
          partsId(source.slice(index), source.at(index)),
          maxEventBytes,
        );
        return this.writePart(this.parts.shift() as Message, sink);
      }
      bytes += event.bytes + EVENT_OVERHEAD;
      if (bytes > MAX_BATCH_BYTES) break;
      this.writeEvent(event, time, batch.records.length === 0, sink);
      batch.records.push(index);
      batch.times.push(time);
      this.waiting = undefined;
      this.next++;
    }
    if (batch.records.length === 0) return undefined;
    sink.text(']}');
    return batch;
  }

  private writePart(part: Message, sink: ByteSink): Batch {
    const index = this.indexes[this.next - 1] as number;
    const time = this.options.records.millis(index);
    this.writeEvent(part, time, true, sink);
    sink.text(']}');
    return { records: [index], times: [time] };
  }

  private writeEvent({ literal }: Message, time: number, first: boolean, sink: ByteSink): void {
    // Bytes as text throughout: one write, and no look for characters to encode.
    sink.latin1(`${first ? this.head : ','}{"timestamp":${time},"message":${literal}}`);
  }
}

/** The message with its true length where its bound says that it may be too large. */
function exact(event: Message | undefined, maxEventBytes: number): Message | undefined {
  if (event === undefined || event.bytes <= maxEventBytes) return event;
  return { literal: event.literal, bytes: textOf(event).length };
}
