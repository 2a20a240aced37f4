import { describe, expect, it } from 'vitest';
import type { Parser } from '../../../src/plugin.ts';
import { readTime, Recogniser } from '../../../src/cli/tail/recognise.ts';

/** Stands for the logfmt parser, which has tests of its own. */
const logfmt: Parser = {
  name: 'logfmt',
  parse(line, into) {
    into.record = { logfmt: line };
    return true;
  },
  failure: () => '',
};

const recognise = (...lines: string[]) => {
  const recogniser = new Recogniser(logfmt);
  return lines.map((line) => recogniser.line(line));
};
const time = Date.parse('2026-03-14T09:26:53.5Z');

describe('Recogniser', () => {
  it.each([
    ['{"a":1}', 'json'],
    ['  {"a":1}', 'json'],
    ['{"a":', 'plain'],
    ['[1]', 'plain'],
    ['a=1 b="two words" c=', 'logfmt'],
    ['a=1', 'plain'],
    ['x = 1 and y = 2', 'plain'],
    ['see https://host/?a=1&b=2 for more', 'plain'],
    ['', 'plain'],
  ])('%j is %s', (line, kind) => {
    expect(recognise(line)[0]?.kind).toBe(kind);
  });

  it('keeps wide numbers and odd keys', () => {
    expect(recognise('{"id":9007199254740993,"__proto__":1}')[0]?.record.id).toBe(9007199254740993n);
  });

  it('takes the time from where it stands', () => {
    expect(recognise('{"ts":"2026-03-14T09:26:53.5Z"}')[0]).toMatchObject({ time, timeKey: 'ts' });
    expect(recognise('{"time":"noon","@timestamp":1773480413.5}')[0]).toMatchObject({
      time,
      timeKey: '@timestamp',
    });
    expect(recognise('[2026-03-14 09:26:53,500Z] ERROR x')[0]).toMatchObject({ time, timeKey: undefined });
    expect(recognise('nothing of the kind')[0]?.time).toBeUndefined();
  });

  it('joins what a container runtime cut, stream by stream', () => {
    const stamp = '2026-03-14T09:26:53.5Z';
    const lines = recognise(
      `${stamp} stdout P one `,
      `${stamp} stderr F {"msg":"between"}`,
      `${stamp} stdout F two`,
      `${stamp} stdout F`,
    );
    expect(lines[0]).toBeUndefined();
    expect(lines[1]).toMatchObject({ kind: 'json', record: { msg: 'between', stream: 'stderr' }, time });
    expect(lines[2]).toMatchObject({ kind: 'plain', record: { log: 'one two' }, time });
    expect(lines[3]).toMatchObject({ kind: 'plain', record: { log: '' } });
  });

  it("unwraps Docker's JSON", () => {
    const line = JSON.stringify({
      log: '{"msg":"inner"}\n',
      stream: 'stdout',
      time: '2026-03-14T09:26:53.5Z',
    });
    expect(recognise(line)[0]).toMatchObject({ kind: 'json', record: { msg: 'inner' }, time });
  });
});

describe('readTime', () => {
  it.each([
    ['2026-03-14T09:26:53.5Z', time],
    ['2026-03-14T10:26:53.5+01:00', time],
    [time / 1000, time],
    [time, time],
    [time * 1000, time],
    [BigInt(time) * 1_000_000n, time],
    [String(time), time],
    ['soon', undefined],
    [17, undefined],
    [null, undefined],
  ])('%s', (value, expected) => {
    const read = readTime(value);
    if (expected === undefined) expect(read).toBeUndefined();
    else expect(read).toBeCloseTo(expected, 0);
  });
});
