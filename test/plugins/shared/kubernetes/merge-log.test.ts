import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogMerger } from '../../../../plugins/shared/kubernetes/merge-log.ts';
import type { MergeSettings } from '../../../../plugins/shared/kubernetes/merge-log.ts';
import type { LogRecord, Parser } from '../../../../src/plugin.ts';
import { encodeBatch } from '../../../../src/event/chunk.ts';
import { batchOf, filterContext, textsOf } from '../../../contract/filter.ts';
import { readsRight } from '../../../support/json-keys.ts';
import { createParser } from '../../parsers/parsing.ts';

const TIMED = createParser({
  name: 'timed',
  format: 'regex',
  regex: '^\\[(?<time>[^\\]]+)\\] (?<message>.+)$',
  time_key: 'time',
  time_format: '%Y-%m-%dT%H:%M:%S',
});

function merge(
  records: readonly (LogRecord | string)[],
  settings: Partial<MergeSettings> = {},
  chosen?: Parser,
) {
  const context = filterContext([]);
  const merger = new LogMerger(
    { parser: undefined, key: undefined, trim: true, keep: true, ...settings },
    context,
  );
  const batch = batchOf(records);
  for (let index = 0; index < batch.length; index++) merger.merge(batch, index, chosen);
  const unparsed = context.metrics.counter('tailrace_kubernetes_unparsed_records_total', '').sum();
  return { batch, texts: textsOf(batch), unparsed };
}

/** The record with this log, merged. */
function one(log: unknown, settings: Partial<MergeSettings> = {}, chosen?: Parser): string {
  return merge([JSON.stringify({ log, stream: 'stdout' })], settings, chosen).texts[0] as string;
}

describe('a line that is a JSON object', () => {
  it('is added to the record, digits and all', () => {
    expect(one('{"a":1.50,"b":12345678901234567890}\n')).toBe(
      String.raw`{"log":"{\"a\":1.50,\"b\":12345678901234567890}\n","stream":"stdout","a":1.50,"b":12345678901234567890}`,
    );
  });

  it('takes the place of log', () => {
    expect(one('{"a":1.50}', { keep: false })).toBe('{"stream":"stdout","a":1.50}');
    expect(one('{}', { keep: false })).toBe('{"stream":"stdout"}');
  });

  it('goes under a key, if there is anything in it', () => {
    expect(one(' {"a":1.50} ', { keep: false, key: 'm' })).toBe('{"stream":"stdout","m":{"a":1.50}}');
    expect(one('{}', { keep: false, key: 'm' })).toBe('{"stream":"stdout"}');
    const wide = '{"a":12345678901234567890}';
    expect(one(wide, { keep: false, key: 'stream' })).toBe(`{"stream":${wide}}`);
  });

  it('wins over fields of the record with its names', () => {
    expect(JSON.parse(one('{"stream":"mine","log":"inner","w":12345678901234567890}'))).toEqual({
      log: 'inner',
      stream: 'mine',
      w: Number('12345678901234567890'),
    });
    expect(one('{"stream":1,"w":12345678901234567890}', { keep: false })).toBe(
      '{"stream":1,"w":12345678901234567890}',
    );
    expect(JSON.parse(one('{"log":"inner"}', { keep: false }))).toEqual({ stream: 'stdout', log: 'inner' });
  });

  it.each([
    ['plain text'],
    ['[1,2]'],
    ['"text"'],
    ['{"a":1} {"b":2}'],
    ['{"a":1} and more'],
    ['{"a":1,}'],
    ['{'],
    ['}'],
    [''],
    ['{"a":'.repeat(100) + '1' + '}'.repeat(100)],
  ])('%s is none: the record stays as it was', (log) => {
    expect(one(log, { keep: false })).toBe(JSON.stringify({ log, stream: 'stdout' }));
  });

  it('may be on several lines, and have control characters in its texts', () => {
    expect(JSON.parse(one('{"a": 1,\n "b": 12345678901234567890}\n', { keep: false }))).toEqual({
      stream: 'stdout',
      a: 1,
      b: Number('12345678901234567890'),
    });
    expect(JSON.parse(one('{"stack":"one\n\ttwo \\" {\n","n":[\n1]}', { keep: false }))).toEqual({
      stream: 'stdout',
      stack: 'one\n\ttwo " {',
      n: [1],
    });
  });
});

describe('what is not a text', () => {
  it('a map is merged as it is', () => {
    const { texts } = merge(['{"log":{"a":12345678901234567890,"b":"x\\n"},"s":1}'], { keep: false });
    expect(texts).toEqual(['{"s":1,"a":12345678901234567890,"b":"x\\n"}']);
  });

  it.each([[5], [null], [[1]], [true]])('%j stays, also without keep_log', (log) => {
    expect(one(log, { keep: false })).toBe(JSON.stringify({ log, stream: 'stdout' }));
  });

  it('a record without log stays', () => {
    expect(merge(['{"other":1}'], { keep: false }).texts).toEqual(['{"other":1}']);
  });
});

describe('trimming', () => {
  it.each([
    ['x\n', 'x'],
    ['x\n\n', 'x'],
    [String.raw`x\n`, 'x'],
    [String.raw`x\r\n`, 'x'],
    ['x\r\n', 'x\r'],
    ['x\n ', 'x\n '],
    ['n', 'n'],
    ['\n', '\n'],
    [String.raw`\n\n`, ''],
    ['', ''],
  ])('%j becomes %j', (text, trimmed) => {
    const merged = JSON.parse(one(JSON.stringify({ text, deep: { text } }), { keep: false })) as LogRecord;
    expect(merged).toEqual({ stream: 'stdout', text: trimmed, deep: { text } });
  });

  it('can be switched off', () => {
    expect(one('{"a":"x\\n"}', { keep: false, trim: false })).toBe('{"stream":"stdout","a":"x\\n"}');
  });

  it('keeps the digits of the other fields', () => {
    expect(one('{"a":"x\\n","n":12345678901234567890}', { keep: false })).toBe(
      '{"stream":"stdout","a":"x","n":12345678901234567890}',
    );
  });
});

describe('parsers', () => {
  const LINE = '[2019-04-05T14:54:23] hello\n';

  it('the one of the configuration, in place of JSON; its time is the event’s', () => {
    const { batch, texts } = merge([{ log: LINE }, { log: '{"a":1}' }], { parser: TIMED, keep: false });
    expect(texts).toEqual(['{"message":"hello"}', '{"log":"{\\"a\\":1}"}']);
    expect([...batch.seconds]).toEqual([1554476063, 1]);
  });

  it('the one of the pod, in place of that of the configuration', () => {
    const json = createParser({ name: 'json', format: 'json' });
    const { texts, unparsed } = merge([{ log: LINE }, { log: '{"a":1}' }], { parser: TIMED }, json);
    expect(texts).toEqual([JSON.stringify({ log: LINE }), '{"log":"{\\"a\\":1}","a":1}']);
    expect(unparsed).toBe(1);
  });

  it('a line that carries no time keeps the time that it was read with', () => {
    const { batch } = merge([{ log: 'x' }, { log: '[no time] hello' }], { parser: TIMED });
    expect([...batch.seconds]).toEqual([0, 1]);
  });
});

it('text and object stay in step, whatever is merged', () => {
  const record = fc.dictionary(fc.string(), fc.jsonValue()).filter(readsRight);
  fc.assert(
    fc.property(record, record, fc.boolean(), fc.boolean(), (outer, inner, keep, asKey) => {
      const log = JSON.stringify(inner);
      const { batch, texts } = merge([JSON.stringify({ ...outer, log })], {
        keep,
        trim: false,
        key: asKey ? 'key' : undefined,
      });
      const rest = { ...outer };
      delete rest['log'];
      const kept = keep ? { ...outer, log } : rest;
      const added = asKey ? (Object.keys(inner).length === 0 ? {} : { key: inner }) : inner;
      // By JSON, which knows no -0.
      const expected = JSON.parse(JSON.stringify({ ...kept, ...added })) as unknown;
      expect(JSON.parse(texts[0] as string)).toEqual(expected);
      expect(JSON.parse(JSON.stringify(batch.record(0)))).toEqual(expected);
      expect(encodeBatch('tag', batch, true, 0).bytes.toString().split('\n')).toHaveLength(2);
    }),
  );
});
