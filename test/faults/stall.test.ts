/** A main loop that stands still (FAULTS 40): it shows, it is ended, and nothing is lost. Times are a twentieth of the default. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { Cli, workspace } from '../cli/harness.ts';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';

const LINES = 2000;

/** Loops for ever on a record with the marker, while a file says so. */
const FILTER = `
import { existsSync } from 'node:fs';
export default {
  kind: 'filter',
  name: 'slow',
  summary: 'Stands still',
  options: {},
  create: () => ({
    process(batch) {
      for (let index = 0; index < batch.length; index++) {
        if (!batch.json(index).includes('S=app:${LINES};')) continue;
        while (existsSync('spell')) {}
      }
    },
  }),
};
`;

const answers = async (url: string): Promise<{ status: number; body: string }> => {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
};

/** Asks until the answer is 503 with this text; for as long as the test may run. */
async function red(url: string, text: string): Promise<void> {
  for (;;) {
    const { status, body } = await answers(url);
    if (status === 503 && body.includes(text)) return;
    await pause(25);
  }
}

/** An agent that has delivered the first lines and will stand still at the poison. */
async function underASpell(
  rig: Rig,
  timeout: string,
): Promise<{ sink: HttpSink; agent: AgentProcess; url: string }> {
  const sink = await rig.sink();
  writeFileSync(rig.path('slow.mjs'), FILTER);
  writeFileSync(rig.path('spell'), '');
  rig.configure(`
plugins:
  - ./slow.mjs
service:
  flush: 0.02
  watchdog.timeout: ${timeout}
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
  filters:
    - name: slow
      match: '*'
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES));
  const agent = await rig.start();
  await sink.reached(LINES);
  return { sink, agent, url: await agent.api() };
}

/** As many lines again; the first of them is the poison. */
function poison(rig: Rig): void {
  writeFileSync(rig.path('app.log'), numberedLines('app', LINES, 2 * LINES), { flag: 'a' });
}

test('a filter that never returns: /ready names it, /health follows, the process is ended, 0 lost', async ({
  rig,
}) => {
  const { sink, agent: first, url } = await underASpell(rig, '3s');
  expect(await answers(`${url}/ready`)).toMatchObject({ status: 200 });
  expect(await answers(`${url}/health`)).toMatchObject({ status: 200 });

  poison(rig);
  await red(`${url}/ready`, 'last seen in filter slow.0');
  expect(await answers(`${url}/metrics`)).toMatchObject({
    status: 504,
    body: expect.stringContaining('The main loop has stood still for'),
  });
  await red(`${url}/health`, 'last seen in filter slow.0');
  expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(first.log.findLast(({ level }) => level === 'error')).toMatchObject({
    msg: expect.stringContaining('ending the process'),
    stage: 'filter slow.0',
    seconds: 3,
  });

  rmSync(rig.path('spell'));
  const second = await rig.start();
  await sink.reached(2 * LINES);
  await second.stop();
  expectComplete(sink, { app: 2 * LINES });
});

test('a stall that ends by itself: waiting requests are told, and everything goes on', async ({ rig }) => {
  const { sink, agent, url } = await underASpell(rig, '6s');
  poison(rig);
  await red(`${url}/ready`, 'last seen in filter slow.0');
  expect(await answers(`${url}/health`)).toMatchObject({ status: 200 });
  rmSync(rig.path('spell'));
  await agent.said(/^The main loop goes on again/);
  await sink.reached(2 * LINES);
  expect(await answers(`${url}/ready`)).toMatchObject({ status: 200 });
  expect(agent.log.filter(({ msg }) => msg === 'The main loop stands still')).toHaveLength(1);
  await agent.stop();
  expectComplete(sink, { app: 2 * LINES });
});

test('without a server there is a watchdog where watchdog.timeout is written', async () => {
  const directory = workspace({ 'slow.mjs': FILTER, spell: '', 'app.log': '' });
  writeFileSync(
    join(directory, 'pipeline.yaml'),
    `
plugins:
  - ./slow.mjs
service:
  watchdog.timeout: 3s
  log_level: debug
pipeline:
  inputs:
    - name: tail
      path: app.log
      refresh_interval: 100ms
  filters:
    - name: slow
      match: '*'
  outputs:
    - name: 'null'
      match: '*'
`,
  );
  const agent = new Cli(['run', '-c', 'pipeline.yaml'], directory);
  await agent.logged('The watchdog watches');
  writeFileSync(join(directory, 'app.log'), numberedLines('app', LINES, LINES + 1), { flag: 'a' });
  await agent.exit();
  expect(agent.child.signalCode).toBe('SIGKILL');
  expect(agent.log.slice(-2)).toMatchObject([
    { level: 'error', msg: 'The main loop stands still', stage: 'filter slow.0' },
    { level: 'error', msg: expect.stringContaining('SIGKILL'), stage: 'filter slow.0', seconds: 3 },
  ]);
});

test('a reload goes on serving, and a filter that it brings has a name', async ({ rig }) => {
  const { agent, url } = await underASpell(rig, '3s');
  const before = readFileSync(rig.path('pipeline.yaml'), 'utf8');
  rig.configure(before.replace('- name: slow', '- name: slow\n      alias: later'));
  expect(await agent.reload()).toEqual({ status: 200, reload: 'done' });
  expect(await answers(`${url}/ready`)).toMatchObject({ status: 200 });
  poison(rig);
  await red(`${url}/ready`, 'last seen in filter later');
  expect(await agent.exited).toEqual({ code: null, signal: 'SIGKILL' });
});
