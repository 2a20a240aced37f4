/** Faults 9 and 11: a disk buffer that is full, or allowed less than it holds (DELIVERY.md, rule 16). */
import { statfsSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { inputPort, Sender } from '../support/sender.ts';
import type { HttpSink } from '../support/sink.ts';
import { withSmallDisk } from '../support/small-disk.ts';
import { http, listener, pipeline, QUICK, tail } from '../support/yaml.ts';

const PADDING = 200;

/** Asks until the agent is not ready for this reason; for as long as the test may run. */
async function unready(agent: AgentProcess, reason: RegExp): Promise<void> {
  for (;;) {
    const { status, reasons } = await agent.ready();
    if (status === 503 && reasons.some((each) => reason.test(each))) return;
    await pause(50);
  }
}

test('fault 9: the volume of the buffer fills up (4 MB), a file is followed', async ({ rig, skip }) => {
  await withSmallDisk({ rig, bytes: 4_000_000, skip }, async (disk) => {
    const lines = 60_000;
    const healthy = await rig.sink();
    const dead = await rig.sink();
    await dead.close();
    rig.configure(
      pipeline({
        service: {
          ...QUICK,
          memory_limit: '2M',
          'storage.path': disk,
          'storage.overflow.min_free': 0,
        },
        inputs: [tail()],
        outputs: [http(healthy, 'alias: healthy'), http(dead, 'alias: dead')],
      }),
    );
    writeFileSync(rig.path('app.log'), numberedLines('app', 0, lines, PADDING));
    const agent = await rig.start();
    await agent.until((scrape) => scrape.sum('tailrace_storage_full') > 0);
    await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
    const full = await agent.scrape();
    expect(full.sum('tailrace_input_read_records_total'), 'the input waits').toBeLessThan(lines);
    expect(full.sum('tailrace_output_dropped_records_total')).toBe(0);
    await unready(agent, /disk buffer/);
    const said = agent.log.filter(({ msg }) =>
      /disk buffer (is full|cannot be written)|too little space/.test(msg),
    );
    expect(said.length, said.map(({ msg }) => msg).join('\n')).toBe(1);
    const { bavail, bsize } = statfsSync(disk);
    expect(bavail * bsize, 'bytes that are free on the volume').toBeLessThan(1_500_000);

    await dead.open();
    await Promise.all([healthy.reached(lines), dead.reached(lines)]);
    await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
    await agent.said(/^The disk buffer has room again|^The disk buffer can be written again/);
    const { code, summary } = await agent.stop();
    expect({ code, dropped: summary.dropped }).toEqual({ code: 0, dropped: 0 });
    for (const sink of [healthy, dead]) {
      expectComplete(sink, { app: lines });
      expect(countDoubles(sink)).toBe(0);
    }
  });
});

test('fault 9: the volume of the buffer fills up (4 MB), records come by HTTP: 429, then all is well', async ({
  rig,
  skip,
}) => {
  await withSmallDisk({ rig, bytes: 4_000_000, skip }, async (disk) => {
    const sink = await rig.sink();
    await sink.close();
    rig.configure(
      pipeline({
        service: {
          ...QUICK,
          memory_limit: '2M',
          'storage.path': disk,
          'storage.overflow.min_free': 0,
        },
        inputs: [listener('storage.type: filesystem', 'ack_timeout: 1s')],
        outputs: [http(sink)],
      }),
    );
    const agent = await rig.start();
    const sender = new Sender({ port: await inputPort(agent), stream: 'app', padding: PADDING });
    // What is refused for want of memory alone is taken a moment later: the disk is full when nothing is taken several times.
    for (let refused = 0; refused < 5;) {
      if ((await sender.send(200)) === 201) refused = 0;
      else {
        refused++;
        await pause(100);
      }
    }
    const { acknowledged } = sender;
    expect(acknowledged).toBeGreaterThan(5000);
    await agent.until((scrape) => scrape.sum('tailrace_storage_full') > 0);
    await unready(agent, /disk buffer/);
    await sink.open();
    await sink.reached(acknowledged);
    await sender.sendUpTo(acknowledged + 1000, 200);
    await sink.reached(acknowledged + 1000);
    await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
    const { summary } = await agent.stop();
    expect(summary.dropped).toBe(0);
    expectComplete(sink, { app: acknowledged + 1000 });
    process.stderr.write(`fault 9: ${countDoubles(sink)} doubles of requests answered with 503\n`);
  });
});

/** 10,000 records that an earlier run left on disk, some 2.5 MB. */
async function backlog(rig: Rig, sink: HttpSink): Promise<number> {
  const lines = 10_000;
  await sink.close();
  const service = { ...QUICK, 'storage.overflow.min_free': 0 };
  rig.configure(pipeline({ service, inputs: [listener('storage.type: filesystem')], outputs: [http(sink)] }));
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'app', padding: PADDING });
  await sender.sendUpTo(lines, 200);
  await agent.stop();
  return lines;
}

test('fault 11: less is allowed than lies on disk: it drains, nothing goes', async ({ rig }) => {
  const sink = await rig.sink();
  const lines = await backlog(rig, sink);
  rig.configure(
    pipeline({
      service: {
        ...QUICK,
        memory_limit: '2M',
        'storage.overflow.min_free': 0,
        'storage.overflow.limit': '500k',
      },
      inputs: [listener('storage.type: filesystem')],
      outputs: [http(sink, 'storage.total_limit_size: 500k')],
    }),
  );
  const agent = await rig.start();
  const scrape = await agent.until(
    (each) => each.sum('tailrace_output_attempts_total', { result: 'failed' }) > 2,
  );
  expect(scrape.sum('tailrace_output_recovered_records_total')).toBe(lines);
  expect(scrape.sum('tailrace_output_buffered_records')).toBe(lines);
  await sink.open();
  await sink.reached(lines);
  const sender = new Sender({ port: await inputPort(agent), stream: 'new' });
  await sender.sendUpTo(100, 100);
  await sink.reached(lines + 100);
  const { summary } = await agent.stop();
  expect(summary.dropped).toBe(0);
  expectComplete(sink, { app: lines, new: 100 });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 11: less is allowed and drop_oldest written: the oldest go, counted', async ({ rig }) => {
  const sink = await rig.sink();
  const lines = await backlog(rig, sink);
  rig.configure(
    pipeline({
      service: { ...QUICK, 'storage.overflow.min_free': 0 },
      inputs: [listener('storage.type: filesystem')],
      outputs: [http(sink, 'storage.total_limit_size: 500k', 'storage.when_full: drop_oldest')],
    }),
  );
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'new', padding: PADDING });
  await sender.sendUpTo(400, 200);
  const reason = 'buffer_full';
  const scrape = await agent.until(
    (each) => each.sum('tailrace_output_dropped_records_total', { reason }) > lines / 2,
  );
  const dropped = scrape.sum('tailrace_output_dropped_records_total', { reason });
  expect(dropped).toBeLessThan(lines);
  const kept = lines + 400 - dropped;
  expect(scrape.sum('tailrace_output_buffered_records')).toBe(kept);
  await sink.open();
  await sink.reached(kept);
  await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  const { summary } = await agent.stop();
  expect(summary.dropped).toBe(dropped);
  // The oldest went, but for what was just being sent.
  const there = Array.from({ length: lines }, (_, n) => n).filter((n) => sink.has('app', n));
  expect(there).toHaveLength(lines - dropped);
  expect(there.filter((n) => n < lines / 2).length, 'old ones that are there').toBeLessThan(lines / 10);
  expect(there.slice(-1000), 'the newest').toEqual(Array.from({ length: 1000 }, (_, n) => lines - 1000 + n));
  expectComplete(sink, { new: 400 });
  expect(countDoubles(sink)).toBe(0);
});
