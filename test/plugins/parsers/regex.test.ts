import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UNSAFE_TEXT_LIMIT } from '../../../src/plugin.ts';
import { check, createParser, parseLine } from './parsing.ts';

describe('regex', () => {
  it('makes fields of named groups', () => {
    const parser = createParser({
      format: 'regex',
      regex: '^(?<level>[A-Z]+)( \\[(?<thread>[^\\]]*)\\])? (?<message>.*)$',
    });
    expect(parseLine(parser, 'INFO [main] hello')?.record).toEqual({
      level: 'INFO',
      thread: 'main',
      message: 'hello',
    });
    expect(parseLine(parser, 'INFO hello')?.record).toEqual({ level: 'INFO', message: 'hello' });
    expect(parseLine(parser, 'INFO [] ')?.record).toEqual({ level: 'INFO' });
    expect(parseLine(parser, 'info')).toBeUndefined();
    expect(parser.failure()).toBe('The text does not match the regular expression.');
  });

  it('takes several lines, as filters hand them over', () => {
    const parser = createParser({ format: 'regex', regex: '/^(?<head>\\w+)$\\s(?<rest>.*)/m' });
    expect(parseLine(parser, 'one\ntwo\nthree')?.record).toEqual({ head: 'one', rest: 'two\nthree' });
  });

  it('keeps empty values where it shall', () => {
    const parser = createParser({ format: 'regex', regex: '(?<a>x)?(?<b>y*)', skip_empty_values: 'off' });
    expect(parseLine(parser, '')?.record).toEqual({ a: '', b: '' });
  });

  it('casts, takes the time out, and decodes', () => {
    const parser = createParser(`
      format: regex
      regex: '^(?<at>\\d+) (?<code>\\S+) (?<body>.*)$'
      time_key: at
      time_format: '%s'
      types: code:integer
      decode_field_as: json body`);
    expect(parseLine(parser, '1500000000 404 {"a":1}')).toEqual({
      record: { code: 404, body: { a: 1 } },
      text: undefined,
      seconds: 1_500_000_000,
      nanos: 0,
    });
  });

  it.each([
    ['off', { m: 'x' }],
    ['on', { time: 'soon', m: 'x' }],
  ])('with a time that cannot be read and time_keep %s', (keep, record) => {
    const parser = createParser({
      format: 'regex',
      regex: '(?<time>\\w+) (?<m>.*)',
      time_format: '%s',
      time_keep: keep,
    });
    expect(parseLine(parser, 'soon x')).toMatchObject({ record, seconds: Number.NaN });
  });

  it('reads the time of whichever group took part', () => {
    const parser = createParser({
      format: 'regex',
      regex: '^a(?<time>\\d+)|b(?<time>\\d+)',
      time_format: '%s',
    });
    expect([parseLine(parser, 'a5')?.seconds, parseLine(parser, 'b6')?.seconds]).toEqual([5, 6]);
  });

  it('does not run an expression that could run away on a long line', () => {
    const parser = createParser({ format: 'regex', regex: '^(?!#)(?<a>.*)$' });
    expect(parseLine(parser, 'x'.repeat(UNSAFE_TEXT_LIMIT))).toBeDefined();
    expect(parseLine(parser, 'x'.repeat(UNSAFE_TEXT_LIMIT + 1))).toBeUndefined();
    expect(parser.failure()).toContain('too long');
    const safe = createParser({ format: 'regex', regex: '^(?<a>.*)$' });
    expect(parseLine(safe, 'x'.repeat(UNSAFE_TEXT_LIMIT + 1))).toBeDefined();
  });

  it('counts a match that needs too much memory as a failure', () => {
    const parser = createParser({ format: 'regex', regex: '^(?<a>(?:xx|y)*)z' });
    const line = 'x'.repeat(30_000_000);
    expect(parseLine(parser, line)).toBeUndefined();
  });

  it('never throws', () => {
    const parser = createParser({
      format: 'regex',
      regex: '^(?<a>.)(?<time>[^ ]*) ?(?<b>.*?)$',
      time_format: '%F',
    });
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (line) => {
        expect(parseLine(parser, line)?.text).toBeUndefined();
      }),
    );
  });
});

describe('check', () => {
  it.each<[entry: Record<string, unknown>, problems: unknown[]]>([
    [{ regex: '(?<a>x)' }, []],
    [
      { regex: '(?<a>x' },
      [{ key: 'regex', message: expect.stringMatching(/wrong at character 1: This group/) }],
    ],
    [
      { regex: 'x' },
      [{ key: 'regex', level: 'warning', message: expect.stringContaining('no named group') }],
    ],
    [
      { regex: '(?<a>x(?=y))' },
      [{ key: 'regex', level: 'warning', message: expect.stringContaining('Look-ahead') }],
    ],
    [
      { regex: '(?<a>x)', types: 'a:nope' },
      [{ key: 'types', message: expect.stringContaining('"nope" is no type') }],
    ],
    [{ regex: '(?<a>x)', time_format: '%' }, [{ key: 'time_format', message: expect.any(String) }]],
    [
      { regex: '(?<a>x)', decode_field: 'x' },
      [{ key: 'decode_field', index: 0, message: expect.any(String) }],
    ],
  ])('%o', (entry, problems) => {
    expect(check({ format: 'regex', ...entry })).toEqual(problems);
  });
});
