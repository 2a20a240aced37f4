/** Reloads under a running writer: the main output must see no gap and no double, and the process must keep no descriptor. */
import { expect } from 'vitest';
import type { Rig } from './e2e.ts';
import { countDoubles, expectComplete } from './judge.ts';
import { NumberedWriter } from './numbered.ts';

export interface ReloadRun {
  reloads: number;
  random: (below: number) => number;
}

/** Descriptors that may come and go by themselves: connections to the sinks and of the scrape. */
const SLACK = 8;

export async function reloadRun(rig: Rig, { reloads, random }: ReloadRun): Promise<void> {
  const [main, side] = [await rig.sink(), await rig.sink()];
  main.behave = () => ({ status: 200, afterMs: random(20) });
  const config = (extra: { filter?: string; output?: string; mistake?: string } = {}): string => `
service:
  flush: 0.02
  grace: 1
pipeline:
  inputs:
    - name: tail
      path: app.log*
      tag: app
      read_from_head: true
      ${extra.mistake ?? ''}
  filters:
    - name: record_modifier
      match: '*'
      record: filter ${extra.filter ?? 'plain'}
  outputs:
    - name: http
      alias: main
      match: '*'
      format: json_lines
      port: ${main.port}
${extra.output ?? ''}`;
  const other = `
    - name: http
      alias: side
      match: '*'
      format: json_lines
      port: ${side.port}
`;
  const variants: [yaml: string, isGood: boolean][] = [
    [config(), true],
    [config({ filter: 'other' }), true],
    [config({ output: other }), true],
    [config({ mistake: 'pathh: nowhere' }), false],
    [config({ mistake: '[' }), false],
  ];

  rig.configure(config());
  const writer = new NumberedWriter({ path: rig.path('app.log'), stream: 'app', rotateEvery: 3000 });
  writer.append(100);
  const agent = await rig.start();
  await main.reached(100);
  const enough = new AbortController();
  const writing = writer.pace(Number.POSITIVE_INFINITY, 50, 10, enough.signal);

  let descriptors = 0;
  let done = 0;
  for (let reload = 0; reload < reloads; reload++) {
    const [yaml, isGood] = variants[random(variants.length)] ?? [config(), true];
    rig.configure(yaml);
    if (reload % 2 === 0) {
      const { status } = await agent.reload();
      expect(status).toBe(isGood ? 200 : 400);
    } else {
      agent.signal('SIGHUP');
      await agent.until((scrape) => scrape.sum('tailrace_config_reloads_total') === reload + 1);
    }
    if (isGood) done++;
    // Once every kind of plugin has been there, the number is what it takes to run.
    if (reload === 10) descriptors = agent.descriptors;
  }
  enough.abort();
  await writing;
  await main.reached(writer.next);
  rig.configure(config());
  await agent.reload();
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_config_reloads_total', { result: 'done' })).toBe(done + 1);
  // Rotated files are let go some seconds after they were read.
  const allowed = descriptors + SLACK + writer.rotations;
  expect(agent.descriptors, `descriptors, ${descriptors} after ten reloads`).toBeLessThanOrEqual(allowed);
  await agent.stop();
  expectComplete(main, { app: writer.next });
  expect(countDoubles(main)).toBe(0);
  expect(countDoubles(side)).toBe(0);
}
