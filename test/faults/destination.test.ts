/** Faults 12 to 14 and 17: destinations that are down for long, never answer, hang up, come and go (DELIVERY.md, rules 20, 22 and 24). */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete, repeatedRequests } from '../support/judge.ts';
import { numberedLines, NumberedWriter } from '../support/numbered.ts';
import { listenBelow } from '../support/ports.ts';
import { http, pipeline, QUICK } from '../support/yaml.ts';

const LINES = 2000;

/** What takes connections and then does as it is told. */
async function rawServer(
  use: (socket: Socket) => void,
): Promise<{ port: number; connections: () => number }> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server: Server = createServer((socket) => {
    count++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    use(socket);
  });
  const port = await listenBelow(server);
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  return { port, connections: () => count };
}

function lines(rig: Rig, from = 0, to = LINES): void {
  writeFileSync(rig.path('app.log'), numberedLines('app', from, to), { flag: 'a' });
}

test('fault 12: down for an hour (here 2.4 s, a fifteen-hundredth), stock configuration: 0 lost, then it goes on', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  rig.configure(pipeline({ service: {}, outputs: [http(sink)] }));
  const writer = new NumberedWriter({ path: rig.path('app.log'), stream: 'app', rotateEvery: 2500 });
  writer.append(100);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) > 0);
  await writer.pace(6000, 25, 10);
  const down = await agent.scrape();
  expect(down.sum('tailrace_output_dropped_records_total')).toBe(0);
  expect(down.sum('tailrace_output_dead_lettered_records_total')).toBe(0);
  await sink.open();
  // The waits have grown to seconds.
  await sink.reached(6000);
  await agent.stop();
  expectComplete(sink, { app: 6000 });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 12: longer than the buffer reaches: the input waits, nothing goes', async ({ rig }) => {
  const sink = await rig.sink();
  await sink.close();
  const total = 30_000;
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '1M', 'storage.overflow': 'block' },
      outputs: [http(sink)],
    }),
  );
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, total, 100));
  const agent = await rig.start();
  const waiting = await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  expect(waiting.sum('tailrace_input_read_records_total')).toBeLessThan(total);
  // The batch that fills it is there already, up to a block of the file and its columns: the input waits before the next.
  expect(waiting.sum('tailrace_buffer_bytes')).toBeLessThanOrEqual(1_000_000 + 512 * 1024);
  await sink.open();
  await sink.reached(total);
  const { summary } = await agent.stop();
  expect(summary.dropped).toBe(0);
  expectComplete(sink, { app: total });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 13: one byte of an answer a second, and no answer at all: given up, tried again, no other output waits', async ({
  rig,
}) => {
  const trickle = await rawServer((socket) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n';
    let sent = 0;
    const timer = setInterval(() => {
      socket.write(answer[sent++] ?? 'x');
    }, 1000);
    socket.on('close', () => clearInterval(timer));
    socket.resume();
  });
  const mute = await rawServer((socket) => socket.resume());
  const healthy = await rig.sink();
  rig.configure(
    pipeline({
      outputs: [
        http(trickle, 'alias: trickle', 'http.response_timeout: 1s'),
        http(mute, 'alias: mute', 'http.response_timeout: 1s'),
        http(healthy, 'alias: healthy'),
      ],
    }),
  );
  lines(rig);
  const agent = await rig.start();
  await healthy.reached(LINES);
  const failed = (name: string): Promise<unknown> =>
    agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { name, result: 'failed' }) > 1);
  await Promise.all([failed('trickle'), failed('mute')]);
  lines(rig, LINES, LINES + 100);
  await healthy.reached(LINES + 100);
  const scrape = await agent.scrape();
  for (const name of ['trickle', 'mute']) {
    expect(scrape.sum('tailrace_output_buffered_records', { name })).toBe(LINES + 100);
    expect(scrape.sum('tailrace_output_dead_lettered_records_total', { name })).toBe(0);
  }
  const { code } = await agent.stop();
  expect(code).toBe(0);
  expectComplete(healthy, { app: LINES + 100 });
  expect(countDoubles(healthy)).toBe(0);
});

test('fault 13: a destination that hangs up after each answer: everything once, nothing is taken for a failure', async ({
  rig,
}) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 200, headers: { connection: 'close' } });
  rig.configure(pipeline({ outputs: [http(sink)] }));
  const agent = await rig.start();
  for (let round = 0; round < 20; round++) {
    lines(rig, round * 10, round * 10 + 10);
    await sink.reached(round * 10 + 10);
  }
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_output_attempts_total', { result: 'failed' })).toBe(0);
  await agent.stop();
  expectComplete(sink, { app: 200 });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 13: one that closes kept connections without a word: at most what it left open comes twice', async ({
  rig,
}) => {
  const sink = await rig.sink();
  rig.configure(pipeline({ outputs: [http(sink)] }));
  const agent = await rig.start();
  for (let round = 0; round < 10; round++) {
    lines(rig, round * 10, round * 10 + 10);
    await sink.reached(round * 10 + 10);
    sink.hangUp();
  }
  await agent.stop();
  expectComplete(sink, { app: 100 });
});

test('fault 14: up 0.1 s, down 0.5 s, 3 s long (a tenth of the times, a two-hundredth of the length): 0 lost, no storm of requests', async ({
  rig,
}) => {
  const sink = await rig.sink();
  rig.configure(pipeline({ outputs: [http(sink)] }));
  let up = true;
  // Refusing connections and failing requests are one to the back-off; this can be counted.
  sink.behave = () => ({ status: up ? 200 : 503 });
  const agent = await rig.start();
  const writer = new NumberedWriter({ path: rig.path('app.log'), stream: 'app' });
  const writing = writer.pace(3000, 10, 10);
  for (let round = 0; round < 5; round++) {
    up = true;
    await pause(100);
    up = false;
    await pause(500);
  }
  up = true;
  await writing;
  await sink.reached(3000);
  await agent.stop();
  expectComplete(sink, { app: 3000 });
  expect(countDoubles(sink)).toBe(0);
  const failed = sink.requests.filter(({ stored }) => !stored).length;
  // One probing request per wait: the cap is 0.1 s with full jitter, half of it on average, and 2.5 s are spent down.
  process.stderr.write(`fault 14: ${failed} failed of ${sink.requests.length} requests\n`);
  expect(failed, 'failed requests').toBeLessThanOrEqual(2 * (2.5 / 0.05));
});

test('fault 17: the connection is cut behind the body, before the answer: that batch twice, no other', async ({
  rig,
}) => {
  const sink = await rig.sink();
  sink.behave = (index) => (index === 2 ? 'reset after' : { status: 200 });
  rig.configure(pipeline({ outputs: [http(sink)] }));
  const agent = await rig.start();
  for (let round = 0; round < 6; round++) {
    lines(rig, round * 100, round * 100 + 100);
    await sink.reached(round * 100 + 100);
  }
  await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  await agent.stop();
  expectComplete(sink, { app: 600 });
  expect(repeatedRequests(sink).map(({ index }) => index)).toEqual([2]);
  expect(countDoubles(sink)).toBe(sink.requests[2]?.lines.length);
});
