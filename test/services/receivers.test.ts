/**
 * The inputs that stand in for Splunk and for Elasticsearch, with what ships to these: Docker's splunk driver, rsyslog, syslog-ng, the clients
 * of Elastic and OpenSearch, and our own outputs. The agent is killed in the middle of a load: nothing may be missing.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Client as ElasticClient } from '@elastic/elasticsearch';
import { Client as OpenSearchClient } from '@opensearch-project/opensearch';
import { expect, onTestFailed, onTestFinished } from 'vitest';
import type { LogRecord } from '../../src/event/record.ts';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { startDockerDriver } from './servers/docker-splunk.ts';
import { startRsyslogShipper } from './servers/rsyslog-elasticsearch.ts';
import { startSyslogNgShipper } from './servers/syslog-ng-http.ts';
import { appendRecords, Found, recordsPipeline } from './support/records.ts';
import { freePort } from './support/server.ts';
import { settled } from './support/settled.ts';
import { writtenIn } from './support/written.ts';

const HEC_SAMPLE = join(import.meta.dirname, '../../pipelines/splunk-receiver.yaml');
const BULK_SAMPLE = join(import.meta.dirname, '../../pipelines/elasticsearch-receiver.yaml');
const TOTAL = 20_000;
const LINES = 5000;
const READ = 'tailrace_input_read_records_total';
const TOKEN = 'the-token';
/** A line that is lost is waited for in vain. */
const timeout = 180_000;

/** A receiver that can be killed and started again on its port. */
class Receiver {
  readonly port: number;
  private readonly start: () => Promise<AgentProcess>;
  private agent: AgentProcess | undefined;

  constructor(port: number, start: () => Promise<AgentProcess>) {
    this.port = port;
    this.start = start;
  }

  async open(): Promise<AgentProcess> {
    this.agent = await this.start();
    await this.agent.said(/^Listening for HTTP requests/);
    return this.agent;
  }

  /** Kills it when it has read so many records, and starts it again. */
  async killAt(records: number): Promise<AgentProcess> {
    await this.agent?.until((scrape) => scrape.sum(READ) >= records);
    await this.agent?.kill();
    return this.open();
  }
}

async function hec(rig: Rig): Promise<Receiver> {
  const port = await freePort();
  const env = { HEC_LISTEN_PORT: String(port), HEC_TOKENS: `other,${TOKEN}`, HEC_DEMO_DIR: rig.directory };
  return new Receiver(port, () => rig.start({ config: HEC_SAMPLE, env, state: rig.path('receiver') }));
}

async function bulk(rig: Rig): Promise<Receiver> {
  const port = await freePort();
  const env = { BULK_LISTEN_PORT: String(port), BULK_DEMO_DIR: rig.directory };
  return new Receiver(port, () => rig.start({ config: BULK_SAMPLE, env, state: rig.path('receiver') }));
}

/** An agent that sends the records of the file by an output with these lines. */
function sender(rig: Rig, lines: readonly string[]): Promise<AgentProcess> {
  const own = [...lines, "match: '*'", 'net.proxy_env_ignore: on'];
  rig.configure(`${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`);
  return rig.start({ state: rig.path('sender') });
}

function found(path: string, strip: (record: LogRecord) => LogRecord = (record) => record): Found {
  const judge = new Found();
  for (const { record, nanos } of writtenIn(path)) judge.add(strip(record as LogRecord), nanos);
  return judge;
}

const line = (n: number): string => `message ${n} of ${LINES}: grüße "quoted" \\ back`;

/** Waits until each of the lines is in the file, under what `read` takes out of a record. */
async function expectLines(
  agent: AgentProcess,
  path: string,
  read: (record: LogRecord) => unknown,
): Promise<void> {
  const expected = new Set(Array.from({ length: LINES }, (_, n) => line(n)));
  let missing = new Set(expected);
  const look = (): boolean => {
    const texts = writtenIn(path).map(({ record }) => String(read(record as LogRecord)));
    missing = expected.difference(new Set(texts));
    return missing.size === 0;
  };
  onTestFailed(() => {
    process.stderr.write(`\n${missing.size} lines are missing, ${[...missing].slice(0, 5).join(', ')} …\n`);
  });
  // What has been read since the last look is looked at when it is settled.
  let seen = -1;
  await agent.until((scrape) => {
    if (scrape.sum('tailrace_output_buffered_records') > 0) return false;
    const delivered = scrape.sum('tailrace_output_delivered_records_total');
    if (delivered === seen) return false;
    seen = delivered;
    return look();
  });
}

test('splunk: what our own output sends arrives as it was, acknowledged, also when the receiver is killed', async ({
  rig,
}) => {
  const receiver = await hec(rig);
  await receiver.open();
  appendRecords(rig.path('app.log'), 0, TOTAL);
  const lines = [
    'name: splunk',
    `port: ${receiver.port}`,
    `splunk_token: ${TOKEN}`,
    'compress: gzip',
    'indexer_ack: on',
    'ack_poll_interval: 100ms',
    'ack_timeout: 3s',
    'batch_size: 200k',
  ];
  const agent = await sender(rig, lines);
  const second = await receiver.killAt(TOTAL / 10);
  await settled(agent, TOTAL);
  await second.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  found(rig.path('hec.log')).expectComplete(TOTAL, { once: false });
  expect((await agent.stop()).summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
});

test("splunk: Docker's log driver", { timeout }, async ({ rig }) => {
  const receiver = await hec(rig);
  await receiver.open();
  const driver = startDockerDriver(`http://127.0.0.1:${receiver.port}`, TOKEN);
  onTestFinished(() => driver.kill());
  for (let n = 0; n < LINES / 2; n++) driver.write(line(n));
  const second = await receiver.killAt(1000);
  for (let n = LINES / 2; n < LINES; n++) driver.write(line(n));
  await expectLines(second, rig.path('hec.log'), (record) => record['line']);
  await driver.end();
  const [first] = writtenIn(rig.path('hec.log'));
  expect(first?.record).toMatchObject({ source: 'stdout', tag: '0123456789ab' });
});

test('elasticsearch: what our own output sends arrives as it was, also when the receiver is killed', async ({
  rig,
}) => {
  const receiver = await bulk(rig);
  await receiver.open();
  appendRecords(rig.path('app.log'), 0, TOTAL);
  const lines = [
    'name: elasticsearch',
    `port: ${receiver.port}`,
    'index: demo',
    'time_key_nanos: on',
    'bulk_max_size: 200k',
    'compress: gzip',
  ];
  const agent = await sender(rig, lines);
  const second = await receiver.killAt(TOTAL / 10);
  await settled(agent, TOTAL);
  await second.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  const judge = found(rig.path('documents.log'), ({ '@timestamp': time, '@meta': meta, ...record }) => {
    expect(typeof time).toBe('string');
    expect(meta).toMatchObject({ create: { _index: 'demo' } });
    return record;
  });
  judge.expectComplete(TOTAL, { once: false });
  expect((await agent.stop()).summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
});

test("elasticsearch: the bulk helpers of Elastic's and OpenSearch's clients", async ({ rig }) => {
  const receiver = await bulk(rig);
  const agent = await receiver.open();
  const node = `http://127.0.0.1:${receiver.port}`;
  // What Date and the like become is not what is tested; a document that is none is.
  const datasource = Array.from({ length: LINES }, (_, n) => (n === 7 ? '[7]' : { n, text: line(n) }));

  const elastic = new ElasticClient({ node });
  onTestFinished(() => elastic.close());
  expect((await elastic.info()).version.number).toBe('8.0.0');
  const dropped: unknown[] = [];
  const elasticStats = await elastic.helpers.bulk({
    datasource,
    onDocument: () => ({ create: { _index: 'elastic' } }),
    flushBytes: 100_000,
    refreshOnCompletion: 'elastic',
    onDrop: ({ status, error }) => dropped.push([status, error?.type]),
  });
  expect(elasticStats).toMatchObject({ successful: LINES - 1, failed: 1, aborted: false });

  const opensearch = new OpenSearchClient({ node });
  onTestFinished(() => opensearch.close());
  const openStats = await opensearch.helpers.bulk({
    datasource,
    onDocument: () => ({ index: { _index: 'opensearch' } }),
    flushBytes: 100_000,
    onDrop: ({ status, error }) => dropped.push([status, (error as { type?: string } | null)?.type]),
  });
  expect(openStats).toMatchObject({ successful: LINES - 1, failed: 1, aborted: false });
  const refused = [400, 'document_parsing_exception'];
  expect(dropped).toEqual([refused, refused]);
  expect((await elastic.index({ index: 'one', document: { n: -1 } })).result).toBe('created');

  await settled(agent, 2 * (LINES - 1) + 1);
  const written = writtenIn(rig.path('documents.log')).map(({ record }) => record as LogRecord);
  for (const [operation, index] of [
    ['create', 'elastic'],
    ['index', 'opensearch'],
  ] as const) {
    const own = written.filter(({ '@meta': meta }) => JSON.stringify(meta).includes(`"${index}"`));
    expect(own).toHaveLength(LINES - 1);
    expect(own[0]).toEqual({ '@meta': { [operation]: { _index: index } }, n: 0, text: line(0) });
    expect(new Set(own.map(({ text }) => text)).size).toBe(LINES - 1);
  }
});

/** What an input may have in memory, and the body that takes all of it but for what the shortest document needs. Bytes. */
const MEMORY = 800_000;
const BODY = (MEMORY * 7) / 8 - 100;

/** Begins a request that takes the room of all others, and goes no further. */
async function takeRoom(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  // The agent is killed before it is closed.
  socket.on('error', () => {});
  socket.write(
    `POST /_bulk HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${BODY}\r\nExpect: 100-continue\r\n\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 100 /);
}

test('elasticsearch: rsyslog, also when there is no room for a while', { timeout }, async ({ rig }) => {
  const receiver = await bulk(rig);
  rig.configure(`pipeline:
  inputs:
    - { name: elasticsearch, port: ${receiver.port}, mem_buf_limit: ${MEMORY}, tag: documents }
  outputs:
    - { name: 'null', match: documents }
`);
  const full = await rig.start({ state: rig.path('full') });
  await full.said(/^Listening for HTTP requests/);
  await takeRoom(receiver.port);
  writeFileSync(rig.path('in.log'), Array.from({ length: LINES }, (_, n) => `${line(n)}\n`).join(''));
  const shipper = await startRsyslogShipper(rig.path('in.log'), receiver.port);
  onTestFinished(() => shipper.close());
  await full.until((scrape) => scrape.sum('tailrace_input_requests_total', { code: 'aborted' }) >= 2);
  await full.kill();
  await receiver.open();
  const second = await receiver.killAt(1000);
  await expectLines(second, rig.path('documents.log'), ({ message }) => message);
  const [first] = writtenIn(rig.path('documents.log'));
  expect(first?.record).toMatchObject({ '@meta': { index: { _index: 'logs' } } });
});

test('elasticsearch: syslog-ng', { timeout }, async ({ rig }) => {
  const receiver = await bulk(rig);
  await receiver.open();
  const shipper = await startSyslogNgShipper(receiver.port);
  onTestFinished(() => shipper.close());
  const socket = connect(shipper.port, '127.0.0.1');
  await once(socket, 'connect');
  onTestFinished(() => void socket.destroy());
  socket.write(Array.from({ length: LINES }, (_, n) => `${line(n)}\n`).join(''));
  const second = await receiver.killAt(1000);
  await expectLines(second, rig.path('documents.log'), ({ message }) => message);
});
