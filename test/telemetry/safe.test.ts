import { describe, expect, it } from 'vitest';
import { describeError, safeFields, safeText } from '../../src/telemetry/safe.ts';

describe('safeText', () => {
  it.each([
    ['https://user:canary@es:9200/x', 'https://***@es:9200/x'],
    ['http://canary@proxy:3128', 'http://***@proxy:3128'],
    ['two: http://a:canary@b and redis://:canary@c/0', 'two: http://***@b and redis://***@c/0'],
    ['https://user:can@ary@host/', 'https://***@host/'],
    ['mail me@example.com', 'mail me@example.com'],
    ['https://host/path@2', 'https://host/path@2'],
  ])('%s', (text, safe) => {
    expect(safeText(text)).toBe(safe);
  });

  it('cuts a huge text and says how long it was', () => {
    const safe = safeText('x'.repeat(50_000));
    expect(safe.length).toBeLessThan(9000);
    expect(safe).toContain('50000 characters');
  });
});

describe('describeError', () => {
  it('strings the causes together', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
    expect(describeError(new Error('Sending to es', { cause }))).toBe(
      'Sending to es: connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  it('puts the cause of a whole sentence behind it', () => {
    const cause = new Error('listen EADDRINUSE', { cause: new Error('the cause') });
    expect(describeError(new Error('Port 514 is taken. Set port to another.', { cause }))).toBe(
      'Port 514 is taken. Set port to another. (listen EADDRINUSE): the cause',
    );
  });

  it('looks into an AggregateError without a message', () => {
    const inner = ['::1', '127.0.0.1'].map((host) => new Error(`connect ECONNREFUSED ${host}:1`));
    expect(describeError(new AggregateError(inner))).toBe(
      'connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  it('survives a chain of causes that bites its tail', () => {
    const error = new Error('a');
    error.cause = error;
    expect(describeError(error)).toBe('a');
  });
});

describe('safeFields', () => {
  it('leaves nothing but plain values', () => {
    const secret = { toJSON: () => '***', value: 'canary' };
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const safe = safeFields({
      secret,
      error: new Error('boom'),
      bytes: Buffer.alloc(3),
      wide: 2n ** 60n,
      absent: undefined,
      list: ['http://u:canary@h'],
      cyclic,
      call: () => 0,
    });
    const text = JSON.stringify(safe);
    expect(text).not.toContain('canary');
    expect(JSON.parse(text)).toMatchObject({
      secret: '***',
      error: 'boom',
      bytes: '[3 bytes]',
      wide: '1152921504606846976',
      list: ['http://***@h'],
      call: '[function]',
    });
    expect('absent' in safe).toBe(false);
  });
});
