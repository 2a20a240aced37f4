import { describe, expect, it } from 'vitest';
import { RetryableError, SplitError } from '../../src/event/outcome.ts';
import { requireSuccess } from '../../src/net/http-outcome.ts';
import { retryAfterMs } from '../../src/net/retry-after.ts';

const judge = (status: number, headers = {}, text = '', showText = true): unknown => {
  try {
    requireSuccess({ status, headers, text }, 'http://host', showText);
    return undefined;
  } catch (error) {
    return error;
  }
};

describe('requireSuccess', () => {
  it.each([200, 201, 204, 299])('%i is success', (status) => {
    expect(judge(status)).toBeUndefined();
  });

  it.each([301, 307, 401, 403, 404, 407, 408, 429, 500, 502, 503, 504])(
    '%i is the destination’s fault',
    (status) => {
      expect(judge(status)).toBeInstanceOf(RetryableError);
    },
  );

  it.each([400, 402, 405, 409, 410, 411, 413, 415, 422, 431])('%i lies in the request', (status) => {
    const error = judge(status);
    expect(error).toBeInstanceOf(SplitError);
    expect((error as SplitError).status).toBe(status);
  });

  it('says host, status, what to do, and the first words of the answer', () => {
    expect((judge(401, {}, 'no\n  such user') as Error).message).toBe(
      'http://host answered 401: check user and password or token (no such user)',
    );
    expect((judge(400, {}, 'x'.repeat(1000)) as Error).message).toMatch(
      /^http:\/\/host answered 400 \(x{300}…\)$/,
    );
    expect((judge(500, {}, 'secret', false) as Error).message).toBe('http://host answered 500');
  });

  it('names the target of a redirect, without credentials', () => {
    expect((judge(302, { location: 'https://u:p@other/x' }) as Error).message).toContain(
      'to https://other/x:',
    );
  });

  it('honours Retry-After', () => {
    expect((judge(429, { 'retry-after': '7' }) as RetryableError).retryAfterMs).toBe(7000);
    expect((judge(503) as RetryableError).retryAfterMs).toBeUndefined();
  });
});

describe('retryAfterMs', () => {
  const now = Date.parse('2026-11-20T20:00:00Z');

  it('reads seconds and dates', () => {
    expect(retryAfterMs('120', now)).toBe(120_000);
    expect(retryAfterMs('Fri, 20 Nov 2026 20:00:30 GMT', now)).toBe(30_000);
    expect(retryAfterMs(['5', '6'], now)).toBe(5000);
  });

  it('is never negative, never more than an hour, and ignores nonsense', () => {
    expect(retryAfterMs('Fri, 20 Nov 2020 20:00:30 GMT', now)).toBe(0);
    expect(retryAfterMs('999999', now)).toBe(3_600_000);
    expect(retryAfterMs('soon', now)).toBeUndefined();
    expect(retryAfterMs('', now)).toBeUndefined();
  });
});
