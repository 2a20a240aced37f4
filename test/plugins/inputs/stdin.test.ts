import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import stdin, { readRecords } from '../../../plugins/inputs/stdin.ts';
import type { Parser } from '../../../src/plugin.ts';
import { optionsOf } from '../../contract/support.ts';
import { createParser } from '../parsers/parsing.ts';
import { Collector, inputContext } from './collecting.ts';

function open({ parser, bufferSize = 16_000 }: { parser?: Parser; bufferSize?: number } = {}) {
  const stream = new PassThrough();
  const context = inputContext();
  const collector = new Collector();
  const input = readRecords(stream, context, { parser, bufferSize });
  void input.start(collector.emit);
  return { stream, context, collector, input };
}

/** Everything that comes of a text. */
async function read(content: string, options: Parameters<typeof open>[0] = {}) {
  const opened = open(options);
  opened.stream.end(content);
  expect(await opened.context.done).toEqual({ exit: true });
  const unparsed = opened.context.metrics
    .counter('tailrace_input_unparsed_records_total', '')
    .sum({ name: 'input.0' });
  return { ...opened, events: opened.collector.events, records: opened.collector.records, unparsed };
}

describe('without a parser', () => {
  it('takes maps, one or several on a line or over several lines, with the time of reading', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { events, records, unparsed } = await read('{"a":1}\n{"b":2}{"c":3}\n\n{\n"d": 4\n}\r\n{"e":5}');
    expect(records).toEqual([{ a: 1 }, { b: 2 }, { c: 3 }, { d: 4 }, { e: 5 }]);
    expect(unparsed).toBe(0);
    for (const { tag, seconds, nanos } of events) {
      expect(tag).toBe('test');
      expect(seconds).toBeGreaterThanOrEqual(before);
      expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
      expect(nanos).toBeLessThan(1e9);
    }
  });

  it('takes events with their time and metadata', async () => {
    const { events } = await read(
      '[1700000000, {"a":1}]\n[1700000000.25, {"a":2}]\n[[-1.5, {"m":"x"}], {"a":3}]\n{"a":4}\n[[7,{}],{"a":5}]',
    );
    expect(events.slice(0, 3)).toEqual([
      { tag: 'test', record: { a: 1 }, seconds: 1_700_000_000, nanos: 0, metadata: undefined },
      { tag: 'test', record: { a: 2 }, seconds: 1_700_000_000, nanos: 250_000_000, metadata: undefined },
      { tag: 'test', record: { a: 3 }, seconds: -2, nanos: 500_000_000, metadata: { m: 'x' } },
    ]);
    expect(events.slice(3).map(({ metadata }) => metadata)).toEqual([undefined, undefined]);
  });

  it('keeps what is no JSON map under log, counted and said once', async () => {
    const { records, unparsed, context } = await read(
      'plain text\n{"a":1}\n[1,2]\n42\n{"broken":\nnext\n[null,{}]\n',
    );
    expect(records).toEqual([
      { log: 'plain text' },
      { a: 1 },
      { log: '[1,2]' },
      { log: '42' },
      { log: '{"broken":' },
      { log: 'next' },
      { log: '[null,{}]' },
    ]);
    expect(unparsed).toBe(6);
    expect(context.log.lines).toEqual([
      {
        level: 'warn',
        fields: { records: 6, reason: 'It is a list, but no event: [time, map].' },
        message: 'Cannot parse some lines; they are kept under "log"',
      },
    ]);
  });

  it('keeps wide numbers and odd keys', async () => {
    const { collector } = open();
    expect(collector.events).toEqual([]);
    const { records } = await read('{"__proto__":{"x":1}}\n');
    expect(JSON.stringify(records)).toBe('[{"__proto__":{"x":1}}]');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
});

describe('with a parser', () => {
  it('parses each line, takes its time, and keeps what the parser does not take', async () => {
    const parser = createParser({
      name: 'p',
      format: 'regex',
      regex: '^(?<time>\\d+) (?<msg>.*)$',
      time_key: 'time',
      time_format: '%s',
    });
    const { events, unparsed } = await read('1700000000 one\n{"a":1}\n\n1700000001 two', { parser });
    expect(events.map(({ record }) => record)).toEqual([{ msg: 'one' }, { log: '{"a":1}' }, { msg: 'two' }]);
    expect([events[0]?.seconds, events[2]?.seconds]).toEqual([1_700_000_000, 1_700_000_001]);
    expect(unparsed).toBe(1);
  });
});

describe('lines longer than the buffer', () => {
  it('are cut, flagged and counted, and do not run into the next line', async () => {
    const { events, context } = await read('0123456789abc\n[1,2,3,4,5,6,7]\n8]\n{"a":1}\n', {
      bufferSize: 10,
    });
    expect(events.map(({ record, metadata }) => [record, metadata])).toEqual([
      [{ log: '0123456789' }, { truncated: true }],
      [{ log: '[1,2,3,4,5' }, { truncated: true }],
      [{ log: '8]' }, undefined],
      [{ a: 1 }, undefined],
    ]);
    expect(
      context.metrics.counter('tailrace_input_long_lines_total', '').sum({ name: 'input.0', action: 'cut' }),
    ).toBe(2);
  });
});

it('a cut that leaves a value open does not join it to the next line', async () => {
  const { events } = await read('["é","é",2]\n3]\n', { bufferSize: 11 });
  expect(events.map(({ record, metadata }) => [record, metadata])).toEqual([
    [{ log: '["é","é",' }, { truncated: true }],
    [{ log: '3]' }, undefined],
  ]);
});

describe('life cycle', () => {
  it('reads nothing more while there is no room', async () => {
    const { stream, collector, context } = open();
    collector.fill();
    stream.write('{"n":1}\n');
    await collector.reached(1);
    stream.end('{"n":2}\n');
    expect(stream.isPaused()).toBe(true);
    expect(collector.records).toEqual([{ n: 1 }]);
    collector.drain();
    await context.done;
    expect(collector.records).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('hands over one batch per read', async () => {
    const { collector } = await read('{"n":1}\n'.repeat(500));
    expect(collector.batches).toEqual([500]);
  });

  it('gives out the last line and an incomplete value at stop, and nothing afterwards', async () => {
    const { stream, collector, input } = open();
    stream.write('{"n":1}\n{"open":\n"line without end');
    await collector.reached(1);
    await input.stop();
    expect(collector.records).toEqual([{ n: 1 }, { log: '{"open":' }, { log: '"line without end' }]);
    stream.write('{"n":2}\n');
    await input.stop();
    expect(collector.records).toHaveLength(3);
  });

  it('takes an error of the stream for its end', async () => {
    const { stream, collector, context } = open();
    stream.write('{"n":1}\nrest');
    await collector.reached(1);
    stream.destroy(new Error('read EIO'));
    expect(await context.done).toEqual({ exit: true });
    expect(collector.records).toEqual([{ n: 1 }, { log: 'rest' }]);
    expect(context.log.lines[0]).toMatchObject({ level: 'error', fields: { error: expect.any(Error) } });
  });

  it('reads the standard input of the process', async () => {
    const script = `
      import { inputContext, Collector } from ${JSON.stringify(new URL('./collecting.ts', import.meta.url).href)};
      import { optionsOf } from ${JSON.stringify(new URL('../../contract/support.ts', import.meta.url).href)};
      import stdin from ${JSON.stringify(new URL('../../../plugins/inputs/stdin.ts', import.meta.url).href)};
      const context = inputContext();
      const collector = new Collector();
      const input = await stdin.create(optionsOf(stdin.options, {}), context);
      await input.start(collector.emit);
      await context.done;
      console.log(JSON.stringify(collector.records));`;
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const output = text(child.stdout);
    child.stdin.end('{"n":1}\nplain\n');
    const [code] = (await once(child, 'close')) as [number];
    expect(await output).toBe('[{"n":1},{"log":"plain"}]\n');
    expect(code).toBe(0);
  });
});

it('the check refuses a buffer that is too small', () => {
  expect(stdin.check?.(optionsOf(stdin.options, { buffer_size: '1k' }), [])).toEqual([
    { key: 'buffer_size', message: '1000 bytes are too few: write at least 16k.' },
  ]);
  expect(stdin.check?.(optionsOf(stdin.options, {}), [])).toEqual([]);
});
