/** Reload by signal and by API: what is unchanged goes on, what changed takes over, what is wrong changes nothing (DELIVERY.md, rule 29). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { seededRandom, test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { reloadRun } from '../support/reload-run.ts';

const SERVICE = `
service:
  flush: 0.02
  grace: 1
  scheduler.base: 0.05
  scheduler.cap: 0.1
`;

const tail = (keys: string): string => `
    - name: tail
      path: app.log
      read_from_head: true
      ${keys}`;

const http = (port: number, keys = ''): string => `
    - name: http
      match: '*'
      format: json_lines
      port: ${port}
      ${keys}`;

const pipeline = ({
  inputs,
  filters = '',
  outputs,
}: {
  inputs: string;
  filters?: string;
  outputs: string;
}): string =>
  `${SERVICE}\npipeline:\n  inputs:${inputs}\n${filters === '' ? '' : `  filters:${filters}\n`}  outputs:${outputs}\n`;

async function hangUp(agent: AgentProcess): Promise<void> {
  const count = (await agent.scrape()).sum('tailrace_config_reloads_total');
  agent.signal('SIGHUP');
  await agent.until((scrape) => scrape.sum('tailrace_config_reloads_total') === count + 1);
}

test('fault 39: 50 reloads under a writer: filters, outputs and mistakes come and go, no line is lost or doubled', async ({
  rig,
}) => {
  await reloadRun(rig, { reloads: 50, random: seededRandom() });
});

test('a changed destination takes over the backlog of the old one', async ({ rig }) => {
  const [old, next] = [await rig.sink(), await rig.sink()];
  await old.close();
  rig.configure(pipeline({ inputs: tail('tag: app'), outputs: http(old.port) }));
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 2000));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) > 0);
  rig.configure(pipeline({ inputs: tail('tag: app'), outputs: http(next.port) }));
  await hangUp(agent);
  await next.reached(2000);
  writeFileSync(rig.path('app.log'), numberedLines('app', 2000, 2100), { flag: 'a' });
  await next.reached(2100);
  const { summary } = await agent.stop();
  expect(summary.text).toContain('nothing left');
  expectComplete(next, { app: 2100 });
  expect(countDoubles(next)).toBe(0);

  const again = await rig.start();
  writeFileSync(rig.path('app.log'), numberedLines('app', 2100, 2110), { flag: 'a' });
  await next.reached(2110);
  await again.stop();
  expect(countDoubles(next)).toBe(0);
});

test('a changed input goes on where it stood', async ({ rig }) => {
  const sink = await rig.sink();
  const outputs = http(sink.port);
  rig.configure(pipeline({ inputs: tail('tag: before'), outputs }));
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 1000));
  const agent = await rig.start();
  await sink.reached(1000);
  rig.configure(pipeline({ inputs: tail('tag: after'), outputs }));
  expect(await agent.reload()).toEqual({ status: 200, reload: 'done' });
  writeFileSync(rig.path('app.log'), numberedLines('app', 1000, 2000), { flag: 'a' });
  await sink.reached(2000);
  await agent.stop();
  expectComplete(sink, { app: 2000 });
  expect(countDoubles(sink)).toBe(0);
});

test('an output that is added gets what comes, one that is removed no more', async ({ rig }) => {
  const [first, second] = [await rig.sink(), await rig.sink()];
  const inputs = tail('tag: app');
  const one = http(first.port, 'alias: one');
  const two = http(second.port, 'alias: two');
  const append = (from: number, to: number): void =>
    writeFileSync(rig.path('app.log'), numberedLines('app', from, to), { flag: 'a' });
  rig.configure(pipeline({ inputs, outputs: one }));
  append(0, 100);
  const agent = await rig.start();
  await first.reached(100);

  rig.configure(pipeline({ inputs, outputs: one + two }));
  await hangUp(agent);
  append(100, 200);
  await Promise.all([first.reached(200), second.reached(100)]);

  rig.configure(pipeline({ inputs, outputs: two }));
  await hangUp(agent);
  append(200, 300);
  await second.reached(200);
  await agent.stop();
  expect(first.distinct).toBe(200);
  expect(second.has('app', 99)).toBe(false);
  expect(countDoubles(first) + countDoubles(second)).toBe(0);
});

test('fault 39: a configuration that is wrong changes nothing and is told', async ({ rig }) => {
  const sink = await rig.sink();
  const good = pipeline({ inputs: tail('tag: app'), outputs: http(sink.port) });
  rig.configure(good);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 100));
  const agent = await rig.start();
  await sink.reached(100);
  rig.configure(good.replace('read_from_head', 'read_from_hed'));
  expect(await agent.reload()).toEqual({ status: 400, reload: 'refused' });
  const { error } = await agent.said(/^The new configuration is not used/);
  expect(String(error)).toMatch(/pipeline\.yaml:\d+:\d+.*read_from_hed[^]*did you mean "read_from_head"/);
  await hangUp(agent);
  writeFileSync(rig.path('app.log'), numberedLines('app', 100, 200), { flag: 'a' });
  await sink.reached(200);
  rig.configure(good);
  expect(await agent.reload()).toEqual({ status: 200, reload: 'done' });
  await agent.stop();
  expect(countDoubles(sink)).toBe(0);
});
