import { describe, expect, it } from 'vitest';
import { credentialsOf, hasBasic, hasBearer, isOneOf } from '../../src/net/credentials.ts';

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

describe('credentialsOf', () => {
  it('is what stands behind the scheme', () => {
    expect(credentialsOf('ApiKey  abc= ', 'apikey')).toBe('abc=');
    expect(credentialsOf('splunk', 'Splunk')).toBe('');
    for (const header of [undefined, '', 'ApiKeys abc', ' ApiKey abc'])
      expect(credentialsOf(header, 'ApiKey')).toBeUndefined();
  });
});

describe('isOneOf', () => {
  it('takes each of them, and no empty one', () => {
    expect(isOneOf('b', ['a', 'b'])).toBe(true);
    expect(isOneOf('a', ['a', 'b'])).toBe(true);
    expect(isOneOf('c', ['a', 'b'])).toBe(false);
    expect(isOneOf('', [''])).toBe(false);
    expect(isOneOf(undefined, ['a'])).toBe(false);
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
