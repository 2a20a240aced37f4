/** The http input in a real agent: what it acknowledges arrives, and what it cannot acknowledge in time it says so. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import type { AgentProcess } from '../support/agent.ts';
import { numbered } from '../support/numbered.ts';

const INPUT = { name: 'http.0' };

async function urlOf(agent: AgentProcess): Promise<string> {
  const { port } = await agent.said(/^Listening for HTTP requests$/);
  return `http://127.0.0.1:${String(port)}`;
}

/** A pipeline from the http input to a sink; `overflow: block` leaves it without a disk buffer. */
function configure(rig: Rig, port: number, { overflow = 'block', input = '' } = {}): void {
  rig.configure(`
service:
  flush: 0.02
  grace: 1
  scheduler.base: 0.05
  scheduler.cap: 0.1
  storage.overflow: ${overflow}
pipeline:
  inputs:
    - name: http
      port: 0
      tag: app
${input}
  outputs:
    - name: http
      match: app
      port: ${port}
      format: json_lines
`);
}

/** Posts lines `from` up to before `to` of a stream. */
async function post(url: string, stream: string, from: number, to: number): Promise<Response> {
  const lines = Array.from({ length: to - from }, (_, n) =>
    JSON.stringify({ log: numbered(stream, from + n) }),
  );
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
}

test('without a disk buffer what is acknowledged has arrived, and the ledger balances', async ({ rig }) => {
  const sink = await rig.sink();
  configure(rig, sink.port);
  const agent = await rig.start();
  const url = await urlOf(agent);
  const streams = ['a', 'b', 'c', 'd'];
  const sent = streams.map(async (stream) => {
    for (let n = 0; n < 200; n += 20) {
      expect((await post(url, stream, n, n + 20)).status).toBe(201);
      expect(sink.has(stream, n) && sink.has(stream, n + 19)).toBe(true);
    }
  });
  await Promise.all(sent);
  expect(sink.distinct).toBe(800);
  expect(
    (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' })).status,
  ).toBe(400);
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_input_read_records_total', INPUT)).toBe(800);
  expect(scrape.sum('tailrace_input_requests_total', { ...INPUT, code: '201' })).toBe(40);
  expect(scrape.sum('tailrace_input_requests_total', { ...INPUT, code: '400' })).toBe(1);
});

test('without a disk buffer and destination requests get 503, and their records arrive later', async ({
  rig,
}) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 503 });
  configure(rig, sink.port, { input: '      ack_timeout: 100ms' });
  const agent = await rig.start();
  const url = await urlOf(agent);
  const refused = await post(url, 'a', 0, 10);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  sink.behave = () => ({ status: 200 });
  await sink.reached(10);
  expect((await post(url, 'a', 10, 20)).status).toBe(201);
  expect(sink.distinct).toBe(20);
});

test('with a disk buffer what is acknowledged is on it, and arrives after a SIGKILL', async ({ rig }) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 503 });
  configure(rig, sink.port, { overflow: 'disk' });
  const killed = await rig.start();
  const url = await urlOf(killed);
  for (let n = 0; n < 50; n += 10) expect((await post(url, 'a', n, n + 10)).status).toBe(201);
  await killed.kill();
  expect(sink.distinct).toBe(0);
  sink.behave = () => ({ status: 200 });
  await rig.start();
  await sink.reached(50);
});

test('without room bodies are refused with 429, and taken again once there is some', async ({ rig }) => {
  const sink = await rig.sink();
  const blocked = Promise.withResolvers<void>();
  sink.behave = () => ({ status: 200, after: blocked.promise });
  configure(rig, sink.port, { input: '      mem_buf_limit: 12k' });
  const agent = await rig.start();
  const url = await urlOf(agent);
  const first = post(url, 'a', 0, 200);
  await agent.until((scrape) => scrape.sum('tailrace_input_read_records_total', INPUT) === 200);
  const refused = await post(url, 'a', 200, 400);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  blocked.resolve();
  expect((await first).status).toBe(201);
  expect((await post(url, 'a', 200, 400)).status).toBe(201);
  expect(sink.distinct).toBe(400);
});

test('a stop answers what is delivered within grace, and the tag of the path routes', async ({ rig }) => {
  rig.configure(`
service:
  flush: 60
  grace: 4
pipeline:
  inputs:
    - name: http
      port: 0
  outputs:
    - name: file
      match: app.log
      path: .
      file: out.ndjson
      format: plain
`);
  const agent = await rig.start();
  const url = await urlOf(agent);
  const answer = fetch(`${url}/app.log`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"n":12345678901234567890}',
  });
  await agent.until((scrape) => scrape.sum('tailrace_input_read_records_total', INPUT) === 1);
  const { code } = await agent.stop();
  expect([code, (await answer).status]).toEqual([0, 201]);
  expect(readFileSync(rig.path('out.ndjson'), 'utf8')).toBe('{"n":12345678901234567890}\n');
});

test('a stop that gives records up answers 503 for them', async ({ rig }) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 503 });
  configure(rig, sink.port);
  const agent = await rig.start({ state: 'off' });
  const url = await urlOf(agent);
  const answer = post(url, 'a', 0, 10);
  await agent.until((scrape) => scrape.sum('tailrace_input_read_records_total', INPUT) === 10);
  const { summary } = await agent.stop();
  expect([summary.dropped, (await answer).status]).toEqual([10, 503]);
});
