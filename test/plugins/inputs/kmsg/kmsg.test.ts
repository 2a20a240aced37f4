import { spawnSync } from 'node:child_process';
import {
  accessSync,
  appendFileSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import kmsg from '../../../../plugins/inputs/kmsg.ts';
import { KmsgDevice } from '../../../../plugins/inputs/kmsg/device.ts';
import { KmsgInput } from '../../../../plugins/inputs/kmsg/input.ts';
import type { Emit, Input, LogRecord } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { Collector, inputContext } from '../collecting.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-kmsg-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function surroundings() {
  const collector = new Collector();
  const drops: Record<string, number> = {};
  const context = {
    ...inputContext(),
    drop: (reason: string, count: number) => {
      drops[reason] = (drops[reason] ?? 0) + count;
    },
  };
  // As the pipeline does: what it takes is handed over.
  const emit: Emit = (tag, batch) => {
    const room = collector.emit(tag, batch);
    batch.source?.advance(batch.base + (batch.stops[batch.length - 1] as number));
    return room;
  };
  const ends = async (input: Input) => {
    await input.stop();
    await input.close?.();
  };
  return { collector, drops, context, emit, ends };
}

async function start(written: Record<string, string>) {
  const around = surroundings();
  const input = await kmsg.create(optionsOf(kmsg.options, written), around.context);
  await input.start(around.emit);
  onTestFinished(() => around.ends(input));
  return { ...around, input };
}

const texts = ({ collector }: { collector: Collector }): unknown[] =>
  collector.records.map((record) => (record as LogRecord)['msg']);

it('makes records as Fluent Bit does, with the time of the clock', async () => {
  const path = join(directory, 'kmsg');
  const aSecondAgo = Number(process.hrtime.bigint() / 1000n) - 1_000_000;
  writeFileSync(
    path,
    `6,7,${aSecondAgo},-;first\n28,8,${aSecondAgo + 250_000},-;from user space\n6,9,${aSecondAgo + 500_000},-;with more\n SUBSYSTEM=net\n DEVICE=n1\n`,
  );
  const { collector, drops } = await start({ path });
  await collector.reached(3);
  const sec = Math.floor(aSecondAgo / 1e6);
  const usec = aSecondAgo % 1e6;
  expect(collector.records[0]).toEqual({ priority: 6, sequence: 7, sec, usec, msg: 'first' });
  expect(collector.records[1]).toMatchObject({ priority: 4, facility: 3, msg: 'from user space' });
  expect(collector.records[2]).toMatchObject({
    msg: 'with more',
    dictionary: { SUBSYSTEM: 'net', DEVICE: 'n1' },
  });
  const [first, second] = collector.events.map(({ seconds, nanos }) => seconds + nanos / 1e9);
  expect(Math.abs(Date.now() / 1000 - 1 - (first as number))).toBeLessThan(5);
  expect((second as number) - (first as number)).toBeCloseTo(0.25, 5);
  // What was overwritten before anybody read is nobody's loss.
  expect(drops).toEqual({});
});

it('reads a FIFO that is written to line by line, and says that it is a stand-in', async () => {
  const path = join(directory, 'fifo');
  spawnSync('mkfifo', [path]);
  const started = await start({ path });
  const { collector, context } = started;
  expect(context.log.lines.find(({ level }) => level === 'warn')?.message).toMatch(/stands in/);
  const writer = openSync(path, 'w');
  writeSync(writer, '6,1,1,-;one\n6,2,2,-;two\n 6,3,');
  await collector.reached(1);
  writeSync(writer, '3=x\n6,4,4,-;fo');
  await collector.reached(2);
  writeSync(writer, 'ür\n');
  closeSync(writer);
  await collector.reached(3);
  expect(texts(started)).toEqual(['one', 'two', 'foür']);
  expect(collector.records[1]).toMatchObject({ dictionary: { '6,3,3': 'x' } });
});

it('leaves out what is below prio_level, and counts that and what is no message', async () => {
  const path = join(directory, 'kmsg');
  writeFileSync(path, '7,1,1,-;debug\n4,2,2,-;warning\nnonsense\n12,3,3,-;user warning\n5,4,4,-;notice\n');
  const started = await start({ path, prio_level: '4' });
  await started.collector.reached(2);
  await expect.poll(() => started.drops).toEqual({ priority: 2, malformed: 1 });
  expect(texts(started)).toEqual(['warning', 'user warning']);
});

describe('messages that were overwritten', () => {
  /** Gives what it is told to, as the device does. */
  function ring(steps: (string | Error)[]) {
    const around = surroundings();
    const input = new KmsgInput(
      {
        path: 'ring',
        mostPriority: 8,
        open: () => ({
          isStandIn: false,
          next() {
            const step = steps.shift();
            if (step instanceof Error) throw step;
            return step;
          },
          close: () => {},
        }),
      },
      around.context,
    );
    input.start(around.emit);
    onTestFinished(() => around.ends(input));
    return around;
  }

  const overwritten = Object.assign(new Error('EPIPE: broken pipe, read'), { code: 'EPIPE' });

  it('are counted by the gap in the numbers, said once, and reading goes on', async () => {
    const around = ring([
      '6,5,1,-;a\n',
      overwritten,
      '6,105,2,-;b\n',
      '6,106,3,-;c\n',
      overwritten,
      '6,110,4,-;d\n',
    ]);
    await around.collector.reached(4);
    expect(texts(around)).toEqual(['a', 'b', 'c', 'd']);
    expect(around.drops).toEqual({ overwritten: 99 + 3 });
    expect(around.context.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('a device that cannot be read is said once, and asked again', async () => {
    const around = ring(['6,5,1,-;a\n', Object.assign(new Error('EIO'), { code: 'EIO' }), '6,6,2,-;b\n']);
    await around.collector.reached(2);
    expect(around.context.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(around.drops).toEqual({});
  });
});

it('waits while there is no room', async () => {
  const path = join(directory, 'kmsg');
  writeFileSync(path, Array.from({ length: 1200 }, (_, n) => `6,${n},${n},-;m${n}\n`).join(''));
  const around = surroundings();
  around.collector.fill();
  const input = await kmsg.create(optionsOf(kmsg.options, { path }), around.context);
  await input.start(around.emit);
  onTestFinished(() => around.ends(input));
  await around.collector.reached(1);
  appendFileSync(path, '6,1200,1200,-;last\n');
  expect(around.collector.batches).toEqual([500]);
  around.collector.drain();
  await around.collector.reached(1201);
  expect(around.collector.batches).toEqual([500, 500, 201]);
});

describe('what is there', () => {
  const REAL = '/dev/kmsg';

  function canRead(): boolean {
    try {
      accessSync(REAL, constants.R_OK);
      new KmsgDevice(REAL).close();
      return true;
    } catch {
      return false;
    }
  }

  it('is the real device, or a reason why not', async () => {
    if (canRead()) {
      const { collector, context } = await start({});
      await collector.reached(1);
      expect(context.log.lines).toEqual([]);
      expect(collector.records[0]).toMatchObject({ priority: expect.any(Number), msg: expect.any(String) });
    } else {
      await expect(start({})).rejects.toThrow(
        /input\.0: opening \/dev\/kmsg: .*(CAP_SYSLOG|container|EIO|EINVAL)/,
      );
    }
  });

  it('is said when it is not', async () => {
    await expect(start({ path: join(directory, 'none') })).rejects.toThrow(/opening .*none: it is not there/);
  });
});
