/** The syslog output against rsyslog and syslog-ng: every record, every field, both framings, TLS, UDP, and what a crash of the server costs. */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { parseExact, valueToJson } from '../../src/event/json.ts';
import type { LogRecord } from '../../src/event/record.ts';
import { tlsFile } from '../net/servers.ts';
import { StreamSink } from '../net/sockets.ts';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { readSyslog5424 } from '../support/syslog.ts';
import { startRsyslog } from './servers/rsyslog.ts';
import type { RsyslogServer, Stored } from './servers/rsyslog.ts';
import { startSyslogNg } from './servers/syslog-ng.ts';
import { appendRecords, Found, nanosOf, recordOf, recordsPipeline } from './support/records.ts';
import { freePort } from './support/server.ts';

const TOTAL = 100_000;
const UDP_TOTAL = 3000;
const SAMPLE = join(import.meta.dirname, '../../pipelines/syslog.yaml');
/** No message of {@link FIELDS} has fewer bytes. */
const SMALLEST = 120;
const MARK = '\ufeff';

/** Each field of a message is one of the record. */
const FIELDS = `      syslog_severity_key: level
      syslog_hostname_key: flag
      syslog_appname_key: float
      syslog_procid_key: n
      syslog_msgid_key: big
      syslog_sd_key: nested
      syslog_message_key: text
`;

const output = (port: number, lines: readonly string[]): string =>
  `  outputs:\n    - name: syslog\n      alias: out\n      match: '*'\n      port: ${port}\n${lines.map((line) => `      ${line}\n`).join('')}`;

/** What a server should have of a record that was sent by {@link FIELDS}; the time in microseconds, what a message holds. */
function fieldsOf(n: number, lineEnd: string): Record<string, unknown> {
  const { level, flag, float, big, nested, text } = recordOf(n) as LogRecord;
  const parameters = Object.entries(nested as LogRecord).map(([key, value]) => [key, valueToJson(value)]);
  return {
    pri: level === 'error' ? '11' : '14',
    micros: nanosOf(n) / 1000n,
    host: String(flag),
    app: String(float),
    pid: String(n),
    mid: String(big),
    sd: { nested: parameters },
    msg: (text as string).replaceAll('\n', lineEnd),
  };
}

function micros(time: string): bigint {
  const [, second = '', fraction = ''] = /^([^.]*)\.(\d+)(?:Z|\+00:00)$/.exec(time) ?? [];
  return BigInt(Date.parse(`${second}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0'));
}

function fieldsIn({ pri, time, host, app, pid, mid, sd, msg }: Stored): Record<string, unknown> {
  return {
    pri,
    micros: micros(time),
    host,
    app,
    pid,
    mid,
    sd: readSyslog5424(Buffer.from(`<14>1 - - - - - ${sd}`)).data,
    msg: msg.replace(MARK, ''),
  };
}

/** Each record is there once, in order, with all its fields. */
function expectFields(stored: readonly Stored[], total: number, lineEnd: string): void {
  expect(stored).toHaveLength(total);
  const wrong: unknown[] = [];
  for (const [n, message] of stored.entries()) {
    const found = fieldsIn(message);
    const expected = fieldsOf(n, lineEnd);
    const same = Object.entries(expected).every(([key, value]) =>
      key === 'sd' ? JSON.stringify(found[key]) === JSON.stringify(value) : found[key] === value,
    );
    if (!same) wrong.push({ found, expected });
  }
  expect(wrong.slice(0, 3), `${wrong.length} differ`).toEqual([]);
}

async function until(met: () => boolean): Promise<void> {
  while (!met()) await pause(100);
}

const delivered = (agent: AgentProcess, count: number) =>
  agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') >= count);

async function withRsyslog(
  run: (server: RsyslogServer) => Promise<void>,
  options?: { certificate: string },
): Promise<void> {
  const server = await startRsyslog(options);
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

/** A pipeline of records to the output, with `count` of them written. */
function prepare(rig: Rig, outputs: string, count: number): void {
  appendRecords(rig.path('in.log'), 0, count);
  rig.configure(recordsPipeline(rig.path('in.log')) + outputs);
}

describe('rsyslog', () => {
  test('100,000 by TCP, a line each: every field', async ({ rig }) => {
    await withRsyslog(async (server) => {
      prepare(rig, output(server.port, ['mode: tcp']) + FIELDS, TOTAL);
      const agent = await rig.start();
      await until(() => server.count() >= TOTAL);
      expectFields(server.stored(), TOTAL, '#012');
      expect((await agent.stop()).summary).toMatchObject({ delivered: TOTAL, in_doubt: 0 });
    });
  });

  test('100,000 by TLS, by their length: pipelines/syslog.yaml, whole records', async ({ rig }) => {
    await withRsyslog(async (server) => {
      appendRecords(rig.path('in.log'), 0, TOTAL);
      const agent = await rig.start({
        config: SAMPLE,
        env: {
          LOGS: rig.path('in.log'),
          SYSLOG_PORT: String(server.securePort),
          SYSLOG_MODE: 'tls',
          SYSLOG_CA: tlsFile('ca.pem'),
        },
      });
      await until(() => server.count() >= TOTAL);
      const found = new Found();
      for (const { msg, time } of server.stored()) {
        const record = parseExact(msg.replace(MARK, ''));
        found.add(record);
        const { n } = record as { n: number };
        if (micros(time) !== nanosOf(n) / 1000n) found.wrong.push({ found: time, expected: nanosOf(n) });
      }
      found.expectComplete(TOTAL, { once: true });
      expect((await agent.stop()).summary).toMatchObject({ delivered: TOTAL, in_doubt: 0 });
    });
  });

  test('by UDP, a datagram each: every field', async ({ rig }) => {
    await withRsyslog(async (server) => {
      prepare(rig, output(server.port, ['mode: udp']) + FIELDS, UDP_TOTAL);
      const agent = await rig.start();
      await until(() => server.count() >= UDP_TOTAL);
      // By UDP order is not promised; on loopback it holds.
      expectFields(server.stored(), UDP_TOTAL, '\n');
      await agent.stop();
    });
  });

  test('rfc3164: time, host, tag and text', async ({ rig }) => {
    await withRsyslog(async (server) => {
      const options = [
        'mode: tcp',
        'syslog_format: rfc3164',
        'syslog_hostname_preset: web-1',
        'syslog_appname_preset: api',
        'syslog_procid_key: n',
        'syslog_message_key: text',
      ];
      prepare(rig, output(server.port, options), 1000);
      const agent = await rig.start();
      await until(() => server.count() >= 1000);
      for (const [n, { host, app, pid, msg }] of server.stored().entries()) {
        const { text } = recordOf(n) as { text: string };
        expect({ host, app, pid, msg }).toEqual({
          host: 'web-1',
          app: 'api',
          pid: String(n),
          msg: ` ${text.replace('\n', '#012')}`,
        });
      }
      await agent.stop();
    });
  });

  test('killed and started again in the middle: what its buffers held is lost, nothing else', async ({
    rig,
  }) => {
    await withRsyslog(async (server) => {
      const begun = TOTAL / 10;
      prepare(rig, output(server.port, ['mode: tcp', 'syslog_framing: octet_counting']) + FIELDS, begun);
      const agent = await rig.start();
      await until(() => server.count() >= begun);
      // It reads no more, and what is sent piles up in its socket: the worst that a crash can find.
      server.process.freeze();
      appendRecords(rig.path('in.log'), begun, TOTAL);
      await delivered(agent, begun + 1);
      await server.process.kill();
      await agent.said(/^The destination failed/);
      await server.process.start();
      await delivered(agent, TOTAL);
      await until(() => server.stored().at(-1)?.pid === String(TOTAL - 1));
      const numbers = server.stored().map(({ pid }) => Number(pid));
      const seen = new Set(numbers);
      const missing = Array.from({ length: TOTAL }, (_, n) => n).filter((n) => !seen.has(n));
      process.stderr.write(`\nlost by the kill: ${missing.length}; twice: ${numbers.length - seen.size}\n`);
      // One run of records that it had not read: they were in the buffers of the two sockets, or in the one that it read into.
      const [first = 0] = missing;
      expect(missing).toEqual(missing.map((_, at) => first + at));
      expect(missing.length * SMALLEST).toBeLessThan(socketBuffers());
      expect((await agent.stop()).summary).toMatchObject({ dead_lettered: 0, in_doubt: 0 });
    });
  });
});

/** What the system may hold of one connection, bytes: both ends of it. */
function socketBuffers(): number {
  return ['tcp_rmem', 'tcp_wmem']
    .map((name) => Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/).at(-1)))
    .reduce((sum, most) => sum + most, 0);
}

describe('syslog-ng', () => {
  test('100,000 by TCP, by their length, then a line each, then by UDP: every field', async ({ rig }) => {
    const server = await startSyslogNg();
    try {
      let before = 0;
      const run = async (port: number, options: string[], count: number, lineEnd: string) => {
        const input = rig.path(`${before}.log`);
        appendRecords(input, 0, count);
        rig.configure(recordsPipeline(input) + output(port, options) + FIELDS);
        const agent = await rig.start({ state: `state-${before}` });
        await until(() => server.stored().length >= before + count);
        expectFields(server.stored().slice(before), count, lineEnd);
        before += count;
        await agent.stop();
      };
      await run(server.countedPort, ['mode: tcp', 'syslog_framing: octet_counting'], TOTAL, '\n');
      await run(server.port, ['mode: tcp'], TOTAL, '#012');
      await run(server.port, ['mode: udp'], UDP_TOTAL, '\n');
    } finally {
      await server.close();
    }
  });
});

describe('what goes wrong', () => {
  const COUNT = 100;

  /** Waits for several attempts, and answers with the one line that tells of them. */
  async function oneLine(agent: AgentProcess): Promise<string> {
    await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) >= 5);
    const lines = agent.log.filter(({ level }) => level === 'warn' || level === 'error');
    expect(lines).toHaveLength(1);
    const [line] = lines;
    expect(line).toMatchObject({ output: 'out', msg: 'The destination failed; its records are sent again' });
    const scrape = await agent.scrape();
    expect(scrape.sum('tailrace_output_buffered_records')).toBe(COUNT);
    return String(line?.['error']);
  }

  test('an unknown host', async ({ rig }) => {
    prepare(rig, output(514, ['mode: tcp', 'host: nowhere.invalid']), COUNT);
    const agent = await rig.start();
    expect(await oneLine(agent)).toMatch(
      /^tcp:\/\/nowhere\.invalid:514: the host name .*: check (?:it|the name servers)/,
    );
  });

  test('nobody listens; then somebody does', async ({ rig }) => {
    const port = await freePort();
    prepare(rig, output(port, ['mode: tcp']), COUNT);
    const agent = await rig.start();
    expect(await oneLine(agent)).toMatch(
      /^tcp:\/\/127\.0\.0\.1:\d+: the connection was refused: is it running/,
    );
    const sink = new StreamSink();
    sink.port = port;
    await sink.open();
    try {
      await delivered(agent, COUNT);
      await sink.until((bytes) => bytes.filter((byte) => byte === 10).length === COUNT);
    } finally {
      await sink.close();
    }
  });

  test('a certificate of an authority that is not trusted; then its file is put right', async ({ rig }) => {
    await withRsyslog(async (server) => {
      const ca = rig.path('ca.pem');
      copyFileSync(tlsFile('other.pem'), ca);
      prepare(rig, output(server.securePort, ['mode: tls', `tls.ca_file: ${ca}`]), COUNT);
      const agent = await rig.start();
      expect(await oneLine(agent)).toMatch(/^tls:\/\/127\.0\.0\.1:\d+: its certificate .*: set tls\.ca_file/);
      copyFileSync(tlsFile('ca.pem'), ca);
      await delivered(agent, COUNT);
      await until(() => server.count() >= COUNT);
      await agent.said(/^The destination works again/);
    });
  });

  test('an expired certificate; then the server gets a new one', async ({ rig }) => {
    await withRsyslog(
      async (server) => {
        const ca = rig.path('ca.pem');
        copyFileSync(tlsFile('expired.pem'), ca);
        prepare(rig, output(server.securePort, ['mode: tls', `tls.ca_file: ${ca}`]), COUNT);
        const agent = await rig.start();
        expect(await oneLine(agent)).toMatch(/^tls:\/\/127\.0\.0\.1:\d+: its certificate has expired/);
        copyFileSync(tlsFile('ca.pem'), ca);
        await server.process.stop();
        server.certify('server');
        await server.process.start();
        await delivered(agent, COUNT);
        await until(() => server.count() >= COUNT);
      },
      { certificate: 'expired' },
    );
  });
});
