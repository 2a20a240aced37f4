/** Bad input: each ends in a counted, logged, bounded outcome, and the good lines around it arrive unharmed. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles } from '../support/judge.ts';
import { numbered, numberedLines } from '../support/numbered.ts';

const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** Lines that something could stumble over. None holds a line feed. */
const AWFUL: readonly (string | Buffer)[] = [
  Buffer.from([0xff, 0xfe, 0x80, 0xc0, 0xaf]),
  Buffer.concat([Buffer.from('{"log":"'), Buffer.from([0xc3, 0x28, 0xf0, 0x28]), Buffer.from('"}')]),
  'a\0b\0\0c',
  '{"log":"nul \\u0000 escaped"}',
  '{"log":"nul \0 raw"}',
  deep(200),
  deep(20_000),
  '['.repeat(5000),
  '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":1,"hasOwnProperty":2,"__proto__":null}',
  '{"log":"first","log":"second"}',
  '{"number":1e400,"negative":-1e400,"small":1e-400}',
  '{"huge":123456789012345678901234567890,"exact":9007199254740993}',
  '{"lone":"\\ud800","pair":"\\ud83d\\ude00","reversed":"\\ude00\\ud83d"}',
  '{"\\ud800":1}',
  '{"time":"not a time","log":"x"}',
  '{"time":1e300,"log":"x"}',
  '{"":""}',
  '{}',
  '[]',
  'null',
  '"text"',
  '42',
  '{"cut":',
  '{"log":"crlf"}\r',
  '\r',
  ' ',
  '{"log":"\u2028 and \u2029"}',
  `{"${'k'.repeat(70_000)}":1}`,
  `{${Array.from({ length: 5000 }, (_, key) => `"key${key}":${key}`).join(',')}}`,
];

const good = (n: number): string =>
  `${JSON.stringify({ n, log: numbered('app', n), nested: { deep: [1, 2, n] } })}\n`;

test('awful lines through the json parser, to a file and to HTTP', async ({ rig }) => {
  const sink = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
parsers:
  - name: awful
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S'
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      parser: awful
      read_from_head: true
  filters:
    - name: modify
      match: app
      add: seen yes
    - name: grep
      match: app
      exclude: n ^never$
  outputs:
    - name: file
      match: app
      path: .
      file: out.ndjson
      format: plain
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  let lines = 0;
  AWFUL.forEach((line, index) => {
    appendFileSync(rig.path('app.log'), good(index));
    appendFileSync(rig.path('app.log'), line);
    appendFileSync(rig.path('app.log'), '\n');
    lines += 2;
  });
  // 50 MB without a line end: cut at the limit, the rest passed over, in bounded memory.
  appendFileSync(rig.path('app.log'), Buffer.alloc(50_000_000, 'a'));
  appendFileSync(rig.path('app.log'), `\n${good(AWFUL.length)}`);
  lines += 2;
  const agent = await rig.start();
  const goods = AWFUL.length + 1;
  await sink.reached(goods);
  const scrape = await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);

  expect(scrape.sum('tailrace_input_read_records_total')).toBe(lines);
  expect(scrape.sum('tailrace_input_dropped_records_total')).toBe(0);
  expect(scrape.sum('tailrace_input_long_lines_total', { action: 'cut' })).toBe(1);
  expect(scrape.sum('tailrace_input_unparsed_records_total')).toBeGreaterThan(5);
  for (const name of ['file.0', 'http.1']) {
    const settled =
      scrape.sum('tailrace_output_delivered_records_total', { name }) +
      scrape.sum('tailrace_output_dead_lettered_records_total', { name });
    expect(settled, name).toBe(lines);
    expect(scrape.sum('tailrace_output_dropped_records_total', { name }), name).toBe(0);
  }
  await agent.stop();
  expect(countDoubles(sink)).toBe(0);
  const others = sink.requests.flatMap((request) => request.others);
  for (const text of others) expect(() => JSON.parse(text) as unknown, text.slice(0, 100)).not.toThrow();
  expect(others.some((text) => text.includes('123456789012345678901234567890'))).toBe(true);
  expect(others.some((text) => text.includes('9007199254740993'))).toBe(true);

  const file = readFileSync(rig.path('out.ndjson'), 'utf8').split('\n').slice(0, -1);
  const records = file.map((text) => JSON.parse(text) as Record<string, unknown>);
  const found = records.filter(({ n }) => n !== undefined);
  expect(found).toEqual(
    Array.from({ length: goods }, (_, n) => ({
      n,
      log: numbered('app', n),
      nested: { deep: [1, 2, n] },
      seen: 'yes',
    })),
  );
  // Every record went through the filter, whatever it looks like.
  expect(file.filter((text) => !text.includes('"seen":"yes"'))).toEqual([]);
});

describe('a runaway regular expression', () => {
  const runaway = '^(a+)+$';
  const bait = `${'a'.repeat(60)}!`;

  const configure = (rig: Rig, port: number, parser: string, filters: string): void =>
    rig.configure(`
service:
  flush: 0.02
parsers:
  - name: runaway
    format: regex
    regex: '^(?<all>(a+)+)$'
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
      ${parser}
${filters}
  outputs:
    - name: http
      match: app
      port: ${port}
      format: json_lines
`);

  test('in a parser', async ({ rig }) => {
    const sink = await rig.sink();
    configure(rig, sink.port, 'parser: runaway', '');
    writeFileSync(rig.path('app.log'), `${`${bait}\n`.repeat(20)}${numberedLines('app', 0, 100)}aaaa\n`);
    const agent = await rig.start();
    await sink.reached(100);
    await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 121);
    await agent.stop();
    expect(sink.requests.flatMap(({ others }) => others).some((text) => text.includes('"all":"aaaa"'))).toBe(
      true,
    );
  });

  test('in grep', async ({ rig }) => {
    const sink = await rig.sink();
    configure(
      rig,
      sink.port,
      '',
      `  filters:\n    - name: grep\n      match: app\n      exclude: log ${runaway}`,
    );
    writeFileSync(rig.path('app.log'), `${`${bait}\n`.repeat(20)}${numberedLines('app', 0, 100)}aaaa\n`);
    const agent = await rig.start();
    await sink.reached(100);
    const scrape = await agent.until((each) => each.sum('tailrace_output_delivered_records_total') === 120);
    expect(scrape.sum('tailrace_input_dropped_records_total')).toBe(1);
    await agent.stop();
  });
});

describe('names that match and are no readable file', () => {
  const configure = async (rig: Rig) => {
    const sink = await rig.sink();
    rig.configure(`
service:
  flush: 0.02
pipeline:
  inputs:
    - name: tail
      path: logs/*.log
      tag: app
      read_from_head: true
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
    mkdirSync(rig.path('logs'));
    return sink;
  };

  test('a directory, a FIFO, a link to nowhere and an unreadable file', async ({ rig }) => {
    const sink = await configure(rig);
    mkdirSync(rig.path('logs', 'directory.log'));
    execFileSync('mkfifo', [rig.path('logs', 'fifo.log')]);
    execFileSync('ln', ['-s', 'nowhere', rig.path('logs', 'link.log')]);
    writeFileSync(rig.path('logs', 'secret.log'), numberedLines('secret', 0, 10));
    chmodSync(rig.path('logs', 'secret.log'), 0);
    writeFileSync(rig.path('logs', 'app.log'), numberedLines('app', 0, 100));
    const agent = await rig.start();
    // Root reads what has no permissions; for others it is one more that is refused.
    const readable = process.getuid?.() === 0 ? 110 : 100;
    await sink.reached(readable);
    const scrape = await agent.scrape();
    expect(scrape.sum('tailrace_input_files_refused_total')).toBeGreaterThanOrEqual(2);
    await agent.said(/^A path that matches is not read/);
    await agent.stop();
  });

  test('a directory that goes and comes back is followed again', async ({ rig }) => {
    const sink = await configure(rig);
    writeFileSync(rig.path('logs', 'a.log'), numberedLines('a', 0, 10));
    await rig.start();
    await sink.reached(10);
    rmSync(rig.path('logs'), { recursive: true });
    mkdirSync(rig.path('logs'));
    writeFileSync(rig.path('logs', 'b.log'), numberedLines('b', 0, 10));
    await sink.reached(20);
    expect(countDoubles(sink)).toBe(0);
  });

  test('a directory that is renamed takes nothing along', async ({ rig }) => {
    const sink = await configure(rig);
    writeFileSync(rig.path('logs', 'a.log'), numberedLines('a', 0, 10));
    await rig.start();
    await sink.reached(10);
    renameSync(rig.path('logs'), rig.path('old'));
    // Whoever had it open goes on writing.
    writeFileSync(rig.path('old', 'a.log'), numberedLines('a', 10, 20), { flag: 'a' });
    await sink.reached(20);
    expect(countDoubles(sink)).toBe(0);
  });
});
