/** Fluent Bit's old ways to join lines: `docker_mode`, and `multiline` with `parser_firstline`. */
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Parser } from '../../../../src/plugin.ts';
import { createParser } from '../../parsers/parsing.ts';
import { tail, workspace } from './harness.ts';
import type { Tail } from './harness.ts';

const json = (): Parser => createParser({ format: 'json' });
const regex = (text: string): Parser => createParser({ format: 'regex', regex: text });

async function read(
  lines: readonly string[],
  options: Record<string, string>,
  parsers: Record<string, Parser>,
): Promise<Tail> {
  const path = join(workspace(), 'a.log');
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  const run = await tail({ path, read_from_head: 'on', exit_on_eof: 'on', ...options }, { parsers });
  await run.done;
  return run;
}

const records = (run: Tail): unknown[] => run.events.map(({ record }) => record);

describe('docker_mode', () => {
  const options = { docker_mode: 'on', parser: 'docker' };

  it('joins what does not end in a line feed, under the other keys of the last line', async () => {
    const run = await read(
      [
        '{"log":"a ","time":1}',
        '{"time":2,"log":"\\u00e9 \\"x\\" "}',
        '{"log":"b\\n","n":{"log":"no"},"time":3}',
        '{"log":"whole\\n"}',
      ],
      options,
      { docker: json() },
    );
    expect(records(run)).toEqual([{ log: 'a é "x" b\n', n: { log: 'no' }, time: 3 }, { log: 'whole\n' }]);
  });

  it('lets what is held go before a line that is no such text, which goes to the parser as it is', async () => {
    const run = await read(
      [
        '{"log":"a"}',
        'nonsense',
        '{"no":"log"}',
        '{"log":5,"log":"x"}',
        '{"log":"b\\\\n"}',
        '{"log":"c\\n"}',
      ],
      options,
      { docker: json() },
    );
    expect(records(run)).toEqual([
      { log: 'a' },
      { log: 'nonsense' },
      { no: 'log' },
      { log: 'x' },
      { log: 'b\\nc\n' },
    ]);
  });

  it('without a parser shows the joined line itself', async () => {
    const run = await read(['{"log":"a"}', '{"log":"b\\n"}'], { docker_mode: 'on', key: 'line' }, {});
    expect(records(run)).toEqual([{ line: '{"log":"ab\\n"}' }]);
  });

  it('with docker_mode_parser joins all lines up to the next that it takes, once it took one', async () => {
    const run = await read(
      ['x', 'y', 'first 1', 'more', 'part', 'z', 'first 2'].map((text) =>
        JSON.stringify({ log: text === 'part' ? text : `${text}\n` }),
      ),
      { ...options, docker_mode_parser: 'first' },
      { docker: json(), first: regex('(?<log>^{"log":"first.*)') },
    );
    expect(run.lines).toEqual(['x\n', 'y\n', 'first 1\nmore\npartz\n', 'first 2\n']);
  });

  it('with docker_mode_parser joins over a rotation', async () => {
    const root = workspace();
    const path = join(root, 'a.log');
    writeFileSync(path, '{"log":"first 1\\n"}\n');
    const run = await tail(
      { path, read_from_head: 'on', ...options, docker_mode_parser: 'first', docker_mode_flush: '60' },
      { parsers: { docker: json(), first: regex('(?<log>^{"log":"first.*)') }, state: join(root, 'state') },
    );
    await run.until(() => run.kept > 0);
    renameSync(path, `${path}.1`);
    writeFileSync(path, '{"log":"more\\n"}\n{"log":"and more\\n"}\n{"log":"first 2\\n"}\n');
    await run.reached(1);
    expect(run.lines).toEqual(['first 1\nmore\nand more\n']);
  });
});

describe('multiline', () => {
  const parsers = (): Record<string, Parser> => ({
    head: regex('^(?<level>[A-Z]+) (?<message>.*)$'),
    number: regex('^n=(?<n>.*)$'),
  });
  const options = { multiline: 'on', parser_firstline: 'head', 'parser_*': '1 number' };

  it('appends lines to the last field of the first one, and fields where another parser takes a line', async () => {
    const run = await read(['before', 'INFO a', ' b', '', 'n=1', ' c', 'WARN d'], options, parsers());
    expect(records(run)).toEqual([
      { log: 'before' },
      { level: 'INFO', message: 'a\n b\n', n: '1\n c' },
      { level: 'WARN', message: 'd' },
    ]);
    expect(run.events.map(({ start, stop }) => [start, stop])).toEqual([
      [0, 7],
      [7, 25],
      [25, 32],
    ]);
  });

  it('does without parser, as in Fluent Bit', async () => {
    const run = await read(
      ['INFO a', ' b'],
      { ...options, parser: 'all' },
      { ...parsers(), all: regex('^(?<all>.*)$') },
    );
    expect(records(run)).toEqual([{ level: 'INFO', message: 'a\n b' }]);
  });

  it('loses nothing that comes before the first line', async () => {
    const run = await read(['n=1', 'INFO a'], options, parsers());
    expect(records(run)).toEqual([{ n: '1' }, { level: 'INFO', message: 'a' }]);
  });

  it('ends a record after a while, and what follows stands for itself', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'INFO a\n b\n');
    const run = await tail(
      { path, read_from_head: 'on', ...options, multiline_flush: '0.1' },
      { parsers: parsers(), state: workspace() },
    );
    await run.reached(1);
    expect(run.events[0]?.metadata).toBeUndefined();
    appendFileSync(path, ' c\nINFO d\n');
    await run.reached(3);
    expect(records(run)).toEqual([
      { level: 'INFO', message: 'a\n b' },
      { log: ' c' },
      { level: 'INFO', message: 'd' },
    ]);
    expect(run.metric('partial_records_total')).toBe(0);
  });

  it('leaves out records that are older than ignore_older, and counts them', async () => {
    const dated = createParser({
      format: 'regex',
      regex: '^(?<time>\\d+) (?<message>.*)$',
      time_key: 'time',
      time_format: '%s',
    });
    const run = await read(
      ['1000 old', ' more of it', `${Math.floor(Date.now() / 1000)} new`],
      { multiline: 'on', parser_firstline: 'head', ignore_older: '1h' },
      { head: dated },
    );
    expect(records(run)).toEqual([{ message: 'new' }]);
    expect(run.drops).toEqual({ ignore_older: 1 });
  });

  it('leaves out such a record up to its end, also where that is in the next file', async () => {
    const dated = createParser({
      format: 'regex',
      regex: '^(?<time>\\d+) (?<message>.*)$',
      time_key: 'time',
      time_format: '%s',
    });
    const root = workspace();
    const path = join(root, 'a.log');
    writeFileSync(path, '1000 old\n');
    const run = await tail(
      { path, read_from_head: 'on', multiline: 'on', parser_firstline: 'head', ignore_older: '1h' },
      { parsers: { head: dated }, state: join(root, 'state') },
    );
    await run.until(() => run.drops['ignore_older'] === 1);
    renameSync(path, `${path}.1`);
    const now = Math.floor(Date.now() / 1000);
    writeFileSync(path, ` more of it\n${now} new\n${now} newer\n`);
    await run.reached(1);
    expect(records(run)[0]).toEqual({ message: 'new' });
  });

  it('cuts a record without end', async () => {
    const lines = Array.from({ length: 50 }, (_, index) => ` ${index} ${'x'.repeat(100)}`);
    const run = await read(['INFO a', ...lines], { ...options, multiline_buffer_limit: '1k' }, parsers());
    const [first] = run.events;
    expect(first?.metadata).toEqual({ partial: true });
    expect(run.metric('partial_records_total', { reason: 'size' })).toBe(1);
    expect(run.events.map(({ record }) => record['message'] ?? record['log']).join('\n')).toBe(
      ['a', ...lines].join('\n'),
    );
  });
});
