/**
 * The syslog input against those who send: rsyslog, syslog-ng and logger, with the very snippets of docs/syslog.md. Every field of every
 * message, both framings, TLS, UDP, unix sockets; and what a restart and a crash of the agent cost under rsyslog's disk queue.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import type { LogRecord } from '../../src/event/record.ts';
import { tlsFile } from '../net/servers.ts';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { startRsyslogRelay } from './servers/rsyslog.ts';
import type { Relay } from './servers/rsyslog.ts';
import { startSyslogNgRelay } from './servers/syslog-ng.ts';
import { freePort } from './support/server.ts';
import { writtenIn } from './support/written.ts';
import type { WrittenEvent } from './support/written.ts';

const TOTAL = 20_000;
const UDP_TOTAL = 2000;
const FIRST_MS = Date.parse('2026-11-27T10:00:00.000Z');
const TEXTS = ['plain', 'grüße', '日本語', '😀 "quoted" \\ back', 'tab\there', '[brackets] and: colons'];

const DOCS = readFileSync(join(import.meta.dirname, '../../docs/syslog.md'), 'utf8');

/** The snippet of the docs whose first line begins with that title. */
function snippet(title: string): string {
  const found = [...DOCS.matchAll(/^```\n# (.*)\n([\s\S]*?)^```$/gm)].find(([, first]) =>
    first?.startsWith(title),
  );
  if (found?.[2] === undefined) throw new Error(`There is no snippet ${title} in docs/syslog.md.`);
  return found[2].replaceAll('logs.example.com', '127.0.0.1');
}

/** The message with this number, by RFC 5424 behind its length. */
function messageOf(n: number): string {
  const time = new Date(FIRST_MS + n).toISOString().replace('Z', '123+00:00');
  const escaped = textOf(n).replaceAll(/["\\\]]/g, String.raw`\$&`);
  const text = `<${n % 192}>1 ${time} web-${n % 7}.example.com app-${n % 5} ${n} M${n % 3} [t@32473 n="${n}" text="${escaped}"] ${textOf(n)} ${n}`;
  return `${Buffer.byteLength(text)} ${text}`;
}

function textOf(n: number): string {
  return TEXTS[n % TEXTS.length] ?? '';
}

/** What the agent should have of it: all of it, or what RFC 3164 leaves of it. */
function expectedOf(n: number, format: 'rfc5424' | 'rfc3164'): Record<string, unknown> {
  return {
    pri: String(n % 192),
    host: `web-${n % 7}.example.com`,
    ident: `app-${n % 5}`,
    pid: String(n),
    message: `${textOf(n)} ${n}`,
    ...(format === 'rfc5424'
      ? { msgid: `M${n % 3}`, structured_data: { 't@32473': { n: String(n), text: textOf(n) } } }
      : {}),
  };
}

/** Each message is there once, with all its fields and its time. */
function expectFields(events: readonly WrittenEvent[], total: number, format: 'rfc5424' | 'rfc3164'): void {
  const wrong: unknown[] = [];
  const seen = new Set<number>();
  for (const { record, nanos } of events) {
    const { facility, severity, ...fields } = record as LogRecord;
    const n = Number(fields['pid']);
    seen.add(n);
    const expected = expectedOf(n, format);
    const millis = FIRST_MS + n;
    const time =
      format === 'rfc5424'
        ? BigInt(millis) * 1_000_000n + 123_000n
        : BigInt(Math.floor(millis / 1000)) * 1_000_000_000n;
    const isSame = Object.entries({ ...expected, ...fields }).every(
      ([key]) => JSON.stringify(fields[key]) === JSON.stringify(expected[key]),
    );
    if (!isSame || nanos !== time || typeof facility !== 'string' || typeof severity !== 'string')
      wrong.push({ record, nanos, expected, time });
  }
  expect(wrong.slice(0, 3), `${wrong.length} differ`).toEqual([]);
  expect(seen.size).toBe(total);
  expect(events).toHaveLength(total);
}

interface Ports {
  plain: number;
  secure: number;
  datagrams: number;
}

async function ports(): Promise<Ports> {
  return { plain: await freePort(), secure: await freePort(), datagrams: await freePort() };
}

/** An agent with an input of each kind, which writes what it gets to a file. */
function configure(rig: Rig, { plain, secure, datagrams }: Ports, storage = 'memory'): void {
  rig.configure(`service:
  flush: 0.2
  grace: 10
pipeline:
  inputs:
    - name: syslog
      alias: plain
      tag: plain
      mode: tcp
      port: ${plain}
      parser: syslog
      storage.type: ${storage}
    - name: syslog
      alias: secure
      tag: secure
      mode: tcp
      port: ${secure}
      tls: on
      tls.crt_file: ${tlsFile('server.pem')}
      tls.key_file: ${tlsFile('server.key')}
      parser: syslog
    - name: syslog
      alias: datagrams
      tag: datagrams
      mode: udp
      port: ${datagrams}
      parser: syslog
  outputs:
    - name: file
      match: '*'
      path: ${rig.directory}
      file: out.log
`);
}

/** Sends messages to a relay; `pace` is called behind each, and may wait. */
async function send(
  relay: Relay,
  from: number,
  to: number,
  pace: (n: number) => Promise<unknown> | undefined = () => undefined,
): Promise<void> {
  const socket = connect(relay.port, '127.0.0.1');
  await once(socket, 'connect');
  for (let n = from; n < to; n++) {
    if (!socket.write(messageOf(n))) await once(socket, 'drain');
    await pace(n);
  }
  socket.end();
  await once(socket.resume(), 'close');
}

const written = (rig: Rig): WrittenEvent[] => writtenIn(rig.path('out.log'));

const delivered = (agent: AgentProcess, count: number) =>
  agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') >= count);

async function withRelay(relay: Relay, run: (relay: Relay) => Promise<void>): Promise<void> {
  try {
    await run(relay);
  } finally {
    await relay.close();
  }
}

describe('rsyslog', () => {
  test(`${TOTAL} by TCP, RFC 5424 behind its length: every field`, async ({ rig }) => {
    const { plain, ...others } = await ports();
    configure(rig, { plain, ...others });
    const agent = await rig.start();
    const actions = snippet('rsyslog by TCP').replace('5140', String(plain));
    await withRelay(await startRsyslogRelay(actions), async (relay) => {
      await send(relay, 0, TOTAL);
      await delivered(agent, TOTAL);
      expectFields(written(rig), TOTAL, 'rfc5424');
      expect((await agent.stop()).summary).toMatchObject({ delivered: TOTAL, in_doubt: 0 });
    });
  });

  test(`${TOTAL} by TLS: every field`, async ({ rig }) => {
    const { secure, ...others } = await ports();
    configure(rig, { secure, ...others });
    const agent = await rig.start();
    const actions = snippet('rsyslog by TLS')
      .replace('6514', String(secure))
      .replace('/etc/ssl/certs/logs-ca.pem', tlsFile('ca.pem'))
      .replace('streamDriverPermittedPeers="127.0.0.1"', 'streamDriverPermittedPeers="localhost"');
    await withRelay(await startRsyslogRelay(actions), async (relay) => {
      await send(relay, 0, TOTAL);
      await delivered(agent, TOTAL);
      const events = written(rig);
      expect(new Set(events.map(({ tag }) => tag))).toEqual(new Set(['secure']));
      expectFields(events, TOTAL, 'rfc5424');
      await agent.stop();
    });
  });

  test('as it comes, by lines and by UDP: what RFC 3164 leaves', async ({ rig }) => {
    const { plain, datagrams, secure } = await ports();
    configure(rig, { plain, datagrams, secure });
    const agent = await rig.start();
    const actions = snippet('rsyslog as it comes')
      .replace('5140', String(plain))
      .replace('514"', `${datagrams}"`);
    await withRelay(await startRsyslogRelay(actions), async (relay) => {
      await send(relay, 0, UDP_TOTAL);
      await delivered(agent, 2 * UDP_TOTAL);
      const events = written(rig);
      for (const kind of ['plain', 'datagrams'])
        expectFields(
          events.filter(({ tag }) => tag === kind),
          UDP_TOTAL,
          'rfc3164',
        );
      await agent.stop();
    });
  });
});

describe('rsyslog with a queue on disk', () => {
  /** When so many have been sent the agent goes. */
  const BEFORE = 8000;
  /** What is sent at a time, with a millisecond behind it. */
  const BURST = 20;
  /** Messages that rsyslog takes out of a queue at a time, at most: it hears of a dead connection behind them. */
  const BATCH = 1024;

  interface Outcome {
    /** Numbers of messages that never came. */
    missing: number[];
    doubles: number;
    /** Messages that had been sent when the agent was gone. */
    sent: number;
  }

  /**
   * Sends all the time, while `disturb` ends the agent and starts it again; then waits until all messages have arrived from the one on that
   * `sureFrom` says, by the number of those that had been sent when the agent was gone.
   */
  async function disturbed(
    rig: Rig,
    disturb: (agent: AgentProcess) => Promise<unknown>,
    sureFrom: (sent: number) => number,
    storage = 'memory',
  ): Promise<Outcome> {
    const { plain, ...others } = await ports();
    configure(rig, { plain, ...others }, storage);
    let agent = await rig.start();
    const actions = snippet('rsyslog by TCP').replace('5140', String(plain));
    const outcome: Outcome = { missing: [], doubles: 0, sent: 0 };
    await withRelay(await startRsyslogRelay(actions), async (relay) => {
      let sent = 0;
      const begun = Promise.withResolvers<void>();
      const sending = send(relay, 0, TOTAL, (n) => {
        sent = n + 1;
        if (sent === BEFORE) begun.resolve();
        return sent % BURST === 0 ? pause(1) : undefined;
      });
      await begun.promise;
      await disturb(agent);
      outcome.sent = sent;
      expect(sent).toBeLessThan(TOTAL - BATCH);
      agent = await rig.start();
      await sending;
      // What a queue has on disk comes behind what it has in memory: the last one need not be the last.
      for (;;) {
        const numbers = written(rig).map(({ record }) => Number((record as LogRecord)['pid']));
        const seen = new Set(numbers);
        outcome.missing = Array.from({ length: TOTAL }, (_, n) => n).filter((n) => !seen.has(n));
        outcome.doubles = numbers.length - seen.size;
        if (outcome.missing.every((n) => n < sureFrom(outcome.sent))) break;
        await pause(250);
      }
      await agent.stop();
    });
    return outcome;
  }

  test('the agent is restarted in the middle: nothing is lost', async ({ rig }) => {
    const { missing, doubles } = await disturbed(
      rig,
      (agent) => agent.stop(),
      () => 0,
    );
    process.stderr.write(`\nlost by the restart: ${missing.length}; twice: ${doubles}\n`);
    expect(missing).toEqual([]);
  });

  test.for(['memory', 'filesystem'])(
    'the agent, with storage.type: %s, is killed in the middle: what was on its way is lost, nothing else',
    async (storage, { rig }) => {
      // Lost is what was in the agent's memory, in the two sockets, or in the batch that rsyslog was sending.
      const { missing, doubles, sent } = await disturbed(
        rig,
        (agent) => agent.kill(),
        (count) => count + BATCH,
      );
      process.stderr.write(
        `\nlost by the kill, ${storage}: ${missing.length} of ${sent} sent by then; twice: ${doubles}\n`,
      );
      expect(missing.length).toBeLessThanOrEqual(sent + BATCH);
    },
  );
});

describe('syslog-ng', () => {
  test('RFC 5424 behind its length, RFC 3164 by lines and by UDP: every field', async ({ rig }) => {
    const { plain, datagrams, secure } = await ports();
    configure(rig, { plain, datagrams, secure });
    const agent = await rig.start();
    const destinations = snippet('syslog-ng')
      .replaceAll('port(5140)', `port(${plain})`)
      .replace('port(514)', `port(${datagrams})`);
    const run = async (name: string, total: number, format: 'rfc5424' | 'rfc3164'): Promise<void> => {
      const before = written(rig).length;
      await withRelay(await startSyslogNgRelay(destinations, [name]), async (relay) => {
        await send(relay, 0, total);
        await delivered(agent, before + total);
        expectFields(written(rig).slice(before), total, format);
      });
    };
    await run('d_tailrace', TOTAL, 'rfc5424');
    await run('d_tailrace_lines', TOTAL, 'rfc3164');
    await run('d_tailrace_udp', UDP_TOTAL, 'rfc3164');
    await agent.stop();
  });
});

describe('logger', () => {
  /** Runs it, with an empty standard input. */
  async function logger(args: readonly string[]): Promise<void> {
    const child = spawn('logger', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
  }

  test('by TCP and UDP, in both formats and framings', async ({ rig }) => {
    const { plain, datagrams, secure } = await ports();
    configure(rig, { plain, datagrams, secure });
    const agent = await rig.start();
    let count = 0;
    for (const [port, way] of [
      [plain, ['-T']],
      [plain, ['-T', '--octet-count']],
      [datagrams, ['-d']],
    ] as const) {
      for (const format of ['--rfc3164', '--rfc5424']) {
        const id = String(1000 + count);
        await logger([
          '-n',
          '127.0.0.1',
          '-P',
          String(port),
          ...way,
          format,
          '-p',
          'local3.warning',
          '-t',
          'app',
          `--id=${id}`,
          'a text',
        ]);
        count++;
        await delivered(agent, count);
        expect(written(rig).at(-1)?.record).toMatchObject({
          pri: '156',
          facility: 'local3',
          severity: 'warning',
          ident: 'app',
          pid: id,
          message: 'a text',
        });
      }
    }
    await agent.stop();
  });

  test('the lines of docs/syslog.md', async ({ rig }) => {
    const { plain, datagrams, secure } = await ports();
    const socket = rig.path('log');
    configure(rig, { plain, datagrams, secure });
    rig.configure(
      readFileSync(rig.path('pipeline.yaml'), 'utf8').replace(
        '  outputs:',
        `    - name: syslog
      tag: local
      path: ${socket}
      parser: syslog
  outputs:`,
      ),
    );
    const agent = await rig.start();
    const lines = snippet('logger')
      .replaceAll('-P 5140', `-P ${plain}`)
      .replaceAll('-P 514 ', `-P ${datagrams} `)
      .replaceAll('/run/tailrace/log', socket)
      .trim()
      .split('\n');
    for (const [index, line] of lines.entries()) {
      // The quotes are the shell's.
      const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'ignore', 'inherit'] });
      expect(await once(child, 'close')).toEqual([0, null]);
      await delivered(agent, index + 1);
      expect(written(rig).at(-1)?.record).toMatchObject({ ident: 'backup', message: 'all saved' });
    }
    const [first] = written(rig);
    expect(first?.record).toMatchObject({
      msgid: 'DONE',
      structured_data: { 'job@32473': { name: 'nightly' } },
    });
    expect(written(rig).map(({ tag }) => tag)).toEqual(['plain', 'datagrams', 'local']);
    await agent.stop();
  });

  test.for(['unix_udp', 'unix_tcp'])('by a unix socket of the kind %s', async (mode, { rig }) => {
    const socket = rig.path('log');
    rig.configure(`service:
  flush: 0.2
pipeline:
  inputs:
    - name: syslog
      tag: local
      mode: ${mode}
      path: ${socket}
      parser: syslog
  outputs:
    - name: file
      match: '*'
      path: ${rig.directory}
      file: out.log
`);
    const agent = await rig.start();
    const kind = mode === 'unix_udp' ? '-d' : '-T';
    await logger(['-u', socket, kind, '-t', 'app', '--id=7', 'a text']);
    await logger(['-u', socket, '-t', 'app', 'another']);
    await delivered(agent, 2);
    const [first, second] = written(rig);
    expect(first?.record).toMatchObject({ pri: '13', ident: 'app', pid: '7', message: 'a text' });
    expect(first?.record).not.toHaveProperty('host');
    expect(second?.record).toMatchObject({ ident: 'app', message: 'another' });
    await agent.stop();
  });
});
