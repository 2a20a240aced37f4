/** The systemd input against the real systemd-journald and journalctl of this machine. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { Journal, makeJournal } from './servers/journald.ts';
import type { Fields } from './servers/journald.ts';
import { writtenIn } from './support/written.ts';

const TOTAL = 20_000;
const READ = 'tailrace_input_read_records_total';
const DELIVERED = 'tailrace_output_delivered_records_total';
const LOST = 'tailrace_input_lost_records_total';
const RESTARTS = 'tailrace_input_journalctl_restarts_total';

type Entry = Record<string, string | string[]>;

let journal: Journal;

beforeEach(async () => {
  journal = await new Journal().start();
});

afterEach(async () => {
  await journal.close();
});

const TEXTS = [
  'plain',
  'grüße, 日本語 and 😀',
  'several\nlines\n\n\twith empty ones',
  '\u001B[31mcoloured\u001B[0m',
  '"quoted" \\ = back=slash=',
  '',
];

function messageOf(n: number): string {
  return `${n} ${TEXTS[n % TEXTS.length] ?? ''}`;
}

function* numbered(from: number, to: number): Generator<Fields> {
  for (let n = from; n < to; n++) {
    yield [
      ['MESSAGE', messageOf(n)],
      ['NUMBER', String(n)],
      ['PRIORITY', String(n % 8)],
      ['SYSLOG_IDENTIFIER', 'writer'],
    ];
  }
}

/** A pipeline that reads the namespace, only what these tests wrote, into a file. */
function configure(rig: Rig, more = '', tag = 'journal'): void {
  rig.configure(`service: {flush: 0.2, grace: 20}
pipeline:
  inputs:
    - {name: systemd, tag: '${tag}', journal_namespace: ${journal.namespace}${more}}
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: out}
`);
}

/** The entries that the tests wrote; journald's own are left out. */
function written(rig: Rig, file = 'out'): Entry[] {
  return writtenIn(rig.path(file))
    .map(({ record }) => record as Entry)
    .filter((record) => record['NUMBER'] !== undefined);
}

function numbersIn(rig: Rig, file = 'out'): number[] {
  return written(rig, file).map((record) => Number(record['NUMBER']));
}

/** Waits until all numbers up to `total` are written. */
async function allWritten(rig: Rig, total: number, file = 'out'): Promise<void> {
  while (new Set(numbersIn(rig, file)).size < total) await pause(200);
}

const upTo = (total: number, from = 0): number[] => Array.from({ length: total - from }, (_, n) => from + n);

/** The journalctl that follows. */
async function childOf({ pid }: AgentProcess): Promise<number> {
  for (;;) {
    for (const text of readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ')) {
      if (text.trim() === '') continue;
      const command = readFileSync(`/proc/${text}/cmdline`, 'latin1');
      if (command.includes('--follow')) return Number(text);
    }
    await pause(20);
  }
}

test('20,000 entries value by value, through rotations, exactly once and in order', async ({ rig }) => {
  configure(rig);
  const agent = await rig.start();
  for (let from = 0; from < TOTAL; from += TOTAL / 4) {
    await journal.write(numbered(from, from + TOTAL / 4));
    journal.control('--rotate');
  }
  await journal.log('logger', 'by the syslog socket');
  await allWritten(rig, TOTAL);
  const entries = written(rig);
  expect(entries.map(({ NUMBER }) => Number(NUMBER))).toEqual(upTo(TOTAL));
  const machine = readFileSync('/etc/machine-id', 'latin1').trim();
  for (const [n, entry] of entries.entries()) {
    expect(entry).toMatchObject({
      MESSAGE: messageOf(n),
      PRIORITY: String(n % 8),
      SYSLOG_IDENTIFIER: 'writer',
      _TRANSPORT: 'journal',
      _MACHINE_ID: machine,
      _UID: '0',
    });
    expect(Object.keys(entry).filter((key) => key.startsWith('__'))).toEqual([]);
  }
  await agent.until((scrape) => scrape.sum(READ) > TOTAL);
  const scrape = await agent.scrape();
  expect(scrape.sum(LOST)).toBe(0);
  expect(scrape.sum(RESTARTS)).toBe(0);
  expect(await agent.stop()).toMatchObject({ code: 0, summary: { in_doubt: 0 } });
  const all = writtenIn(rig.path('out')).map(({ record }) => record as Entry);
  expect(all.filter(({ SYSLOG_IDENTIFIER }) => SYSLOG_IDENTIFIER === 'logger')).toMatchObject([
    { MESSAGE: 'by the syslog socket', _TRANSPORT: 'syslog' },
  ]);

  // As journalctl itself has them.
  const own = journal.control('-o', 'json', '--output-fields=_PID').trimEnd().split('\n');
  const times = own.map((line) => (JSON.parse(line) as Entry)['__REALTIME_TIMESTAMP'] as string);
  expect(writtenIn(rig.path('out')).map(({ nanos }) => String(nanos / 1000n))).toEqual(times);
});

test('bytes, large fields, and names that come several times', async ({ rig }) => {
  configure(rig, ', binary_fields: base64, buffer_max_size: 1M, max_fields: 200');
  const agent = await rig.start();
  const bytes = Buffer.from([0, 255, 254, 10, 61, 10, 10, 128]);
  await journal.write([
    [
      ['NUMBER', '0'],
      ['MESSAGE', bytes],
    ],
    [
      ['NUMBER', '1'],
      ['MESSAGE', 'x'.repeat(4_000_000)],
      ['AFTER', 'it'],
    ],
    [
      ['NUMBER', '2'],
      ['MESSAGE', 'x'.repeat(900_000)],
    ],
    [
      ['NUMBER', '3'],
      ['TWICE', 'one'],
      ['TWICE', 'two\nlines'],
      ['TWICE', 'three'],
    ],
  ]);
  await allWritten(rig, 4);
  const [first, second, third, fourth] = written(rig);
  expect(first?.['MESSAGE']).toBe(bytes.toString('base64'));
  expect(second?.['MESSAGE']).toHaveLength(1_000_000);
  expect(second).toMatchObject({ AFTER: 'it', _TRANSPORT: 'journal' });
  expect(third?.['MESSAGE']).toHaveLength(900_000);
  expect(new Set(fourth?.['TWICE'])).toEqual(new Set(['one', 'two\nlines', 'three']));
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_input_long_lines_total', { action: 'cut' })).toBe(1);
});

test('names, filters and tags', async ({ rig }) => {
  configure(
    rig,
    ', lowercase: on, strip_underscores: on, systemd_filter: [SYSLOG_IDENTIFIER=writer, SYSLOG_IDENTIFIER=other]',
    'j.*',
  );
  await rig.start();
  await journal.log('unwanted', 'not this');
  await journal.log('other', 'but this');
  await journal.write(numbered(0, 1));
  while (writtenIn(rig.path('out')).length < 2) await pause(50);
  expect(writtenIn(rig.path('out'))).toMatchObject([
    { tag: 'j.unknown', record: { message: 'but this', syslog_identifier: 'other', transport: 'syslog' } },
    { tag: 'j.unknown', record: { message: messageOf(0), number: '0', uid: '0' } },
  ]);
});

test('the agent is killed again and again, and journalctl too: nothing is lost, and hardly anything comes twice', async ({
  rig,
}) => {
  // One output is quick and one is far behind: each has marks of its own.
  const sink = await rig.sink();
  sink.behave = () => ({ status: 200, afterMs: 150 });
  rig.configure(`service: {flush: 0.2, grace: 20}
pipeline:
  inputs:
    - {name: systemd, tag: journal, journal_namespace: ${journal.namespace}, max_entries: 200}
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: out}
    - {name: http, match: '*', host: 127.0.0.1, port: ${sink.port}, format: json_lines, workers: 1}
`);
  const inSink = (): number[] =>
    sink.requests
      .filter(({ stored }) => stored)
      .flatMap(({ others }) => others)
      .map((text) => (JSON.parse(text) as Entry)['NUMBER'])
      .filter((number) => number !== undefined)
      .map(Number);
  const ROUNDS = 4;
  let doubles = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const upper = ((round + 1) * TOTAL) / ROUNDS;
    const writing = journal.write(numbered((round * TOTAL) / ROUNDS, upper));
    const agent = await rig.start();
    const toFile = (count: number): Promise<unknown> =>
      agent.until((scrape) => scrape.sum(DELIVERED, { name: 'file.0' }) > count);
    await toFile(500);
    process.kill(await childOf(agent), 'SIGKILL');
    await agent.until((scrape) => scrape.sum(RESTARTS) > 0);
    await toFile(1500);
    const follower = await childOf(agent);
    await agent.kill();
    // It notices that nobody reads it any more.
    while (existsSync(`/proc/${follower}`)) await pause(20);
    await writing;
    doubles = numbersIn(rig).length - new Set(numbersIn(rig)).size;
  }
  const agent = await rig.start();
  sink.behave = () => ({ status: 200 });
  await allWritten(rig, TOTAL);
  while (new Set(inSink()).size < TOTAL) await pause(100);
  const numbers = numbersIn(rig);
  expect(new Set(numbers)).toEqual(new Set(upTo(TOTAL)));
  expect(new Set(inSink())).toEqual(new Set(upTo(TOTAL)));
  // What was acknowledged, and whose mark was not written yet: one request per kill and output, however large it was.
  const largest = Math.max(...sink.requests.map(({ others }) => others.length));
  process.stderr.write(
    `came twice, of ${TOTAL} with ${ROUNDS} kills: ${doubles} in the file, ${inSink().length - TOTAL} in the slow sink\n`,
  );
  expect(numbers.length - TOTAL).toBeLessThanOrEqual(ROUNDS * 1000);
  expect(inSink().length - TOTAL).toBeLessThanOrEqual(ROUNDS * largest);
  expect((await agent.scrape()).sum(LOST)).toBe(0);
  expect((await agent.stop()).summary).toMatchObject({ in_doubt: 0 });

  // A stop leaves nothing in doubt, so that nothing comes twice behind it.
  const again = await rig.start();
  await journal.write(numbered(TOTAL, TOTAL + 1));
  await allWritten(rig, TOTAL + 1);
  expect(numbersIn(rig).length).toBe(numbers.length + 1);
  expect((await again.stop()).summary).toMatchObject({ in_doubt: 0 });
});

test('only journalctl is killed: nothing is lost, nothing comes twice', async ({ rig }) => {
  configure(rig, ', max_entries: 100');
  const agent = await rig.start();
  const writing = journal.write(numbered(0, TOTAL));
  for (let share = 1; share <= 3; share++) {
    await agent.until((scrape) => scrape.sum(DELIVERED) > (share * TOTAL) / 5);
    process.kill(await childOf(agent), 'SIGKILL');
    await agent.until((scrape) => scrape.sum(RESTARTS) >= share);
  }
  await writing;
  await allWritten(rig, TOTAL);
  expect(numbersIn(rig)).toEqual(upTo(TOTAL));
  expect((await agent.stop()).summary).toMatchObject({ in_doubt: 0, dropped: 0 });
});

test('what vacuum takes while the agent is away is counted, and reading goes on', async ({ rig }) => {
  configure(rig);
  const first = await rig.start();
  await journal.write(numbered(0, 1000));
  await allWritten(rig, 1000);
  await first.stop();
  journal.control('--rotate');
  await journal.write(numbered(1000, 1500));
  journal.control('--rotate');
  journal.control('--vacuum-files=1');
  await journal.write(numbered(1500, 2000));
  const left = journal.control('-o', 'json', '--output-fields=NUMBER').trimEnd().split('\n');
  const second = await rig.start();
  await second.said(/not in the journal any more/);
  await second.until(() => new Set(numbersIn(rig)).has(1999));
  const numbers = numbersIn(rig);
  expect(numbers.slice(0, 1000)).toEqual(upTo(1000));
  const later = numbers.slice(1000);
  expect(later).toEqual(upTo(2000, later[0]));
  // Those of the tests, and journald's own about its rotations.
  const lost = (await second.scrape()).sum(LOST);
  expect(lost).toBeGreaterThanOrEqual(500);
  expect(lost).toBeLessThan(520);
  expect(left.length).toBe((await second.scrape()).sum(READ));
});

test('what vacuum takes from under a reader that waits for room is counted too', async ({ rig }) => {
  const sink = await rig.sink();
  const gate = Promise.withResolvers<void>();
  sink.behave = () => ({ status: 200, after: gate.promise });
  rig.configure(`service: {flush: 0.2, grace: 20}
pipeline:
  inputs:
    - {name: systemd, tag: journal, journal_namespace: ${journal.namespace}, mem_buf_limit: 500k}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: ${sink.port}, format: json_lines}
`);
  const agent = await rig.start();
  await journal.write(numbered(0, TOTAL));
  await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  journal.control('--rotate');
  await journal.write(numbered(TOTAL, 2 * TOTAL));
  journal.control('--rotate');
  journal.control('--vacuum-files=1');
  gate.resolve();
  await journal.write(numbered(2 * TOTAL, 2 * TOTAL + 1));
  const last = `"NUMBER":"${2 * TOTAL}"`;
  await sink.until(() => sink.requests.at(-1)?.others.some((text) => text.includes(last)) === true);
  const scrape = await agent.scrape();
  const [own] = journal.control('-o', 'export', '-n', '1').split('\n');
  const given = Number.parseInt(/;i=([0-9a-f]+);/.exec(own ?? '')?.[1] ?? '', 16);
  expect(scrape.sum(READ) + scrape.sum(LOST)).toBe(given);
  process.stderr.write(
    `of ${given} entries ${scrape.sum(READ)} were read, ${scrape.sum(LOST)} counted as lost\n`,
  );
});

test('read_from_tail leaves out what was there at the very first start, and nothing that came later', async ({
  rig,
}) => {
  await journal.write(numbered(0, 10));
  configure(rig, ', read_from_tail: on');
  const first = await rig.start();
  // It has begun once the position is kept.
  await childOf(first);
  await first.kill();
  await journal.write(numbered(10, 20));
  await rig.start();
  await journal.write(numbered(20, 30));
  while (!numbersIn(rig).includes(29)) await pause(50);
  expect(numbersIn(rig)).toEqual(upTo(30, 10));
});

test('a directory: empty at first, then with two boots', async ({ rig }) => {
  mkdirSync(rig.path('journals'));
  rig.configure(`service: {flush: 0.2}
pipeline:
  inputs:
    - {name: systemd, tag: 'boots.*', path: ${rig.path('journals')}}
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: out}
`);
  const agent = await rig.start();
  await childOf(agent);
  const text = (boot: string, from: number): string =>
    upTo(from + 100, from)
      .map(
        (n) =>
          `__REALTIME_TIMESTAMP=${1_764_000_000_000_000 + n * 1000}\n__MONOTONIC_TIMESTAMP=${(n % 100) * 1000 + 1000}\n` +
          `_BOOT_ID=${boot.repeat(32)}\n_SYSTEMD_UNIT=app.service\nNUMBER=${n}\nMESSAGE=${n}\n\n`,
      )
      .join('');
  await makeJournal(rig.path('journals', 'a.journal'), text('a', 0) + text('b', 100));
  await allWritten(rig, 200);
  expect(numbersIn(rig)).toEqual(upTo(200));
  expect(new Set(writtenIn(rig.path('out')).map(({ tag }) => tag))).toEqual(new Set(['boots.app.service']));
  expect(writtenIn(rig.path('out'))[7]?.nanos).toBe(1_764_000_000_007_000_000n);
  await agent.stop();

  // A third boot while it is away.
  await makeJournal(rig.path('journals', 'b.journal'), text('c', 200));
  await rig.start();
  await allWritten(rig, 300);
  expect(numbersIn(rig)).toEqual(upTo(300));
});
