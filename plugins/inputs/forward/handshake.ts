/** The receiver's side of the handshake: asks for the shared key and the password, and shows the key in return. */
import type { ForwardCodec, Secret } from '../../../src/plugin.ts';

export interface Doorkeeping {
  sharedKey: string;
  selfHostname: string;
  /** Passwords; none: nobody is asked for one. */
  users: ReadonlyMap<string, Secret>;
}

/** One sender at the door. */
export class Handshake {
  private readonly codec: ForwardCodec;
  private readonly doorkeeping: Doorkeeping;
  private readonly nonce: Buffer;
  private readonly auth: Buffer;

  constructor(codec: ForwardCodec, doorkeeping: Doorkeeping) {
    this.codec = codec;
    this.doorkeeping = doorkeeping;
    this.nonce = codec.randomText();
    this.auth = doorkeeping.users.size === 0 ? Buffer.alloc(0) : codec.randomText();
  }

  /** What is said first. */
  get helo(): Buffer {
    return this.codec.encodeHelo({ nonce: this.nonce, auth: this.auth });
  }

  /** The answer to a sender's first message, and why it is refused, if it is. Throws MsgpackError when that is no PING. */
  answer(message: Buffer): { pong: Buffer; refusal: string | undefined } {
    const { codec, nonce } = this;
    const { sharedKey, selfHostname } = this.doorkeeping;
    const ping = codec.decodePing(message);
    const expected = codec.keyDigest(ping.salt, ping.hostname, nonce, sharedKey);
    const refusal = !codec.isSameDigest(ping.keyDigest, expected)
      ? 'shared_key mismatch'
      : this.hasPassword(ping.user, ping.passwordDigest)
        ? undefined
        : 'username/password mismatch';
    const pong = codec.encodePong({
      accepted: refusal === undefined,
      reason: refusal ?? '',
      hostname: refusal === undefined ? selfHostname : '',
      keyDigest: refusal === undefined ? codec.keyDigest(ping.salt, selfHostname, nonce, sharedKey) : '',
    });
    return { pong, refusal };
  }

  private hasPassword(user: string, digest: string): boolean {
    const { users } = this.doorkeeping;
    if (users.size === 0) return true;
    const password = users.get(user);
    const isSame = this.codec.isSameDigest(
      digest,
      this.codec.passwordDigest(this.auth, user, password?.reveal() ?? ''),
    );
    return isSame && password !== undefined;
  }
}
