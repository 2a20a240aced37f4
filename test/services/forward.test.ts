/**
 * The forward output against the OpenTelemetry Collector; output and input against each other, and against two other implementations of the
 * protocol. No server among those that can be had asks for a shared key: for that there are these, and ourselves.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { tlsFile } from '../net/servers.ts';
import { parseExact } from '../../src/event/json.ts';
import type { Value } from '../../src/event/record.ts';
import type { AgentProcess, LogLine } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { ForwardReceiver } from '../support/forward-receiver.ts';
import { nodeLogger, runPython } from './servers/fluent-logger.ts';
import { startCollector } from './servers/otelcol.ts';
import type { Collector } from './servers/otelcol.ts';
import { collectedLogs } from './support/collected.ts';
import { appendRecords, Found, nanosOf, recordOf, recordsPipeline } from './support/records.ts';
import { freePort } from './support/server.ts';
import { settled } from './support/settled.ts';

const SENDER = join(import.meta.dirname, '../../pipelines/forward.yaml');
const RECEIVER = join(import.meta.dirname, '../../pipelines/forward-receiver.yaml');
const TOTAL = 100_000;
const DELIVERED = 'tailrace_output_delivered_records_total';

/** The pipeline of the records to a port, with these lines for the output. */
function sending(rig: Rig, port: number, lines: readonly string[] = []): string {
  const own = ['name: forward', "match: '*'", `port: ${port}`, ...lines];
  return `${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`;
}

describe('to the Collector', () => {
  const fresh = async (use: (collector: Collector) => Promise<void>): Promise<void> => {
    const collector = await startCollector({ only: 'forward' });
    try {
      await use(collector);
    } finally {
      await collector.close();
    }
  };
  const expectAll = (file: string, { once }: { once: boolean }): void => {
    const judge = new Found();
    for (const { attributes, time } of collectedLogs(file)) {
      // It puts the tag among the keys of the record.
      const { 'fluent.tag': tag, ...record } = attributes;
      expect(tag).toBe('app');
      judge.add(record, time);
    }
    judge.expectComplete(TOTAL, { once });
  };

  test.for([[['compress: text']], [['compress: gzip', 'workers: 4']]])(
    '100,000 records arrive as they were, once (%s)',
    async ([lines = []], { rig }) => {
      await fresh(async (collector) => {
        appendRecords(rig.path('app.log'), 0, TOTAL);
        rig.configure(sending(rig, collector.forward, lines));
        const agent = await rig.start();
        await settled(agent, TOTAL);
        expectAll(collector.file, { once: true });
        const { summary } = await agent.stop();
        expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
      });
    },
  );

  test('none of 100,000 is missing when it is killed in the middle', async ({ rig }) => {
    await fresh(async (collector) => {
      rig.configure(sending(rig, collector.forward));
      appendRecords(rig.path('app.log'), 0, TOTAL / 2);
      const agent = await rig.start();
      await agent.until((scrape) => scrape.sum(DELIVERED) > TOTAL / 20);
      await collector.process.kill();
      // What it had not finished to write must not spoil what comes behind it.
      if (!readFileSync(collector.file, 'utf8').endsWith('\n')) appendFileSync(collector.file, '\n');
      appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
      await agent.said(/^The destination failed/);
      await collector.process.start();
      await agent.said(/^The destination works again/);
      await settled(agent, TOTAL);
      expectAll(collector.file, { once: false });
      const { summary } = await agent.stop();
      expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
    });
  });
});

describe('from agent to agent', () => {
  const receiving = (rig: Rig, port: number): string => `service:
  flush: 0.2
  grace: 30
pipeline:
  inputs:
    - name: forward
      port: ${port}
      tls: on
      tls.crt_file: ${tlsFile('server.pem')}
      tls.key_file: ${tlsFile('server.key')}
      shared_key: the key of both
      security.users: [maja pass word, other x]
  outputs:
    - name: file
      match: '*'
      path: ${rig.directory}
      file: received.log
`;
  const SECURE = [
    'tls: on',
    `tls.ca_file: ${tlsFile('ca.pem')}`,
    'tls.vhost: localhost',
    'shared_key: the key of both',
    'username: maja',
    'password: pass word',
    'compress: gzip',
  ];
  const found = (rig: Rig): Found => {
    const judge = new Found();
    for (const line of readFileSync(rig.path('received.log'), 'utf8').split('\n').filter(Boolean)) {
      const [, seconds, nanos, record = ''] = /^app: \[(\d+)\.(\d{9}), (.*)\]$/s.exec(line) ?? [];
      judge.add(parseExact(record), BigInt(`${seconds}${nanos}`));
    }
    return judge;
  };
  const startReceiver = (rig: Rig): Promise<AgentProcess> =>
    rig.start({ config: 'receiver.yaml', state: 'receiver' });

  test('100,000 records by TLS, with key, user and gzip, while either side is killed', async ({ rig }) => {
    const port = await freePort();
    rig.configure(sending(rig, port, SECURE));
    writeFileSync(rig.path('receiver.yaml'), receiving(rig, port));
    const receivers = [await startReceiver(rig)];
    appendRecords(rig.path('app.log'), 0, TOTAL / 2);
    let sender = await rig.start();
    const delivered = (share: number) => sender.until((scrape) => scrape.sum(DELIVERED) > TOTAL * share);
    await delivered(0.1);
    await receivers[0]?.kill();
    receivers.push(await startReceiver(rig));
    await delivered(0.3);
    await sender.kill();
    appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
    sender = await rig.start();
    await sender.until((scrape) => scrape.sum(DELIVERED) > 0);
    await receivers[1]?.kill();
    receivers.push(await startReceiver(rig));
    await sender.until((scrape) => scrape.sum('tailrace_input_file_lag_bytes') === 0);
    await settled(sender, 1);
    const last = receivers.at(-1) as AgentProcess;
    await last.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
    found(rig).expectComplete(TOTAL, { once: false });
    expect((await sender.stop()).summary).toMatchObject({ dead_lettered: 0 });
    await last.stop();
  });

  test('once, where nobody is killed; and what is stopped and started is not sent twice', async ({ rig }) => {
    const port = await freePort();
    const total = 20_000;
    rig.configure(sending(rig, port, SECURE));
    writeFileSync(rig.path('receiver.yaml'), receiving(rig, port));
    const receiver = await startReceiver(rig);
    appendRecords(rig.path('app.log'), 0, total / 2);
    const first = await rig.start();
    await settled(first, total / 2);
    expect((await first.stop()).summary.in_doubt).toBe(0);
    appendRecords(rig.path('app.log'), total / 2, total);
    const second = await rig.start();
    await settled(second, total / 2);
    await receiver.until((scrape) => scrape.sum(DELIVERED) === total);
    found(rig).expectComplete(total, { once: true });
    await second.stop();
    await receiver.stop();
  });

  test('the sample pipelines', async ({ rig }) => {
    const port = await freePort();
    const env = {
      FORWARD_PORT: String(port),
      FORWARD_LISTEN_PORT: String(port),
      FORWARD_DEMO_LOG: rig.path('app.log'),
    };
    const receiver = await rig.start({ config: RECEIVER, state: 'receiver', env });
    appendRecords(rig.path('app.log'), 0, 1000);
    const sender = await rig.start({ config: SENDER, env });
    await settled(sender, 1000);
    await receiver.shown(1000);
    const judge = new Found();
    for (const line of receiver.stdout.split('\n').filter(Boolean)) {
      const { date, ...record } = parseExact(line) as Record<string, Value>;
      expect(typeof date).toBe('number');
      judge.add(record);
    }
    judge.expectComplete(1000, { once: true });
    await sender.stop();
    await receiver.stop();
  });
});

/** Without what JavaScript's own numbers, which the library has, would change. */
function sparse(n: number): Record<string, unknown> {
  const { big: _, negative: __, ...record } = recordOf(n) as Record<string, unknown>;
  return record;
}

describe('with another implementation', () => {
  const SECURITY = {
    sharedKey: 'the key',
    clientHostname: 'peer.example',
    username: 'maja',
    password: 'secret',
  };
  const listening = async (rig: Rig, more: string): Promise<{ agent: AgentProcess; port: number }> => {
    rig.configure(`service: {flush: 0.2}
pipeline:
  inputs:
    - name: forward
      port: 0
${more}
  outputs:
    - {name: stdout, match: '*', format: json_lines, json_date_key: '@time', json_date_format: double}
`);
    const agent = await rig.start();
    const { port } = await agent.said(/^Listening for the forward protocol/);
    return { agent, port: Number(port) };
  };
  const shown = (agent: AgentProcess): Value[] =>
    agent.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => parseExact(line));

  test.for(['Message', 'Forward', 'PackedForward', 'CompressedPackedForward'])(
    'its client sends to us, acknowledged, with a key and a user: %s',
    async (eventMode, { rig }) => {
      const { agent, port } = await listening(
        rig,
        '      shared_key: the key\n      security.users: maja secret',
      );
      const { FluentClient, EventTime } = nodeLogger();
      const client = new FluentClient('peer', {
        eventMode,
        socket: { host: '127.0.0.1', port, timeout: 10_000 },
        security: SECURITY,
        ack: { ackTimeout: 60_000 },
        disconnect: { waitForPending: true },
      });
      onTestFinished(() => client.shutdown());
      await client.connect();
      // Each resolves when it was acknowledged.
      await Promise.all(
        Array.from({ length: 200 }, (_, n) => client.emit(sparse(n), new EventTime(1_700_000_000 + n, n))),
      );
      await agent.shown(200);
      expect(shown(agent)).toEqual(Array.from({ length: 200 }, (_, n) => expect.objectContaining(sparse(n))));
      await agent.stop();
    },
  );

  test('its client with a wrong key is refused', async ({ rig }) => {
    const { agent, port } = await listening(rig, '      shared_key: another key');
    const { FluentClient } = nodeLogger();
    const client = new FluentClient('peer', {
      socket: { host: '127.0.0.1', port, timeout: 10_000, disableReconnect: true },
      security: SECURITY,
    });
    onTestFinished(() => client.shutdown().catch(() => {}));
    await client.connect().catch(() => {});
    const line = await agent.said(/^A sender was not listened to/);
    expect(line['reason']).toBe('It was refused: shared_key mismatch.');
    await agent.stop();
  });

  test("Python's client sends to us", async ({ rig }) => {
    const { agent, port } = await listening(rig, '      tag_prefix: py.');
    await runPython(
      `import sys, time
from fluent import sender
s = sender.FluentSender('app', host='127.0.0.1', port=int(sys.argv[1]), nanosecond_precision=True)
for n in range(200):
    assert s.emit_with_time('x', time.time(), {'n': n, 'text': 'grüße 日本 😀', 'list': [None, True, {'a': 2**53 + n}], 'bytes': b'raw'}), s.last_error
s.close()
`,
      [String(port)],
    );
    await agent.shown(200);
    expect(shown(agent)).toEqual(
      Array.from({ length: 200 }, (_, n) => ({
        '@time': expect.any(Number),
        n,
        text: 'grüße 日本 😀',
        list: [null, true, { a: 2n ** 53n + BigInt(n) }],
        bytes: 'raw',
      })),
    );
    await agent.stop();
  });

  test.for([['compress: text'], ['compress: gzip']])(
    'its server takes what we send, with a key and a user: %s',
    async ([compress = ''], { rig }) => {
      const { FluentServer } = nodeLogger();
      const server = new FluentServer({
        listenOptions: { host: '127.0.0.1', port: 0 },
        security: {
          serverHostname: 'server.example',
          sharedKey: 'the key',
          authorize: true,
          userDict: { maja: 'secret' },
        },
      });
      const entries: [string, bigint, Record<string, unknown>][] = [];
      server.on('entry', (tag, { epoch, nano }, record) => {
        entries.push([tag, BigInt(epoch) * 1_000_000_000n + BigInt(nano), record]);
      });
      await server.listen();
      const total = 2000;
      rig.configure(
        sending(rig, server.port, ['shared_key: the key', 'username: maja', 'password: secret', compress]),
      );
      appendRecords(rig.path('app.log'), 0, total);
      const agent = await rig.start();
      await settled(agent, total);
      expect(entries).toHaveLength(total);
      for (const [n, [tag, time, { big: _, negative: __, ...record }]] of entries.entries()) {
        expect([tag, time]).toEqual(['app', nanosOf(n)]);
        expect(record).toEqual(sparse(n));
      }
      await agent.stop();
      await server.close();
    },
  );
});

describe('what goes wrong is said in one line, and nothing is lost', () => {
  const total = 2000;
  /** Its line, said once for each attempt, of which there are few. */
  const failure = async (agent: AgentProcess): Promise<string> => {
    const { msg, output, error } = await agent.said(/^The destination failed/);
    const scrape = await agent.until(
      (each) => each.sum('tailrace_output_attempts_total', { result: 'failed' }) >= 3,
    );
    const lines = agent.log.filter(({ level }: LogLine) => level === 'error' || level === 'warn');
    expect(new Set(lines.map((line) => line.msg))).toEqual(new Set([msg]));
    expect(lines.length).toBeLessThanOrEqual(
      scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) + 1,
    );
    expect((await agent.ready()).status).toBe(503);
    return `${String(output)}: ${String(error)}`;
  };
  const mended = async (agent: AgentProcess, receiver: ForwardReceiver): Promise<void> => {
    await settled(agent, total);
    const judge = new Found();
    for (const { events } of receiver.messages)
      for (const { record, seconds, nanos = 0 } of events)
        judge.add(record as Value, BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
    judge.expectComplete(total, { once: true });
    expect((await agent.stop()).summary).toMatchObject({ delivered: total, dead_lettered: 0 });
  };
  const opened = async (receiver: ForwardReceiver, port = 0): Promise<ForwardReceiver> => {
    onTestFinished(() => receiver.close());
    return receiver.open(port);
  };

  test('a wrong shared key (a stand-in: no real server asks for one)', async ({ rig }) => {
    const wrong = await new ForwardReceiver({ sharedKey: 'right' }).open();
    const { port } = wrong;
    appendRecords(rig.path('app.log'), 0, total);
    rig.configure(sending(rig, port, ['shared_key: wrong']));
    const agent = await rig.start();
    expect(await failure(agent)).toMatch(
      new RegExp(`forward\\.0.*tcp://127\\.0\\.0\\.1:${port}: the receiver refuses us.*check shared_key`),
    );
    // The receiver is given the sender's key.
    await wrong.close();
    await mended(agent, await opened(new ForwardReceiver({ sharedKey: 'wrong' }), port));
  });

  test('an unknown host, put right by a reload', async ({ rig }) => {
    appendRecords(rig.path('app.log'), 0, total);
    rig.configure(sending(rig, 24_224, ['host: nowhere.invalid']));
    const agent = await rig.start();
    expect(await failure(agent)).toMatch(
      /forward\.0.*tcp:\/\/nowhere\.invalid:24224: the host name is unknown/,
    );
    const receiver = await opened(new ForwardReceiver());
    rig.configure(sending(rig, receiver.port));
    expect((await agent.reload()).status).toBe(200);
    await mended(agent, receiver);
  });

  test('an expired certificate (a stand-in)', async ({ rig }) => {
    const expired = await new ForwardReceiver({ certificate: 'expired' }).open();
    const { port } = expired;
    appendRecords(rig.path('app.log'), 0, total);
    rig.configure(
      sending(rig, port, ['tls: on', `tls.ca_file: ${rig.path('ca.pem')}`, 'tls.vhost: localhost']),
    );
    writeFileSync(
      rig.path('ca.pem'),
      readFileSync(tlsFile('expired.pem'), 'utf8') + readFileSync(tlsFile('ca.pem'), 'utf8'),
    );
    const agent = await rig.start();
    expect(await failure(agent)).toMatch(
      new RegExp(`forward\\.0.*tls://127\\.0\\.0\\.1:${port}: its certificate has expired`),
    );
    await expired.close();
    await mended(agent, await opened(new ForwardReceiver({ certificate: 'server' }), port));
  });
});
