/** Fault 34: the wall clock jumps. A module loaded before the agent shifts its Date: the stand-in for setting the machine's clock. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines, rotate } from '../support/numbered.ts';
import { inputPort, Sender } from '../support/sender.ts';
import { http, listener, pipeline, QUICK, tail } from '../support/yaml.ts';

const HOUR = 3600;
const JUMPS = { 'an hour ahead': HOUR, 'an hour back': -HOUR, 'ten years ahead': 10 * 365 * 24 * HOUR };
const NODE = ['--import', join(import.meta.dirname, '../support/shifted-clock.ts')];

function setClock(rig: Rig, seconds: number): void {
  writeFileSync(rig.path('clock-offset'), String(seconds));
}

/** Resolves when the agent's clock is off by so much. */
async function clockIs(rig: Rig, seconds: number): Promise<void> {
  setClock(rig, seconds);
  const is = rig.path('clock-is');
  while (!existsSync(is) || readFileSync(is, 'utf8') !== String(seconds)) await pause(5);
}

for (const [name, seconds] of Object.entries(JUMPS)) {
  test(`fault 34: ${name}, while requests fail and files rotate: nothing purged, no storm, no stall`, async ({
    rig,
  }) => {
    const sink = await rig.sink();
    sink.behave = () => ({ status: 503 });
    rig.configure(pipeline({ outputs: [http(sink, 'retry_max_age: 30m')] }));
    writeFileSync(rig.path('app.log'), numberedLines('app', 0, 500));
    setClock(rig, 0);
    const agent = await rig.start({ node: NODE });
    await sink.until(() => sink.requests.length > 3);
    await clockIs(rig, seconds);
    const before = sink.requests.length;
    const since = performance.now();
    await sink.until(() => sink.requests.length > before + 5);
    // The longest wait is 0.1 s, half of it on average.
    await pause(500);
    const rate = (sink.requests.length - before) / ((performance.now() - since) / 1000);
    expect(rate, 'requests per second').toBeLessThan(3 * 20);
    rotate(rig.path('app.log'));
    writeFileSync(rig.path('app.log'), numberedLines('app', 500, 1000));
    sink.behave = () => ({ status: 200 });
    await sink.reached(1000);
    await clockIs(rig, 0);
    rotate(rig.path('app.log'));
    writeFileSync(rig.path('app.log'), numberedLines('app', 1000, 1500));
    await sink.reached(1500);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ dropped: 0, dead_lettered: 0, in_doubt: 0 });
    expectComplete(sink, { app: 1500 });
    expect(countDoubles(sink)).toBe(0);
  });

  test(`fault 34: ${name} between two runs, with records on disk and positions: nothing purged, none twice`, async ({
    rig,
  }) => {
    const sink = await rig.sink();
    rig.configure(
      pipeline({
        service: { ...QUICK, 'storage.overflow.min_free': 0 },
        inputs: [tail(), listener('storage.type: filesystem')],
        outputs: [http(sink)],
      }),
    );
    writeFileSync(rig.path('app.log'), numberedLines('app', 0, 500));
    setClock(rig, 0);
    const first = await rig.start({ node: NODE });
    await sink.reached(500);
    await sink.close();
    const sender = new Sender({ port: await inputPort(first), stream: 'in' });
    await sender.sendUpTo(500, 100);
    await first.stop();

    setClock(rig, seconds);
    await sink.open();
    writeFileSync(rig.path('app.log'), numberedLines('app', 500, 600), { flag: 'a' });
    const second = await rig.start({ node: NODE });
    await sink.reached(1100);
    const again = new Sender({ port: await inputPort(second), stream: 'later' });
    await again.sendUpTo(100, 100);
    await sink.reached(1200);
    const { summary } = await second.stop();
    expect(summary).toMatchObject({ dropped: 0, dead_lettered: 0 });
    expectComplete(sink, { app: 600, in: 500, later: 100 });
    expect(countDoubles(sink)).toBe(0);
  });
}
