/** The inputs that nobody answers to, in a whole agent: the sample of tcp and udp, and what happens to them at a stop. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Scrape } from '../support/metrics.ts';

test('the sample takes JSON by TCP and lines by UDP', async ({ rig }) => {
  cpSync(
    join(import.meta.dirname, '../../pipelines/tcp-receiver.yaml'),
    rig.path('pipelines/tcp-receiver.yaml'),
  );
  const agent = await rig.start({
    config: 'pipelines/tcp-receiver.yaml',
    env: { TCP_PORT: '0', UDP_PORT: '0' },
  });
  const { port } = await agent.said(/^Listening for records$/);
  const { port: udpPort } = await agent.said(/^Listening for records in datagrams$/);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write('{"big":12345678901234567890}\n{"n":2}');
  const datagrams = createSocket('udp4');
  datagrams.send('by UDP', Number(udpPort), '127.0.0.1');
  await agent.shown(3);
  expect(agent.stdout).toContain('"big":12345678901234567890,"from":"tcp://127.0.0.1:');
  expect(agent.stdout).toMatch(/"log":"by UDP","from":"udp:\/\/127\.0\.0\.1:\d+"\}/);
  socket.write('{"n":3}{"n":');
  datagrams.close();
  await agent.shown(4);
  const { code, summary } = await agent.stop();
  expect(code).toBe(0);
  // The half record that its sender was in the middle of.
  expect(summary).toMatchObject({ read: 5, delivered: 4, dropped: 1 });
  socket.destroy();
});

test('who begins messages on many connections and never ends them keeps no other input waiting', async ({
  rig,
}) => {
  rig.configure(`
service:
  flush: 0.02
  memory_limit: 1M
pipeline:
  inputs:
    - name: tcp
      format: none
      port: 0
    - name: dummy
      tag: dummy
      rate: 50
  outputs:
    - name: 'null'
      match: '*'
`);
  const agent = await rig.start();
  const { port } = await agent.said(/^Listening for records$/);
  // The more is taken, the smaller the beginnings that still fit: all of the memory, to the byte.
  for (const bytes of [400_000, 100_000, 10_000, 1000, 100, 10, 1]) {
    for (let count = 0; count < 10; count++) {
      const socket = connect(Number(port), '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      await once(socket, 'connect');
      // The agent is killed before they are closed.
      socket.on('error', () => {});
      socket.write('x'.repeat(bytes));
    }
  }
  const delivered = (scrape: Scrape): number => scrape.sum('tailrace_output_delivered_records_total');
  await agent.until((scrape) => scrape.sum('tailrace_input_connections') === 70);
  const before = delivered(await agent.scrape());
  await agent.until((scrape) => delivered(scrape) > before + 25);
});
