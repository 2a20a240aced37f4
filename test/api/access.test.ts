import { describe, expect, it } from 'vitest';
import { isLoopback, refusal } from '../../src/api/access.ts';

describe('refusal', () => {
  const far = '192.0.2.7';

  it('lets this machine in without a token', () => {
    for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
      expect(refusal({ address, headers: {} }, undefined)).toBeUndefined();
    }
  });

  it('lets others in only with the token', () => {
    expect(refusal({ address: far, headers: {} }, undefined)).toContain('http_server.token');
    const withHeader = (authorization: string) =>
      refusal({ address: far, headers: { authorization } }, 'canary');
    expect(withHeader('Bearer canary')).toBeUndefined();
    for (const wrong of ['Bearer Canary', 'Bearer canary2', 'Bearer ', 'canary', 'Basic canary']) {
      expect(withHeader(wrong)).toContain('Authorization');
      expect(withHeader(wrong)).not.toContain('canary');
    }
    expect(refusal({ address: far, headers: { authorization: 'Bearer ' } }, '')).toBeDefined();
  });

  it('keeps web pages out, whatever address they come from', () => {
    expect(
      refusal({ address: '127.0.0.1', headers: { 'sec-fetch-site': 'cross-site' } }, 'canary'),
    ).toBeDefined();
  });
});

describe('isLoopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['127.0.0.1.evil.example', false],
    ['::ffff:10.0.0.1', false],
    ['10.127.0.1', false],
    [undefined, false],
  ])('%s: %s', (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});
