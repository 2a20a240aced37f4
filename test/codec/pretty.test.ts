import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { levelOf } from '../../src/codec/levels.ts';
import { prettyLine } from '../../src/codec/pretty.ts';
import type { PrettyOptions } from '../../src/codec/pretty.ts';
import type { LogRecord } from '../../src/event/record.ts';

const plain = (record: LogRecord, options: Partial<PrettyOptions> = {}): string => {
  const line = prettyLine(record, 1_700_000_000, 123_456_789, { color: false, ...options });
  expect(line).not.toMatch(/\n/);
  expect(line.slice(0, 24)).toBe('2023-11-14 22:13:20.123 ');
  return line.slice(24);
};

describe('prettyLine', () => {
  beforeEach(() => {
    vi.stubEnv('TZ', 'UTC');
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('shows level, message and the rest', () => {
    expect(
      plain({
        level: 'warning',
        msg: 'disk is nearly full\n',
        host: 'db 1',
        free: 3,
        ok: true,
        nested: { a: [1] },
      }),
    ).toBe('WARN  disk is nearly full host="db 1" free=3 ok=true nested={"a":[1]}');
  });

  it('takes a plain line, and a record that says nothing', () => {
    expect(plain({ log: 'hello' })).toBe('      hello');
    expect(plain({})).toBe('     ');
    expect(plain({ empty: '', n: null, wide: 12345678901234567890n })).toBe(
      '      empty="" n=null wide=12345678901234567890',
    );
  });

  it('shows an access log as what was asked for and what came', () => {
    expect(plain({ method: 'GET', path: '/x', code: '503', size: '12' })).toBe('ERROR 503 GET /x size=12');
    expect(plain({ method: 'GET', path: '/x', status: 404 })).toBe('WARN  404 GET /x');
    expect(plain({ method: 'GET', path: '/x' })).toBe('INFO  GET /x');
  });

  it('shows a prefix', () => {
    expect(plain({ level: 30, msg: 'hi' }, { prefix: 'app.log' })).toBe('INFO  app.log hi');
  });

  it('colours by level, and only what is its own', () => {
    const line = prettyLine({ level: 'error', msg: 'no' }, 0, 0, { color: true });
    expect(line).toBe('\u001b[2m1970-01-01 00:00:00.000\u001b[0m \u001b[31mERROR\u001b[0m no');
  });

  it('lets nothing command the terminal', () => {
    const hostile = '\u001b[2J\u0007\u009b31m\u202e\ufeff\r\nforged\u0000\u007f';
    const line = prettyLine({ msg: hostile, [hostile]: hostile }, 0, 0, { color: false, prefix: hostile });
    // oxlint-disable-next-line no-control-regex
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e\ufeff]/);
    expect(line).toContain('\\u001b[2J\\u0007\\u009b31m\\u202e\\ufeff\\r\\nforged\\u0000\\u007f');
  });

  it('raw: passes them on, but stays one line', () => {
    expect(plain({ msg: '\u001b[1mbold\nnext' }, { raw: true })).toBe('      \u001b[1mbold\\nnext');
  });
});

describe('levelOf', () => {
  it.each([
    ['INFO', 'info'],
    [' Warning ', 'warn'],
    ['panic', 'fatal'],
    [10, 'trace'],
    [35, 'info'],
    [60, 'fatal'],
    [3, 'error'],
    ['6', 'info'],
    ['constructor', undefined],
    [8, undefined],
    [null, undefined],
  ] as const)('%s is %s', (value, level) => {
    expect(levelOf(value)).toBe(level);
  });
});
