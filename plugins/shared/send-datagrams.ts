/** One attempt of an output that sends records as datagrams. */
import { allDelivered } from '../../src/plugin.ts';
import type { ByteSink, DatagramClient, Outcome, Rejection, SinkPool } from '../../src/plugin.ts';

/**
 * `write` appends the datagrams: their ends, and the index of the record that each is of, go onto the lists; it returns the records that
 * have none. A record with a datagram that the system finds too large is rejected; the others were sent.
 */
export async function sendDatagrams(
  client: Pick<DatagramClient, 'send'>,
  pool: SinkPool,
  signal: AbortSignal,
  write: (sink: ByteSink, ends: number[], records: number[]) => Rejection[],
): Promise<Outcome> {
  signal.throwIfAborted();
  const sink = pool.take();
  const ends: number[] = [];
  const records: number[] = [];
  const rejected = [...write(sink, ends, records)];
  if (ends.length > 0) {
    for (const datagram of await client.send(sink.bytes, ends, signal)) {
      const size = (ends[datagram] as number) - (ends[datagram - 1] ?? 0);
      rejected.push({
        index: records[datagram] as number,
        reason: `The record takes ${size} bytes, more than a datagram can have.`,
      });
    }
  }
  pool.give(sink);
  return rejected.length === 0 ? allDelivered : { rejected };
}
