/** The values are of another implementation of the protocol: @fluent-org/logger 1.0.10. */
import { describe, expect, it } from 'vitest';
import {
  decodeHelo,
  decodePing,
  decodePong,
  encodeHelo,
  encodePing,
  encodePong,
  isSameDigest,
  keyDigest,
  passwordDigest,
  randomText,
} from '../../../src/codec/forward/index.ts';
import { MsgpackError } from '../../../src/codec/msgpack-reader.ts';

const SALT = Buffer.from('0123456789abcdef');
const NONCE = Buffer.from('00ff80c3fe017f10203040506070809a', 'hex');
const AUTH = Buffer.from('a0a1a2a3a4a5a6a7a8a9aaabacadaeaf', 'hex');
const KEY = 'geheim ü';
const PING_DIGEST =
  '2d57917eea6eadc9d09daeb7ac0330d50f054f70a10e6b017fde8441b94652cfbb57c4c3f7990657e0f7d4761d1b820589e8694ebb5098f733a42b675d5f4886';
const PASSWORD_DIGEST =
  '16f8838e8c312309b4da4dab0583c5450ca9d61aefdc471936018342419501d1f6a8ec8662e89e828731333d69e1dcf151df3655a99e91c15eb4cd1979757bc3';
const PONG_DIGEST =
  '80ca339dec8c91660a310d3b24bcf493f6418b4de9a450efdfd6572566b9e4837c0f7749ea42f2496477677bd6af45f2178a79bf94d1b277566fb4c88ed14158';
const HELO =
  '92a448454c4f83a56e6f6e6365c41000ff80c3fe017f10203040506070809aa461757468c410a0a1a2a3a4a5a6a7a8a9aaabacadaeafa96b656570616c697665c3';

describe('the handshake', () => {
  it('has the digests that others have', () => {
    expect(keyDigest(SALT, 'client.example', NONCE, KEY)).toBe(PING_DIGEST);
    expect(keyDigest(SALT, 'server.example', NONCE, KEY)).toBe(PONG_DIGEST);
    expect(passwordDigest(AUTH, 'maja', 'pässword')).toBe(PASSWORD_DIGEST);
  });

  it('reads a HELO with bytes that are no text, as binary data and as a text', () => {
    expect(decodeHelo(Buffer.from(HELO, 'hex'))).toEqual({ nonce: NONCE, auth: AUTH });
    const asText = HELO.replaceAll('c410', 'b0');
    expect(decodeHelo(Buffer.from(asText, 'hex'))).toEqual({ nonce: NONCE, auth: AUTH });
  });

  it('reads what it writes', () => {
    const helo = { nonce: randomText(), auth: randomText() };
    expect(decodeHelo(encodeHelo(helo))).toEqual(helo);
    const ping = { hostname: 'h', salt: randomText(), keyDigest: 'd', user: 'u', passwordDigest: 'p' };
    expect(decodePing(encodePing(ping))).toEqual(ping);
    const pong = { accepted: true, reason: '', hostname: 'h', keyDigest: 'd' };
    expect(decodePong(encodePong(pong))).toEqual(pong);
    expect(decodePong(encodePong({ ...pong, accepted: false, reason: 'no' }))).toEqual({
      accepted: false,
      reason: 'no',
      hostname: '',
      keyDigest: '',
    });
  });

  it('draws what was never drawn before', () => {
    expect(new Set(Array.from({ length: 100 }, () => randomText().toString())).size).toBe(100);
    expect(randomText().toString()).toMatch(/^[A-Za-z0-9+/]{24}$/);
  });

  it('compares digests of any length', () => {
    expect(isSameDigest('a', 'a')).toBe(true);
    expect(isSameDigest('a', 'ab')).toBe(false);
    expect(isSameDigest('', PING_DIGEST)).toBe(false);
  });

  it('throws for what is no message of it', () => {
    const helo = encodeHelo({ nonce: Buffer.alloc(0), auth: Buffer.alloc(0) });
    expect(() => decodeHelo(helo)).toThrow('The HELO has no nonce.');
    for (const decode of [decodeHelo, decodePing, decodePong]) {
      for (const bytes of ['', '80', '90', '91a4504f4e47', '96010203040506', 'c1', '96a4'])
        expect(() => decode(Buffer.from(bytes, 'hex'))).toThrow(MsgpackError);
    }
  });
});
