/** What the system refuses: descriptors, and a directory that another agent has. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { inputPort, Sender } from '../support/sender.ts';
import { http, listener, pipeline, QUICK, tail } from '../support/yaml.ts';

test('96 descriptors for 200 files: fewer are open at once, 0 lost', async ({ rig }) => {
  const files = 200;
  const sink = await rig.sink();
  mkdirSync(rig.path('logs'));
  rig.configure(
    pipeline({
      inputs: [tail('path: logs/*.log', 'refresh_interval: 1')],
      outputs: [http(sink)],
    }),
  );
  const write = (from: number, to: number): void => {
    for (let file = 0; file < files; file++)
      writeFileSync(rig.path('logs', `${file}.log`), numberedLines(`f${file}`, from, to), { flag: 'a' });
  };
  write(0, 5);
  const agent = await rig.start({ openFiles: 96 });
  await sink.reached(files * 5);
  write(5, 10);
  await sink.reached(files * 10);
  expect(agent.descriptors).toBeLessThanOrEqual(96);
  const { code, summary } = await agent.stop();
  expect({ code, dropped: summary.dropped }).toEqual({ code: 0, dropped: 0 });
  expectComplete(sink, Object.fromEntries(Array.from({ length: files }, (_, file) => [`f${file}`, 10])));
  expect(countDoubles(sink)).toBe(0);
});

test('descriptors run out under the http input and the disk buffer: what was acknowledged arrives', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  const service = { ...QUICK, 'storage.overflow.min_free': 0 };
  rig.configure(
    pipeline({
      service,
      inputs: [listener('storage.type: filesystem', 'ack_timeout: 1s', 'http_server.idle_timeout: 1s')],
      outputs: [http(sink)],
    }),
  );
  const agent = await rig.start({ openFiles: 64 });
  const port = await inputPort(agent);
  // What serves the metrics is loaded with the first of them.
  await agent.scrape();
  // Connections of their own: some are refused for want of descriptors.
  const senders = Array.from({ length: 100 }, (_, index) => new Sender({ port, stream: `s${index}` }));
  const statuses = await Promise.allSettled(senders.map((sender) => sender.send(10)));
  const taken = senders.filter(({ acknowledged }) => acknowledged === 10);
  expect(statuses).toHaveLength(100);
  await sink.open();
  const last = new Sender({ port, stream: 'last' });
  while (last.acknowledged < 100) {
    // Whoever is hung up on, or told to come again, does.
    const status = await last.send(10).catch(() => undefined);
    if (status !== 201) await pause(50);
  }
  await sink.until(() => sink.has('last', 99));
  await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  const { code } = await agent.stop();
  expect(code).toBe(0);
  process.stderr.write(`descriptors: ${taken.length} of 100 requests taken at a limit of 64\n`);
  expectComplete(sink, {
    last: 100,
    ...Object.fromEntries(
      senders.flatMap((sender, index) => (taken.includes(sender) ? [[`s${index}`, 10]] : [])),
    ),
  });
});

test('two agents on one storage.path: the second ends with 3 and names the first, whose buffer is untouched', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  const configuration = pipeline({
    service: { ...QUICK, 'storage.path': rig.path('buffer'), 'storage.overflow.min_free': 0 },
    inputs: [listener('storage.type: filesystem')],
    outputs: [http(sink)],
  });
  rig.configure(configuration);
  writeFileSync(rig.path('other.yaml'), configuration);
  const first = await rig.start();
  const sender = new Sender({ port: await inputPort(first), stream: 'in' });
  await sender.sendUpTo(500, 100);
  const second = rig.launch({ config: 'other.yaml', state: 'other-state' });
  expect(await second.exited).toMatchObject({ code: 3 });
  expect(second.stderr).toContain(`process ${first.pid}`);
  expect(second.stderr).toContain('storage.path');
  await sender.sendUpTo(1000, 100);
  await first.kill();
  await sink.open();
  const third = await rig.start({ config: 'other.yaml', state: 'other-state' });
  await sink.reached(1000);
  await third.stop();
  expectComplete(sink, { in: 1000 });
});
