/** Lines of containers that are joined, by the agent as a whole: killed in the middle of a record, reloaded, and the sample. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';

const PIPELINES = join(import.meta.dirname, '../../pipelines');
const TIME = '2024-05-07T18:57:50.904275087Z';

const cri = (stream: string, flag: string, text: string): string => `${TIME} ${stream} ${flag} ${text}\n`;

function config(more = ''): string {
  return `
service:
  flush: 0.1
  http_server: on
  http_port: 0
pipeline:
  inputs:
    - name: tail
      path: a.log
      tag: app
      read_from_head: on
      multiline.parser: cri
      multiline_flush: 60
      ${more}
  outputs:
    - name: file
      match: app
      path: .
      file: out.log
      format: plain
`;
}

const textsIn = (path: string): string[] =>
  existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { log: string }).log)
    : [];

test('a record whose parts are in two files is joined by an agent that was killed in between', async ({
  rig,
}) => {
  const log = rig.path('a.log');
  const out = rig.path('out.log');
  rig.configure(config());
  writeFileSync(log, `${cri('stdout', 'F', 'whole')}${cri('stdout', 'P', 'a')}${cri('stderr', 'F', 'e')}`);
  const first = await rig.start();
  await first.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 2);
  await first.kill();
  renameSync(log, `${log}.1`);
  writeFileSync(log, `${cri('stderr', 'F', 'f')}${cri('stdout', 'F', 'b')}`);
  const second = await rig.start();
  await second.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') >= 2);
  await second.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  expect(textsIn(out)).toContain('ab');
  // A crash may double what was on its way, and nothing else.
  expect([...new Set(textsIn(out))].toSorted()).toEqual(['ab', 'e', 'f', 'whole']);
  expect((await second.stop()).summary).toMatchObject({ in_doubt: 0 });
});

test('a record is not torn by a reload that makes its input anew', async ({ rig }) => {
  const log = rig.path('a.log');
  rig.configure(config());
  writeFileSync(log, `${cri('stdout', 'P', 'a')}${cri('stderr', 'F', 'e')}`);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 1);
  rig.configure(config('path_key: file'));
  expect(await agent.reload()).toMatchObject({ status: 200 });
  appendFileSync(log, cri('stdout', 'F', 'b'));
  await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 2);
  expect(textsIn(rig.path('out.log'))).toEqual(['e', 'ab']);
  await agent.stop();
});

test('what is held counts as memory of the input, a quarter of which it may take', async ({ rig }) => {
  rig.configure(config('mem_buf_limit: 100k'));
  const text = 'x'.repeat(10_000);
  writeFileSync(rig.path('a.log'), cri('stdout', 'P', text).repeat(3) + cri('stdout', 'F', 'end'));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 2);
  expect(textsIn(rig.path('out.log'))).toEqual([text.repeat(3), 'end']);
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_input_partial_records_total', { reason: 'memory' })).toBe(1);
  await agent.stop();
});

test('pipelines/docker-logs.yaml', async ({ rig }) => {
  const id = 'b'.repeat(64);
  mkdirSync(rig.path('containers', id), { recursive: true });
  const log = rig.path('containers', id, `${id}-json.log`);
  writeFileSync(
    rig.path('containers', id, 'config.v2.json'),
    JSON.stringify({
      Name: '/web',
      Config: { Image: 'nginx', Labels: { 'com.docker.compose.service': 'web', other: 'x' } },
    }),
  );
  writeFileSync(log, '');
  const agent = await rig.start({
    config: join(PIPELINES, 'docker-logs.yaml'),
    env: { DOCKER_CONTAINERS: rig.path('containers') },
  });
  for (const text of ['a', 'b\n'])
    appendFileSync(log, `${JSON.stringify({ log: text, stream: 'stdout', time: TIME })}\n`);
  await agent.shown(1);
  expect(JSON.parse(agent.stdout)).toMatchObject({
    log: 'ab\n',
    container: { id, name: 'web', image: 'nginx', labels: { 'com.docker.compose.service': 'web' } },
  });
  await agent.stop();
});
