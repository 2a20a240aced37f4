/**
 * The cloudwatch_logs output against moto. moto takes any credentials and enforces no limits: the limits are shown by the arithmetic of
 * test/plugins/outputs/cloudwatch_logs, and a stand-in takes moto's place where the test says so. moto forgets all when it ends: it is cut
 * off by a proxy instead of being killed.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateLogGroupCommand, DeleteLogGroupCommand } from '@aws-sdk/client-cloudwatch-logs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startServer, tlsFile } from '../net/servers.ts';
import { StandIn } from '../plugins/outputs/cloudwatch_logs/stand-in.ts';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { readLetters } from '../support/letters.ts';
import { MOTO_ENVIRONMENT, startMoto } from './servers/moto.ts';
import type { MotoServer } from './servers/moto.ts';
import { addEvents, CloudWatchReader } from './support/cloudwatch-query.ts';
import { CutProxy } from './support/cut-proxy.ts';
import { appendRecords, Found, recordsPipeline } from './support/records.ts';
import { settled } from './support/settled.ts';

const SAMPLE = join(import.meta.dirname, '../../pipelines/cloudwatch-logs.yaml');
const TOTAL = 100_000;
/** Events of one request: as many can be there twice when its answer was lost. */
const MOST_DOUBLES = 10_000;
const DELIVERED = 'tailrace_output_delivered_records_total';
const BUFFERED = 'tailrace_output_buffered_records';
const DAY = 86_400;

/** The pipeline of the records to an endpoint, with these lines for the output. */
function pipeline(rig: Rig, endpoint: string, lines: readonly string[]): string {
  const own = [
    'name: cloudwatch_logs',
    "match: '*'",
    `endpoint: ${endpoint}`,
    'log_stream_name: s',
    'net.proxy_env_ignore: on',
    ...lines,
  ];
  return `${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`;
}

/** A line with a time of its own, seconds from now. */
function lineAt(second: number, record: Record<string, unknown>): string {
  return `${JSON.stringify({ time: new Date(Date.now() + second * 1000).toISOString(), ...record })}\n`;
}

const start = (
  rig: Rig,
  more: { state?: string; env?: Record<string, string> } = {},
): Promise<AgentProcess> => rig.start({ ...more, env: { ...MOTO_ENVIRONMENT, ...more.env } });

/** Waits until it says that an output is failing. */
async function notReady(agent: AgentProcess): Promise<void> {
  await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) >= 3);
  while ((await agent.ready()).status !== 503) await agent.scrape();
}

const warnings = (agent: AgentProcess): string[] =>
  agent.log.filter(({ level }) => level === 'warn' || level === 'error').map((line) => JSON.stringify(line));

let server: MotoServer;
let reader: CloudWatchReader;

beforeAll(async () => {
  server = await startMoto();
  reader = new CloudWatchReader(server.url);
});

afterAll(async () => {
  reader.close();
  await server.close();
});

describe('records', () => {
  test('the sample pipeline carries 100,000', async ({ rig }) => {
    appendRecords(rig.path('app.log'), 0, TOTAL);
    const agent = await rig.start({
      config: SAMPLE,
      env: {
        ...MOTO_ENVIRONMENT,
        CLOUDWATCH_DEMO_LOG: rig.path('app.log'),
        CLOUDWATCH_ENDPOINT: server.url,
        no_proxy: '*',
      },
    });
    await settled(agent, TOTAL);
    const events = await reader.events('/tailrace/demo');
    const judge = new Found();
    addEvents(judge, events);
    judge.expectComplete(TOTAL, { once: true });
    expect((await reader.streams('/tailrace/demo')).toSorted()).toEqual(['demo.error', 'demo.info']);
    expect(await reader.retention('/tailrace/demo')).toBe(7);
    for (const stream of ['demo.error', 'demo.info']) {
      const numbers = events
        .filter((event) => event.stream === stream)
        .map(({ message }) => (JSON.parse(message) as { n: number }).n);
      expect(numbers.every((n, index) => index === 0 || n > (numbers[index - 1] as number))).toBe(true);
    }
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  });

  test('none is missing after a cut in the middle; CloudWatch knows no ids, so a request whose answer was lost is there twice', async ({
    rig,
  }) => {
    const proxy = await new CutProxy(server.port).open();
    try {
      rig.configure(
        pipeline(rig, `http://127.0.0.1:${proxy.port}`, ['log_group_name: /cut', 'auto_create_group: on']),
      );
      appendRecords(rig.path('app.log'), 0, TOTAL / 2);
      const agent = await start(rig);
      await agent.until((scrape) => scrape.sum(DELIVERED) > TOTAL / 20);
      await proxy.cut();
      appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
      await agent.said(/^The destination failed/);
      await proxy.open();
      await agent.said(/^The destination works again/);
      await settled(agent, TOTAL);
      const judge = new Found();
      addEvents(judge, await reader.events('/cut'));
      judge.expectComplete(TOTAL, { once: false });
      expect(judge.total - TOTAL).toBeLessThanOrEqual(MOST_DOUBLES);
      const { summary } = await agent.stop();
      expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
    } finally {
      await proxy.cut();
    }
  });

  test('one that is too large is there in parts that make it up again', async ({ rig }) => {
    rig.configure(
      pipeline(rig, server.url, [
        'log_group_name: /parts',
        'auto_create_group: on',
        'log_key: text',
        'max_event_size: 200k',
      ]),
    );
    const text = 'ü"日😀\\'.repeat(60_000);
    appendFileSync(
      rig.path('app.log'),
      lineAt(0, { text: 'before' }) + lineAt(1, { text }) + lineAt(2, { text: 'after' }),
    );
    const agent = await start(rig);
    await settled(agent, 3);
    const messages = (await reader.events('/parts')).map(({ message }) => message);
    expect([messages[0], messages.at(-1)]).toEqual(['before', 'after']);
    const parts = messages
      .slice(1, -1)
      .map((part) => JSON.parse(part) as { partial_ordinal: number; message: string });
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.map((part) => part.partial_ordinal)).toEqual(parts.map((_, index) => index + 1));
    expect(parts.map((part) => part.message).join('')).toBe(text);
    await agent.stop();
  });

  test('those that CloudWatch refuses are dead letters with its reason', async ({ rig }) => {
    rig.configure(pipeline(rig, server.url, ['log_group_name: /refused', 'auto_create_group: on']));
    appendFileSync(
      rig.path('app.log'),
      [
        lineAt(-20 * DAY, { log: 'old 1' }),
        lineAt(-30, { log: 'good 1' }),
        lineAt(3 * 3600, { log: 'new 1' }),
        lineAt(-20 * DAY + 1, { log: 'old 2' }),
        lineAt(-10, { log: 'good 2' }),
        lineAt(4 * 3600, { log: 'new 2' }),
        lineAt(-40 * DAY, { log: 'old 3' }),
      ].join(''),
    );
    const agent = await start(rig);
    await settled(agent, 7);
    expect((await reader.events('/refused')).map(({ message }) => message)).toEqual([
      '{"log":"good 1"}',
      '{"log":"good 2"}',
    ]);
    const letters = readLetters(rig.path('state')).map(({ record, reason }) => [record.log, reason]);
    expect(letters.toSorted()).toEqual([
      ['new 1', expect.stringContaining('too new')],
      ['new 2', expect.stringContaining('too new')],
      ['old 1', expect.stringContaining('too old')],
      ['old 2', expect.stringContaining('too old')],
      ['old 3', expect.stringContaining('too old')],
    ]);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: 2, dead_lettered: 5 });
  });
});

describe('groups and streams', () => {
  test('a group that is missing is asked for in one line, and the records wait for it', async ({ rig }) => {
    rig.configure(pipeline(rig, server.url, ['log_group_name: /missing']));
    appendRecords(rig.path('app.log'), 0, 100);
    const agent = await start(rig);
    const line = await agent.said(/^The destination failed/);
    expect(line).toMatchObject({
      output: 'cloudwatch_logs.0',
      error: `${server.url}: the log group "/missing" is not there: create it, or set auto_create_group`,
    });
    await notReady(agent);
    await reader.client.send(new CreateLogGroupCommand({ logGroupName: '/missing' }));
    await settled(agent, 100);
    expect(await reader.events('/missing')).toHaveLength(100);
    await agent.stop();
  });

  test('one that is deleted in the middle is made again', async ({ rig }) => {
    rig.configure(
      pipeline(rig, server.url, [
        'log_group_name: /deleted',
        'auto_create_group: on',
        'log_retention_days: 3',
      ]),
    );
    appendRecords(rig.path('app.log'), 0, 100);
    const agent = await start(rig);
    await settled(agent, 100);
    await reader.client.send(new DeleteLogGroupCommand({ logGroupName: '/deleted' }));
    appendRecords(rig.path('app.log'), 100, 200);
    await settled(agent, 200);
    const numbers = (await reader.events('/deleted')).map(
      ({ message }) => (JSON.parse(message) as { n: number }).n,
    );
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, n) => 100 + n));
    expect(await reader.retention('/deleted')).toBe(3);
    expect(warnings(agent)).toEqual([]);
    await agent.stop();
  });

  test('several agents may make the same ones at once', async ({ rig }) => {
    rig.configure(
      pipeline(rig, server.url, [
        'log_group_name: /race',
        'auto_create_group: on',
        'log_retention_days: 5',
        'log_stream_template: level.$level',
      ]),
    );
    appendRecords(rig.path('app.log'), 0, 1000);
    const agents = await Promise.all(['a', 'b', 'c'].map((state) => start(rig, { state })));
    for (const agent of agents) await settled(agent, 1000);
    const events = await reader.events('/race');
    expect(events).toHaveLength(3000);
    const judge = new Found();
    addEvents(judge, events);
    judge.expectComplete(1000, { once: false });
    expect(await reader.retention('/race')).toBe(5);
    for (const agent of agents) {
      expect(warnings(agent)).toEqual([]);
      await agent.stop();
    }
  });
});

describe('faults', () => {
  /** Runs an agent with 100 records against an endpoint that is at fault, and answers with the first line about it. */
  const faultOf = async (
    rig: Rig,
    endpoint: string,
    lines: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<{ agent: AgentProcess; error: string }> => {
    rig.configure(pipeline(rig, endpoint, ['log_group_name: /fault', 'auto_create_group: on', ...lines]));
    appendRecords(rig.path('app.log'), 0, 100);
    const agent = await start(rig, { env });
    const line = await agent.said(/^The destination failed/);
    expect(line).toMatchObject({ output: 'cloudwatch_logs.0' });
    return { agent, error: String(line['error']) };
  };
  /** Nothing was given up, and nothing is lost. */
  const expectKept = async (agent: AgentProcess): Promise<void> => {
    const scrape = await agent.until((each) => each.sum(BUFFERED) === 100);
    expect(scrape.sum(DELIVERED)).toBe(0);
    await agent.kill();
  };

  test('wrong credentials, by a stand-in: one clear line, no storm, no secret, delivered once they are right', async ({
    rig,
  }) => {
    const standIn = await new StandIn().open();
    try {
      standIn.refuse = () => ({
        status: 400,
        code: 'UnrecognizedClientException',
        message: 'The security token included in the request is invalid: canary-secret',
      });
      const { agent, error } = await faultOf(rig, `http://127.0.0.1:${standIn.port}`, [], {
        AWS_SECRET_ACCESS_KEY: 'canary-secret',
      });
      expect(error).toBe(
        `http://127.0.0.1:${standIn.port}: PutLogEvents was answered with 400 UnrecognizedClientException: the access key is unknown: ` +
          'check the credentials, and that they are of this partition and account (The security token included in the request is invalid: ***)',
      );
      await notReady(agent);
      // One request for each line about it, but for those that are on their way.
      const told = agent.log.filter(({ msg }) => msg.startsWith('The destination failed')).length;
      expect(standIn.actions.length).toBeLessThan(told + 5);
      standIn.refuse = undefined;
      await settled(agent, 100);
      expect(standIn.all).toHaveLength(100);
      expect(agent.stderr + agent.stdout).not.toContain('canary-secret');
      await agent.stop();
    } finally {
      await standIn.close();
    }
  });

  test('no credentials', async ({ rig }) => {
    const { agent, error } = await faultOf(rig, server.url, [], {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
    });
    expect(error).toContain(
      `${server.url}: PutLogEvents was not sent: there are no AWS credentials that can be used: give the agent an identity`,
    );
    await expectKept(agent);
  });

  test('an unknown host', async ({ rig }) => {
    const { agent, error } = await faultOf(rig, 'https://logs.tailrace.invalid');
    expect(error).toMatch(
      /^https:\/\/logs\.tailrace\.invalid: the host name (is unknown|cannot be looked up)/,
    );
    await expectKept(agent);
  });

  test('an expired certificate, by a stand-in', async ({ rig }) => {
    const expired = await startServer(undefined, { tls: { certificate: 'expired' } });
    try {
      const { agent, error } = await faultOf(rig, `https://127.0.0.1:${expired.port}`, [
        `tls.ca_file: ${tlsFile('expired.pem')}`,
      ]);
      expect(error).toMatch(/^https:\/\/127\.0\.0\.1:\d+: its certificate has expired/);
      expect(expired.requests).toEqual([]);
      await expectKept(agent);
    } finally {
      await expired.close();
    }
  });

  test('throttling, by a stand-in: patience, and everything once', async ({ rig }) => {
    const standIn = await new StandIn().open();
    try {
      standIn.refuse = (_action, _input, nth) =>
        nth < 3 ? { status: 400, code: 'ThrottlingException' } : undefined;
      const { agent, error } = await faultOf(rig, `http://127.0.0.1:${standIn.port}`);
      expect(error).toContain('was answered with 400 ThrottlingException');
      await settled(agent, 100);
      expect(standIn.all).toHaveLength(100);
      await agent.stop();
    } finally {
      await standIn.close();
    }
  });
});
