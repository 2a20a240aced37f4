/** Waits for what a receiver acknowledges, in whatever order it does. */
import { RetryableError } from '../../../src/plugin.ts';
import type { ForwardCodec, StreamConnection } from '../../../src/plugin.ts';
import { readMessage } from './read-message.ts';

/** An answer is a map with one short text. Bytes. */
const MAX_ANSWER = 4096;

/**
 * Takes out of `awaited` what is acknowledged, until it is empty. Throws {@link RetryableError} when the connection fails, or when the
 * rest does not come in time.
 */
export async function readAcknowledgements(
  connection: StreamConnection,
  awaited: Set<string>,
  { codec, timeoutMs }: { codec: ForwardCodec; timeoutMs: number },
): Promise<void> {
  const next = readMessage(connection, MAX_ANSWER);
  const { place } = connection;
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => {});
  const timer = setTimeout(() => {
    over.reject(
      new RetryableError(
        `${place}: no acknowledgement within ack_response_timeout, ${timeoutMs / 1000} s: can the receiver not store what it gets, or does it give none? Then set require_ack_response to off`,
      ),
    );
  }, timeoutMs);
  try {
    while (awaited.size > 0) {
      const ack = next(
        codec.decodeAck,
        'an acknowledgement: does it want a shared_key, or speak another protocol?',
      );
      // When the time is over, nobody hears how it ends.
      ack.catch(() => {});
      const chunk = await Promise.race([ack, over.promise]);
      if (!awaited.delete(chunk))
        throw new RetryableError(`${place}: the receiver acknowledged what was not sent to it`);
    }
  } finally {
    clearTimeout(timer);
  }
}
