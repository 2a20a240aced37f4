import { describe, expect, it } from 'vitest';
import { hasBasic, hasBearer } from '../../src/net/credentials.ts';

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('hasBearer', () => {
  it('takes the token and nothing else', () => {
    expect(hasBearer('Bearer secret', 'secret')).toBe(true);
    expect(hasBearer('bearer  secret ', 'secret')).toBe(true);
    for (const header of [
      undefined,
      '',
      'Bearer',
      'Bearer secre',
      'Bearer secrets',
      'secret',
      basic('secret'),
    ]) {
      expect(hasBearer(header, 'secret')).toBe(false);
    }
    expect(hasBearer('Bearer ', '')).toBe(false);
  });
});

describe('hasBasic', () => {
  it('takes user and password and nothing else', () => {
    expect(hasBasic(basic('user:pass:word'), 'user', 'pass:word')).toBe(true);
    expect(hasBasic(basic('üser:ö'), 'üser', 'ö')).toBe(true);
    for (const header of [
      undefined,
      'Basic',
      'Basic !',
      basic('user'),
      basic('user:'),
      basic('user:pass'),
      'Bearer user:pass:word',
    ]) {
      expect(hasBasic(header, 'user', 'pass:word')).toBe(false);
    }
  });
});
