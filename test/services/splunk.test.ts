/**
 * The splunk output against a stand-in of HTTP Event Collector (test/support/hec.ts): no receiver that speaks it can be had from the package
 * registries. A proxy that is cut takes the place of killing it.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import { tlsFile } from '../net/servers.ts';
import { test as base } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { Hec } from '../support/hec.ts';
import { readLetters } from '../support/letters.ts';
import { CutProxy } from './support/cut-proxy.ts';
import { appendRecords, Found, recordsPipeline, timeOf } from './support/records.ts';
import { settled } from './support/settled.ts';

const SAMPLE = join(import.meta.dirname, '../../pipelines/splunk.yaml');
const TOTAL = 100_000;
const CHANNEL = '7A1C2B3D-0000-4000-8000-0123456789AB';

const test = base.extend<{ hec: Hec }>({
  // The framework wants its fixtures named here, none is needed.
  // oxlint-disable-next-line no-empty-pattern
  hec: async ({}, use) => {
    const hec = await new Hec({ acknowledges: true, indexes: ['main', 'other'] }).open();
    await use(hec);
    await hec.close();
  },
});

function pipeline(rig: Rig, port: number, lines: readonly string[]): string {
  const own = [
    'name: splunk',
    "match: '*'",
    `port: ${port}`,
    `channel: ${CHANNEL}`,
    'net.proxy_env_ignore: on',
    ...lines,
  ];
  return `${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`;
}

/** All records are there as they were, with their times as they stand in the bodies. */
function expectComplete(hec: Hec, total: number, once: boolean): void {
  const judge = new Found();
  for (const { event, text } of hec.events) {
    const [, seconds = '', fraction = ''] = /^\{"time":(\d+)\.(\d+),/.exec(text) ?? [];
    judge.add(event, BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')));
  }
  judge.expectComplete(total, { once });
}

test('the sample pipeline carries 100,000', async ({ rig, hec }) => {
  appendRecords(rig.path('app.log'), 0, TOTAL);
  const agent = await rig.start({
    config: SAMPLE,
    env: { SPLUNK_DEMO_LOG: rig.path('app.log'), SPLUNK_PORT: String(hec.port) },
  });
  await settled(agent, TOTAL);
  expectComplete(hec, TOTAL, true);
  const [first] = hec.events;
  expect(first).toMatchObject({ sourcetype: 'demo', source: 'app', fields: { level: 'error' } });
  expect(first?.time).toBe(timeOf(0).seconds);
  const { summary } = await agent.stop();
  expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
});

test('one that is cut off in the middle, and forgets what it was to acknowledge, has all of them', async ({
  rig,
  hec,
}) => {
  const proxy = await new CutProxy(hec.port).open();
  try {
    appendRecords(rig.path('app.log'), 0, TOTAL / 2);
    rig.configure(
      pipeline(rig, proxy.port, [
        'splunk_token: token',
        'indexer_ack: on',
        'ack_timeout: 2s',
        'batch_size: 200k',
      ]),
    );
    const agent = await rig.start();
    await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') > TOTAL / 20);
    await proxy.cut();
    hec.forgetAcks();
    appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
    await agent.said(/^The destination failed/);
    await proxy.open();
    await agent.said(/^The destination works again/);
    await settled(agent, TOTAL);
    expectComplete(hec, TOTAL, false);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  } finally {
    await proxy.cut();
  }
});

test('an index of a record that the token may not write to makes a dead letter', async ({ rig, hec }) => {
  appendRecords(rig.path('app.log'), 0, 100);
  // No text is the name of an index; one in six records has none, and goes to that of the token.
  rig.configure(pipeline(rig, hec.port, ['splunk_token: token', 'event_index_key: $text']));
  const agent = await rig.start();
  await settled(agent, 100);
  const letters = readLetters(rig.path('state'));
  expect(new Set(letters.map(({ status, reason }) => `${status} ${reason}`))).toEqual(
    new Set(['400 Incorrect index']),
  );
  expect([letters.length, hec.events.length]).toEqual([84, 16]);
  await agent.stop();
});

test('an index of the configuration that is not there is waited for', async ({ rig, hec }) => {
  appendRecords(rig.path('app.log'), 0, 100);
  rig.configure(pipeline(rig, hec.port, ['splunk_token: token', 'event_index: nope']));
  const agent = await rig.start();
  const { error } = await agent.said(/^The destination failed/);
  expect(String(error)).toMatch(/answered 400: the index is not there, .*check event_index/);
  rig.configure(pipeline(rig, hec.port, ['splunk_token: token', 'event_index: main']));
  await agent.reload();
  await settled(agent, 100);
  expectComplete(hec, 100, true);
  expect(readLetters(rig.path('state'))).toEqual([]);
  await agent.stop();
});

test('a wrong token: one clear line, and all is there once it is right', async ({ rig, hec }) => {
  appendRecords(rig.path('app.log'), 0, 100);
  rig.configure(pipeline(rig, hec.port, ['splunk_token: canary']));
  const agent = await rig.start();
  const { error, ...line } = await agent.said(/^The destination failed/);
  expect(String(error)).toMatch(
    /^http:\/\/127\.0\.0\.1:\d+\/services\/collector\/event answered 403: it does not know the token/,
  );
  expect(JSON.stringify(line)).toContain('splunk');
  expect(agent.stderr).not.toContain('canary');
  rig.configure(pipeline(rig, hec.port, ['splunk_token: token']));
  await agent.reload();
  await settled(agent, 100);
  expectComplete(hec, 100, true);
  // No storm: about as many requests as failures that were told.
  const told = agent.log.filter(({ msg }) => msg.startsWith('The destination failed')).length;
  expect(hec.requests.length).toBeLessThan(told + 20);
  await agent.stop();
});

test('an unknown host and an expired certificate are named', async ({ rig }) => {
  appendRecords(rig.path('app.log'), 0, 10);
  const expired = await new Hec().open({ tls: { certificate: 'expired' } });
  try {
    rig.configure(pipeline(rig, 8088, ['host: no-such-host.invalid', 'splunk_token: token']));
    const agent = await rig.start();
    const { error } = await agent.said(/^The destination failed/);
    expect(String(error)).toMatch(/http:\/\/no-such-host\.invalid:8088: the host name/);
    rig.configure(
      pipeline(rig, expired.port, [
        'splunk_token: token',
        'tls: on',
        `tls.ca_file: ${tlsFile('expired.pem')}`,
      ]),
    );
    await agent.reload();
    await agent.until(() =>
      agent.log.some(({ error: each }) => /https:.*its certificate has expired/.test(String(each))),
    );
    expect((await agent.scrape()).sum('tailrace_output_buffered_records')).toBe(10);
  } finally {
    await expired.close();
  }
});
