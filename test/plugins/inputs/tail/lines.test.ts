/** From bytes to records: line ends, long lines, encodings, compressed files, parsers, keys. */
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import type { Parser } from '../../../../src/plugin.ts';
import { expected, numbered, tail, workspace } from './harness.ts';
import type { Surroundings, Tail, TailOptions } from './harness.ts';

/** Reads a file with this content to its end. */
async function read(
  content: string | Uint8Array,
  options: Omit<TailOptions, 'path'> = {},
  surroundings: Surroundings = {},
  name = 'a.log',
): Promise<Tail> {
  const path = join(workspace(), name);
  writeFileSync(path, content);
  const run = await tail({ path, read_from_head: 'on', exit_on_eof: 'on', ...options }, surroundings);
  await run.done;
  return run;
}

describe('lines', () => {
  it('end in LF or CRLF; a CR inside stays', async () => {
    const run = await read('one\r\ntwo\nthr\ree\r\n\r\n\n');
    expect(run.lines).toEqual(['one', 'two', 'thr\ree', '', '']);
  });

  it('are left out when empty, and their bytes are done with', async () => {
    const run = await read('\n\none\n\r\n\ntwo\n\n', { skip_empty_lines: 'on' });
    expect(run.lines).toEqual(['one', 'two']);
    expect(run.metric('file_lag_bytes')).toBe(0);
  });

  it('carry their place in the file, terminator included', async () => {
    const run = await read('one\r\nzwö\nthree\n');
    expect(run.events.map(({ start, stop }) => [start, stop])).toEqual([
      [0, 5],
      [5, 10],
      [10, 16],
    ]);
  });

  it('survive NUL bytes and invalid UTF-8', async () => {
    const bytes = Buffer.concat([
      Buffer.from('a\0b\n'),
      Buffer.from([0xff, 0x61, 0xc3, 10]),
      Buffer.from('good ✓\n'),
    ]);
    const run = await read(bytes);
    expect(run.lines).toEqual(['a\0b', '\ufffda\ufffd', 'good ✓']);
  });

  it('come whole when one is longer than what is read of a file in one turn', async () => {
    const long = 'x'.repeat(5_000_000);
    const run = await read(`before\n${long}\nafter\n`, { buffer_max_size: '6M' });
    expect(run.lines.map((line) => String(line).length)).toEqual([6, 5_000_000, 5]);
  });

  it('come whole however they lie across blocks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 70_000 }), fc.constantFrom('x', 'ü', '✓')), {
          maxLength: 40,
        }),
        async (shape) => {
          const lines = shape.map(([length, character], index) => `${index}${character.repeat(length)}`);
          const run = await read(lines.map((line) => `${line}\n`).join(''));
          expect(run.lines).toEqual(lines);
          await run.stop();
        },
      ),
      { numRuns: 15 },
    );
  });

  it('have the keys that were asked for', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'one\ntwo\n');
    const options = {
      path,
      read_from_head: 'on',
      exit_on_eof: 'on',
      key: 'message',
      path_key: 'file',
      offset_key: 'at',
    };
    const run = await tail(options);
    await run.done;
    expect(run.events.map(({ record }) => record)).toEqual([
      { file: path, at: 0, message: 'one' },
      { file: path, at: 4, message: 'two' },
    ]);
  });

  it('go through the parser; what it does not take goes on as it is', async () => {
    const parser: Parser = {
      name: 'p',
      parse(line, into) {
        if (!line.startsWith('{')) return false;
        into.record = JSON.parse(line) as typeof into.record;
        into.text = line;
        into.seconds = line.includes('time') ? 1_700_000_000 : Number.NaN;
        into.nanos = 5;
        return true;
      },
      failure: () => 'It is no JSON.',
    };
    const run = await read('{"a":1}\nplain\n{"time":2}\n', { parser: 'p', offset_key: 'at' }, { parser });
    expect(run.events.map(({ record }) => record)).toEqual([
      { a: 1, at: 0 },
      { at: 8, log: 'plain' },
      { time: 2, at: 14 },
    ]);
    expect(run.metric('unparsed_records_total')).toBe(1);
  });
});

describe('fault 31: long lines', () => {
  const limit = { buffer_max_size: '1000' };

  it('are cut, flagged and counted; the lines around them are whole', async () => {
    const run = await read(`before\n${'x'.repeat(5000)}\nafter\n`, limit);
    expect(run.lines).toEqual(['before', 'x'.repeat(999), 'after']);
    expect(run.events.map(({ metadata }) => metadata)).toEqual([undefined, { truncated: true }, undefined]);
    expect(run.metric('long_lines_total', { action: 'cut' })).toBe(1);
    expect(run.metric('file_lag_bytes')).toBe(0);
  });

  it('are not cut at the limit itself, and never within a character', async () => {
    const whole = 'x'.repeat(999);
    const wide = `${'x'.repeat(998)}✓✓`;
    const run = await read(`${whole}\n${wide}\n`, limit);
    expect(run.lines).toEqual([whole, 'x'.repeat(998)]);
  });

  it('are left out, counted and accounted for with skip_long_lines', async () => {
    const run = await read(`before\n${'x'.repeat(5000)}\nafter\n`, { ...limit, skip_long_lines: 'on' });
    expect(run.lines).toEqual(['before', 'after']);
    expect(run.drops).toEqual({ long_line: 1 });
    expect(run.metric('long_lines_total', { action: 'skip' })).toBe(1);
  });

  it('of 50 MB and without an end take no memory of that size', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'before\n');
    for (let written = 0; written < 50; written++) appendFileSync(path, 'y'.repeat(1_000_000));
    const run = await tail({ path, read_from_head: 'on' });
    await run.reached(2);
    await run.idle();
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(20_000_000);
    appendFileSync(path, ' the end\nafter\n');
    const lines = await run.reached(3);
    expect(lines.map((line) => String(line).length)).toEqual([6, 999_999, 5]);
    expect(run.metric('long_lines_total')).toBe(1);
  });

  it('are passed over to their end also after a restart within', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, `before\n${'x'.repeat(5000)}`);
    const first = await tail({ path, read_from_head: 'on', ...limit }, { state: directory });
    await first.reached(2);
    await first.idle();
    await first.stop();
    appendFileSync(path, `${'x'.repeat(5000)} end\nafter\n`);
    const second = await tail({ path, ...limit }, { state: directory });
    expect(await second.reached(1)).toEqual(['after']);
  });
});

describe('encodings', () => {
  const text = 'Привет, мир\n世界\nplain\n';

  it.each([
    ['win1251', 'Привет, мир\nplain\n', 'win1251'],
    ['gbk', '世界\nplain\n', 'gbk'],
    ['shiftjis', '世界 ソ\nplain\n', 'shift_jis'],
    ['win1252', 'Grüße\n', 'win1252'],
  ])('generic.encoding %s', async (name, content, encoding) => {
    const run = await read(iconv.encode(content, encoding), { 'generic.encoding': name });
    expect(run.lines).toEqual(content.trimEnd().split('\n'));
  });

  it.each([
    ['utf-16le', 'utf-16le', false],
    ['utf-16be', 'utf-16be', false],
    ['auto', 'utf-16le', true],
    ['auto', 'utf-16be', true],
    ['auto', 'utf-8', false],
  ])('unicode.encoding %s of %s', async (name, encoding, addBOM) => {
    const run = await read(iconv.encode(`${text}\u0a0a\u0d0a\r\nlast\n`, encoding, { addBOM }), {
      'unicode.encoding': name,
    });
    expect(run.lines).toEqual(['Привет, мир', '世界', 'plain', '\u0a0a\u0d0a', 'last']);
  });

  it('knows the byte order again after a restart', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    const options = { path, read_from_head: 'on', 'unicode.encoding': 'auto' };
    writeFileSync(path, iconv.encode('eins\n', 'utf-16be', { addBOM: true }));
    const first = await tail(options, { state: directory });
    await first.reached(1);
    await first.stop();
    appendFileSync(path, iconv.encode('zwö\n', 'utf-16be', { addBOM: false }));
    const second = await tail(options, { state: directory });
    expect(await second.reached(1)).toEqual(['zwö']);
  });

  it('cuts long lines of two bytes a character between characters', async () => {
    const run = await read(iconv.encode(`${'ж'.repeat(2000)}\nafter\n`, 'utf-16le'), {
      'unicode.encoding': 'utf-16le',
      buffer_max_size: '1000',
    });
    expect(run.lines).toEqual(['ж'.repeat(499), 'after']);
  });
});

describe('compressed files', () => {
  it('are read as their content, long lines across blocks included, and once', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log.gz');
    const long = Array.from({ length: 20 }, (_, index) => `${index}${'z'.repeat(300_000)}`);
    writeFileSync(path, gzipSync(`${numbered('a', 20_000)}${long.join('\n')}\nrest`));
    const options = { path, read_from_head: 'on', exit_on_eof: 'on' };
    const first = await tail(options, { state: directory });
    await first.done;
    expect(first.lines).toEqual([...expected('a', 20_000), ...long, 'rest']);
    await first.stop();
    const second = await tail(options, { state: directory });
    await second.done;
    expect(second.lines).toEqual([]);
  });

  it('go on where they were after a restart', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log.gz');
    writeFileSync(path, gzipSync(numbered('a', 200_000)));
    const options = { path, read_from_head: 'on' };
    const first = await tail(options, { state: directory, full: true });
    await first.reached(1);
    const count = first.events.length;
    expect(count).toBeLessThan(200_000);
    await first.stop();
    const second = await tail(options, { state: directory });
    expect([...first.lines, ...(await second.reached(200_000 - first.events.length))]).toEqual(
      expected('a', 200_000),
    );
  });

  it('end the reading of themselves alone when they are damaged', async () => {
    const directory = workspace();
    const bytes = gzipSync(numbered('a', 50_000));
    bytes.fill(0, 60_000, 61_000);
    writeFileSync(join(directory, 'bad.gz'), bytes);
    writeFileSync(join(directory, 'good.log'), 'good\n');
    const run = await tail({ path: join(directory, '*'), read_from_head: 'on' });
    await run.until(() => run.metric('file_errors_total', { reason: 'damaged' }) === 1);
    await run.until(() => run.lines.includes('good'));
  });

  it('security 8: are not expanded without end', async () => {
    const directory = workspace();
    writeFileSync(join(directory, 'bomb.gz'), gzipSync(Buffer.alloc(200_000_000)));
    const run = await tail({ path: join(directory, '*.gz'), read_from_head: 'on' });
    await run.until(() => run.metric('file_errors_total', { reason: 'damaged' }) === 1);
    expect(run.log.lines.at(-1)?.message).toContain('damaged');
  });
});

it('reads a file whose size fell while it was away from its head', async () => {
  const directory = workspace();
  const path = join(directory, 'a.log');
  writeFileSync(path, numbered('a', 10));
  const first = await tail({ path, read_from_head: 'on' }, { state: directory });
  await first.reached(10);
  await first.stop();
  truncateSync(path, 0);
  appendFileSync(path, 'b\n');
  const second = await tail({ path }, { state: directory });
  expect(await second.reached(1)).toEqual(['b']);
});
