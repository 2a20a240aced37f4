/** The sender's side of the handshake: shows that it has the shared key and the password, and has the receiver show the key too. */
import { RetryableError } from '../../../src/plugin.ts';
import type { ForwardCodec, OutputContext, Secret, StreamConnection } from '../../../src/plugin.ts';
import { readMessage } from './read-message.ts';

export interface Credentials {
  sharedKey: string;
  hostname: string;
  /** The name was written, and not found out. */
  isNamed: boolean;
  user: string;
  password: Secret | undefined;
}

/** Makes what is said first on a new connection. */
export function makeGreeting(
  codec: ForwardCodec,
  { sharedKey, hostname, isNamed, user, password }: Credentials,
  { log }: OutputContext,
): (connection: StreamConnection) => Promise<void> {
  let warned = false;
  return async (connection) => {
    const { place } = connection;
    const next = readMessage(connection, codec.MAX_HANDSHAKE_BYTES);
    const { nonce, auth } = await next(codec.decodeHelo, 'a HELO: has it a shared key?');
    const salt = codec.randomText();
    await connection.write(
      codec.encodePing({
        hostname,
        salt,
        keyDigest: codec.keyDigest(salt, hostname, nonce, sharedKey),
        user: auth.length === 0 ? '' : user,
        passwordDigest: auth.length === 0 ? '' : codec.passwordDigest(auth, user, password?.reveal() ?? ''),
      }),
    );
    const pong = await next(codec.decodePong, 'a PONG').catch((error: Error) => {
      // Fluent Bit refuses a wrong key without a word.
      throw new RetryableError(
        `${error.message}, instead of ending the handshake: check shared_key, username and password`,
        { cause: error },
      );
    });
    if (!pong.accepted) {
      throw new RetryableError(
        `${place}: the receiver refuses us (${pong.reason.slice(0, SHOWN)}): check shared_key, username and password`,
      );
    }
    const expected = codec.keyDigest(salt, pong.hostname, nonce, sharedKey);
    if (!codec.isSameDigest(pong.keyDigest, expected)) {
      throw new RetryableError(
        `${place}: the receiver does not know the shared key: check shared_key on both sides`,
      );
    }
    if (pong.hostname !== hostname) return;
    // Then its digest is ours, which it could simply have sent back.
    if (!isNamed) {
      throw new RetryableError(
        `${place}: the receiver has our own name, ${hostname}, so that it has proved nothing: set self_hostname on one side`,
      );
    }
    if (!warned)
      log.warn(
        { place, hostname },
        'The receiver has our own self_hostname, so that it has not proved to know the shared key',
      );
    warned = true;
  };
}

/** Of a receiver's words, characters. */
const SHOWN = 200;
