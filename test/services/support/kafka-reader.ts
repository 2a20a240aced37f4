/** A plain consumer of a topic: reads it from its beginning, by no group and with no code of ours but the parser of JSON. */
import { Consumer, MessagesStreamFallbackModes, MessagesStreamModes } from '@platformatic/kafka';
import { parseExact } from '../../../src/event/json.ts';
import type { Value } from '../../../src/event/record.ts';

export interface ReadMessage {
  record: Value;
  key: string | undefined;
  /** Unix milliseconds, of the message itself. */
  timestamp: bigint;
  partition: number;
  offset: number;
  headers: Readonly<Record<string, string>>;
  /** Of the header tailrace-time, in nanoseconds. */
  nanos: bigint | undefined;
}

/** Milliseconds that nothing may come before the topic counts as read. */
const QUIET_MS = 3000;

/** Hands over all messages of a topic; at least `least` of them, and then what comes within a moment. Answers with their number. */
export async function readTopic(
  broker: string,
  topic: string,
  least: number,
  take: (message: ReadMessage) => void,
): Promise<number> {
  const consumer = new Consumer({
    clientId: 'reader',
    groupId: `reader-${topic}-${process.pid}-${Math.random()}`,
    bootstrapBrokers: [broker],
    autocommit: false,
  });
  let count = 0;
  try {
    const stream = await consumer.consume({
      topics: [topic],
      mode: MessagesStreamModes.EARLIEST,
      fallbackMode: MessagesStreamFallbackModes.EARLIEST,
      maxWaitTime: 200,
    });
    let timer: NodeJS.Timeout | undefined;
    const quiet = (): void => {
      clearTimeout(timer);
      if (count >= least) timer = setTimeout(() => void stream.close(), QUIET_MS);
    };
    quiet();
    for await (const message of stream) {
      count++;
      const headers: Record<string, string> = {};
      for (const [name, value] of message.headers) headers[String(name)] = String(value);
      const [seconds, fraction] = headers['tailrace-time']?.split('.') ?? [];
      take({
        record: message.value === null ? null : parseExact(String(message.value)),
        key: message.key === null ? undefined : String(message.key),
        timestamp: message.timestamp,
        partition: message.partition,
        offset: Number(message.offset),
        headers,
        nanos: seconds === undefined ? undefined : BigInt(seconds) * 1_000_000_000n + BigInt(fraction ?? '0'),
      });
      quiet();
    }
  } finally {
    await consumer.close(true);
  }
  return count;
}
