/** The forward input in a real agent: what it acknowledges is safe, and a reload keeps its port. */
import { connect } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { Sender } from '../support/forward-sender.ts';
import { numbered } from '../support/numbered.ts';
import { freePort } from '../services/support/server.ts';

/** A pipeline from the forward input to a sink. */
function configure(rig: Rig, port: number, sinkPort: number, { input = '' } = {}): void {
  rig.configure(`
service:
  flush: 0.02
  grace: 1
  scheduler.base: 0.05
  scheduler.cap: 0.1
pipeline:
  inputs:
    - name: forward
      port: ${port}
${input}
  outputs:
    - name: http
      match: '*'
      port: ${sinkPort}
      format: json_lines
      json_date_key: off
`);
}

async function senderTo(agent: AgentProcess): Promise<Sender> {
  const { port } = await agent.said(/^Listening for the forward protocol$/);
  const sender = new Sender(connect(Number(port), '127.0.0.1'));
  onTestFinished(() => sender.close());
  await sender.connected;
  return sender;
}

/** Sends lines `from` up to before `to` of a stream, and asks for an acknowledgement. */
function send(sender: Sender, stream: string, from: number, to: number): void {
  const events = Array.from({ length: to - from }, (_, n) => [
    1_700_000_000,
    { log: numbered(stream, from + n) },
  ]);
  sender.send([stream, events, { chunk: `${stream}-${from}`, size: events.length }]);
}

test('what is acknowledged survives a kill, though the destination was never there', async ({ rig }) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 503 });
  configure(rig, 0, sink.port);
  const agent = await rig.start();
  const sender = await senderTo(agent);
  for (let n = 0; n < 1000; n += 100) send(sender, 'a', n, n + 100);
  for (let n = 0; n < 1000; n += 100) expect(await sender.answer()).toEqual({ ack: `a-${n}` });
  await agent.kill();
  sink.behave = () => ({ status: 200 });
  const again = await rig.start();
  await again.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 1000);
  expect(sink.distinct).toBe(1000);
});

test('without a disk an acknowledgement comes when the records have arrived', async ({ rig }) => {
  const sink = await rig.sink();
  let isUp = false;
  sink.behave = () => ({ status: isUp ? 200 : 503 });
  configure(rig, 0, sink.port);
  const agent = await rig.start({ state: 'off' });
  const sender = await senderTo(agent);
  send(sender, 'a', 0, 10);
  const answer = sender.answer();
  await agent.said(/^The destination failed/);
  isUp = true;
  expect(await answer).toEqual({ ack: 'a-0' });
  expect(sink.has('a', 0) && sink.has('a', 9)).toBe(true);
  isUp = false;
  send(sender, 'b', 0, 10);
  await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 10);
  // A stop that cannot deliver them closes the connection: their sender keeps them.
  agent.signal('SIGTERM');
  expect(await sender.answer()).toBeUndefined();
  await agent.exited;
  expect(agent.summary).toMatchObject({ read: 20, delivered: 10 });
});

test('a reload with another prefix keeps the port', async ({ rig }) => {
  const sink = await rig.sink();
  const port = await freePort();
  configure(rig, port, sink.port);
  const agent = await rig.start();
  send(await senderTo(agent), 'a', 0, 10);
  await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 10);
  configure(rig, port, sink.port, { input: '      tag_prefix: edge.' });
  expect(await agent.reload()).toMatchObject({ status: 200 });
  const sender = await senderTo(agent);
  send(sender, 'b', 0, 10);
  expect(await sender.answer()).toEqual({ ack: 'b-0' });
  await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') >= 20);
  expect(sink.distinct).toBe(20);
});
