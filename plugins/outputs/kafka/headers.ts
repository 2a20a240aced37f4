/**
 * The headers of a message: where its record came from, so that a consumer can tell a second copy from a first (DELIVERY.md, rule 27),
 * and what a message has no other place for.
 *
 *     tailrace-tag      the tag
 *     tailrace-time     Unix time with nanoseconds: 1700000000.123456789 (Kafka's own has milliseconds)
 *     tailrace-origin   source id and range in it: 0f8c…:1024-2048
 */
import { epochNanos } from '../../../src/plugin.ts';
import type { Slice } from '../../../src/plugin.ts';
import { ORIGIN_HEADER, TAG_HEADER, TIME_HEADER } from '../../shared/kafka/headers.ts';
import type { Header } from './record-batch.ts';

const NAMES = {
  tag: Buffer.from(TAG_HEADER),
  time: Buffer.from(TIME_HEADER),
  origin: Buffer.from(ORIGIN_HEADER),
};
const NO_BYTES = Buffer.alloc(0);

/** The headers of one record after the other; the list is the same at every call, and so are its entries. */
export class MessageHeaders {
  private readonly tag: Header = { name: NAMES.tag, value: NO_BYTES };
  private readonly time: Header = { name: NAMES.time, value: NO_BYTES };
  private readonly origin: Header = { name: NAMES.origin, value: NO_BYTES };
  private readonly all = [this.tag, this.time, this.origin];
  private readonly withoutOrigin = [this.tag, this.time];
  private slice: Slice | undefined;

  of(slice: Slice, index: number): readonly Header[] {
    if (slice !== this.slice) {
      this.slice = slice;
      this.tag.value = Buffer.from(slice.tag);
    }
    this.time.value = Buffer.from(epochNanos(slice.seconds(index), slice.nanos(index)), 'latin1');
    const origin = originText(slice, index);
    if (origin === undefined) return this.withoutOrigin;
    this.origin.value = Buffer.from(origin);
    return this.all;
  }
}

/** A record's origin in one word; undefined when it has none. */
export function originText(slice: Slice, index: number): string | undefined {
  const origin = slice.origin(index);
  return origin === undefined ? undefined : `${origin.source}:${origin.start}-${origin.stop}`;
}
