/** Reads what a receiver says, one message at a time, however it is cut into pieces. */
import { MsgpackError, MsgpackScanner, RetryableError, TooLongError } from '../../../src/plugin.ts';
import type { StreamConnection } from '../../../src/plugin.ts';

/** Resolves with the next message, decoded; `expected` is what it should be, for a sentence. Throws {@link RetryableError}. */
export type NextMessage = <T>(decode: (bytes: Buffer) => T, expected: string) => Promise<T>;

/** `limit`: bytes that a message may have. */
export function readMessage(connection: StreamConnection, limit: number): NextMessage {
  const { place } = connection;
  const scanner = new MsgpackScanner(limit);
  let bytes: Buffer = Buffer.alloc(0);
  return async (decode, expected) => {
    try {
      let end = bytes.length === 0 ? -1 : scanner.end(bytes, 0);
      while (end === -1) {
        const piece = await connection.read();
        bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece]);
        end = scanner.end(bytes, 0);
      }
      const message = bytes.subarray(0, end);
      bytes = bytes.subarray(end);
      return decode(message);
    } catch (error) {
      if (error instanceof MsgpackError || error instanceof TooLongError) {
        throw new RetryableError(
          `${place}: the receiver did not answer with ${expected} (${error.message})`,
          {
            cause: error,
          },
        );
      }
      throw error;
    }
  };
}
