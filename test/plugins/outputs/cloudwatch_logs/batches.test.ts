import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchWriter, Records } from '../../../../plugins/outputs/cloudwatch_logs/batches.ts';
import {
  EVENT_OVERHEAD,
  MAX_BATCH_BYTES,
  MAX_BATCH_EVENTS,
  MAX_EVENT_BYTES,
} from '../../../../plugins/outputs/cloudwatch_logs/limits.ts';
import { valueOf, wholeRecord } from '../../../../plugins/outputs/cloudwatch_logs/messages.ts';
import type { MessageOf } from '../../../../plugins/outputs/cloudwatch_logs/messages.ts';
import { ByteSink } from '../../../../src/plugin.ts';
import { sliceOf } from '../../../contract/support.ts';
import type { Event } from '../../../contract/support.ts';
import { batchProblem } from './stand-in.ts';
import type { StoredEvent } from './stand-in.ts';

const TARGET = { group: '/app', stream: 'a"ü' };
const START = 1_700_000_000;

interface Sent {
  /** Indexes of the records. */
  records: number[];
  events: StoredEvent[];
}

/** All requests for these events, each checked against what CloudWatch takes. */
function requestsOf(
  events: readonly Event[],
  {
    message = wholeRecord,
    maxEventBytes = MAX_EVENT_BYTES,
  }: { message?: MessageOf; maxEventBytes?: number } = {},
): Sent[] {
  const records = new Records([sliceOf('app', events)]);
  const indexes = [...events.keys()];
  records.sort(indexes);
  const writer = new BatchWriter(TARGET, indexes, { records, message, maxEventBytes });
  const sent: Sent[] = [];
  for (;;) {
    const sink = new ByteSink();
    const batch = writer.write(sink);
    if (batch === undefined) break;
    const body = JSON.parse(sink.bytes.toString()) as {
      logGroupName: string;
      logStreamName: string;
      logEvents: StoredEvent[];
    };
    expect([body.logGroupName, body.logStreamName]).toEqual([TARGET.group, TARGET.stream]);
    expect(batchProblem(body.logEvents)).toBeUndefined();
    expect(batch.times).toEqual(body.logEvents.map(({ timestamp }) => timestamp));
    expect(batch.records).toHaveLength(body.logEvents.length);
    for (const event of body.logEvents)
      expect(Buffer.byteLength(event.message)).toBeLessThanOrEqual(maxEventBytes);
    sent.push({ records: batch.records, events: body.logEvents });
  }
  expect(writer.rest).toEqual([]);
  return sent;
}

/** What each record reads as, its parts put together. */
function messagesOf(sent: readonly Sent[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const { records, events } of sent) {
    for (const [at, index] of records.entries()) {
      const { message } = events[at] as StoredEvent;
      if (!message.startsWith('{"partial_message":true')) {
        expect(found.has(index)).toBe(false);
        found.set(index, message);
        continue;
      }
      const part = JSON.parse(message) as { partial_ordinal: number; message: string };
      if (part.partial_ordinal === 1) expect(found.has(index)).toBe(false);
      found.set(index, (found.get(index) ?? '') + part.message);
    }
  }
  return found;
}

/** A record whose JSON has that many bytes. */
function recordOfBytes(bytes: number): string {
  return `{"x":"${'x'.repeat(bytes - '{"x":""}'.length)}"}`;
}

const TEXT = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .tuple(fc.constantFrom('x', '"', '\\', 'ü', '日', '😀', '\n'), fc.integer({ min: 100, max: 4000 }))
    .map(([character, times]) => character.repeat(times)),
);
const EVENT = fc.record({
  record: fc
    .dictionary(fc.string({ maxLength: 5 }), TEXT, { maxKeys: 3 })
    .map((fields) => JSON.stringify(fields)),
  seconds: fc.integer({ min: START, max: START + 4 * 86_400 }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
});

describe('requests to CloudWatch Logs', () => {
  it('stay within every limit, have each record exactly once, in order of time', () => {
    fc.assert(
      fc.property(
        fc.array(EVENT, { maxLength: 60 }),
        fc.integer({ min: 1024, max: 6000 }),
        (events, maxEventBytes) => {
          const sent = requestsOf(events, { maxEventBytes });
          const messages = messagesOf(sent);
          expect(messages.size).toBe(events.length);
          for (const [index, message] of messages) expect(message).toBe(events[index]?.record);
          const order = [...new Set(sent.flatMap(({ records }) => records))];
          const expected = [...events.keys()].toSorted((a, b) => compare(events[a], events[b]));
          expect(order).toEqual(expected);
        },
      ),
    );
  });

  it('stay within them by the value of a key, too', () => {
    fc.assert(
      fc.property(
        fc.array(TEXT, { maxLength: 40 }),
        fc.integer({ min: 1024, max: 3000 }),
        (texts, maxEventBytes) => {
          const events = texts.map((log) => ({
            record: JSON.stringify({ n: [{ log: 1 }], log }),
            seconds: START,
          }));
          const messages = messagesOf(requestsOf(events, { message: valueOf('log'), maxEventBytes }));
          expect(messages.size).toBe(events.length);
          for (const [index, message] of messages) expect(message).toBe(texts[index] || ' ');
        },
      ),
    );
  });

  it('are filled to the last byte, and not beyond', () => {
    const half = (MAX_BATCH_BYTES - 2 * EVENT_OVERHEAD) / 2;
    const at = (sizes: readonly number[]): number[] =>
      requestsOf(sizes.map((bytes) => ({ record: recordOfBytes(bytes), seconds: START }))).map(
        ({ records }) => records.length,
      );
    expect(at([half, half])).toEqual([2]);
    expect(at([half, half + 1])).toEqual([1, 1]);
    expect(at([MAX_EVENT_BYTES])).toEqual([1]);
    expect(at([100, MAX_EVENT_BYTES, 100])).toEqual([1, 1, 1]);
  });

  it('cut what is one byte too large', () => {
    const sent = requestsOf([{ record: recordOfBytes(MAX_EVENT_BYTES + 1), seconds: START }]);
    expect(sent).toHaveLength(2);
    expect(messagesOf(sent).get(0)).toBe(recordOfBytes(MAX_EVENT_BYTES + 1));
  });

  it('have ten thousand events and no more', () => {
    const events = Array.from({ length: MAX_BATCH_EVENTS + 1 }, () => ({ record: '{}', seconds: START }));
    expect(requestsOf(events).map(({ records }) => records.length)).toEqual([MAX_BATCH_EVENTS, 1]);
  });

  it('span a day and no more', () => {
    const at = (seconds: number[], nanos = 0): number[] =>
      requestsOf(seconds.map((second) => ({ record: '{}', seconds: second, nanos }))).map(
        ({ records }) => records.length,
      );
    expect(at([START, START + 86_400])).toEqual([2]);
    expect(at([START, START + 86_401])).toEqual([1, 1]);
  });

  it('know no time before 1970', () => {
    expect(requestsOf([{ record: '{}', seconds: -5 }])[0]?.events[0]?.timestamp).toBe(0);
  });
});

function compare(a: Event | undefined, b: Event | undefined): number {
  return (a?.seconds ?? 0) - (b?.seconds ?? 0) || (a?.nanos ?? 0) - (b?.nanos ?? 0);
}
