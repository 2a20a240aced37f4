/** `tailrace status` against agents that run, stand, are killed, or are not there. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatStatus } from '../../src/cli/status/format.ts';
import { bytesText, columns, durationText } from '../../src/cli/status/units.ts';
import type { AgentStatus } from '../../src/pipeline/status.ts';
import { Cli, cli, workspace } from './harness.ts';

const PIPELINE = `
service: { flush: 0.05, scheduler.base: 0.01, scheduler.cap: 0.05 }
pipeline:
  inputs:
    - { name: tail, path: app.log, tag: app, read_from_head: true }
  outputs:
    - { name: file, match: app, path: ., file: out }
`;
/** Nobody listens on port 1. */
const DEAD = PIPELINE.replace(
  '{ name: file, match: app, path: ., file: out }',
  '{ name: http, match: app, port: 1 }',
);

async function started(directory: string, config = 'a.yaml', args: string[] = []): Promise<Cli> {
  const agent = new Cli(['run', '-c', config, ...args], directory);
  await agent.logged('Tailrace is running');
  return agent;
}

async function json(directory: string, args: string[] = []): Promise<{ code: number; status: AgentStatus }> {
  const { code, stdout } = await cli(['status', '--json', ...args], directory);
  return { code, status: JSON.parse(stdout) as AgentStatus };
}

describe('tailrace status', () => {
  it('shows the ledger of the agent that runs, in text and as JSON', async () => {
    const directory = workspace({ 'a.yaml': PIPELINE, 'app.log': 'one\ntwo\nthree\n' });
    const agent = await started(directory);
    await expect
      .poll(async () => (await json(directory)).status.outputs[0]?.records.delivered, { timeout: 20_000 })
      .toBe(3);
    const { code, status } = await json(directory, ['-c', 'a.yaml']);
    expect(code).toBe(0);
    expect(status).toMatchObject({
      ready: true,
      reasons: [],
      pid: agent.child.pid,
      memory_limit: 16_000_000,
    });
    expect(status.inputs).toMatchObject([
      { name: 'tail.0', plugin: 'tail', lag_bytes: 0, records: { read: 3, routed: 3, difference: 0 } },
    ]);
    expect(status.outputs).toMatchObject([
      { name: 'file.0', records: { enqueued: 3, delivered: 3, difference: 0 } },
    ]);
    const text = await cli(['status'], directory);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^tailrace \S+ \(pid \d+\), up .*: ready$/m);
    expect(text.stdout).toMatch(/^ {2}ledger +enqueued 3 = delivered 3 {2}difference 0$/m);
    expect(text.stdout).not.toContain('\u001b');

    agent.signal('SIGTERM');
    expect(await agent.exit()).toBe(0);
    const gone = await cli(['status', '-c', 'a.yaml'], directory);
    expect(gone.code).toBe(3);
    expect(gone.stderr).toContain(`No agent runs with the state directory ${join(directory, 'state')}`);
  });

  it('ends with 1 when a destination is down, and says which and why', async () => {
    const directory = workspace({ 'a.yaml': DEAD, 'app.log': 'one\n' });
    await started(directory);
    await expect.poll(async () => (await json(directory)).status.ready, { timeout: 20_000 }).toBe(false);
    appendFileSync(join(directory, 'app.log'), 'two\n');
    const { code, stdout } = await cli(['status'], directory);
    expect(code).toBe(1);
    expect(stdout).toMatch(/: not ready\n {2}Output http\.0 has failed \d+ times/);
    expect(stdout).toMatch(/^ {2}failing +\d+ times in a row in /m);
    expect(stdout).toMatch(/^ {2}last error +\S/m);
    expect(stdout).toMatch(/^ {2}file lag +\d+ B\n +\d+ B {2}.*app\.log$/m);
  });

  it('asks the right one of two agents, and lists them when it cannot know', async () => {
    const directory = workspace({ 'a.yaml': PIPELINE, 'b.yaml': PIPELINE.replaceAll('app', 'other') });
    const a = await started(directory, 'a.yaml');
    const b = await started(directory, 'b.yaml');
    const several = await cli(['status'], directory);
    expect(several.code).toBe(2);
    expect(several.stderr).toMatch(/^tailrace: Several agents run: .*\n {2}\S+\/a-\w+\n {2}\S+\/b-\w+\n$/);
    const one = await json(directory, ['-c', 'b.yaml']);
    expect(one.status.pid).toBe(b.child.pid);
    // One that was killed leaves its socket behind, and is not meant any more.
    b.signal('SIGKILL');
    await b.exit();
    expect((await json(directory)).status.pid).toBe(a.child.pid);
    const again = await started(directory, 'b.yaml');
    expect((await json(directory, ['-c', 'b.yaml'])).status.pid).toBe(again.child.pid);
  });

  it('says where it looked when there is none, and what is wrong with the command line', async () => {
    const directory = workspace({ 'a.yaml': PIPELINE });
    const none = await cli(['status'], directory);
    expect([none.code, none.stderr]).toEqual([
      3,
      `tailrace: No agent runs with a state below ${join(directory, 'state')}. Name its configuration with -c FILE.\n`,
    ]);
    expect((await cli(['status', '--wrong'], directory)).code).toBe(2);
    const broken = await cli(['status', '-c', 'missing.yaml'], directory);
    expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining('--state-path DIR')]);
    const off = await cli(['status', '-c', 'a.yaml', '--state-path', 'off'], directory);
    expect(off.code).toBe(2);
    expect(off.stderr).toContain('state_path is off');
  });
});

const STATUS: AgentStatus = {
  version: '1\u001b[2J',
  pid: 1,
  uptime_seconds: 4000,
  ready: false,
  reasons: ['bad \u001b]0;title\u0007'],
  memory_used: 1,
  memory_limit: 2e6,
  reloads: 0,
  inputs: [],
  filters: [],
  outputs: [
    {
      name: 'o\u009b',
      plugin: 'http',
      running: true,
      records: {
        enqueued: 5000,
        recovered: 1,
        delivered: 2000,
        dropped: [{ reason: 'retry_limit', records: 3 }],
        dead_lettered: 0,
        handed_over: 0,
        buffered: 2990,
        difference: 8,
      },
      buffered_bytes: 10,
      disk_records: 2000,
      disk_bytes: 2_500_000,
      oldest_seconds: 90_000,
      failures: 1,
      failing_seconds: 3,
      next_attempt_seconds: 1.25,
      last_error: 'line one\nline two\r\u001b[1A',
      dead_letters: 0,
      dead_letters_bytes: 0,
    },
  ],
};

describe('the text of a status', () => {
  it('lets nothing that came from outside command the terminal', () => {
    const text = formatStatus(STATUS, { color: false });
    // oxlint-disable-next-line no-control-regex
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    expect(text).toContain('line one\\nline two\\r\\u001b[1A');
  });

  it('shows what is on disk, the retry state, and a ledger that does not balance', () => {
    const text = formatStatus(STATUS, { color: false });
    expect(text).toContain('990 records, 10 B in memory; 2,000 records, 2.5 MB on disk');
    expect(text).toContain('1 time in a row in 3.0 s; next attempt in 1.3 s');
    expect(text).toContain('oldest        1 d 1 h old');
    expect(text).toContain(
      'enqueued 5,000 + recovered 1 = delivered 2,000 + dropped 3 + buffered 2,990  difference 8',
    );
    expect(formatStatus(STATUS, { color: true })).toContain('\u001b[31mdifference 8\u001b[0m');
  });

  it('writes numbers for people', () => {
    expect([0, 999, 1000, 999_949, 999_950, 5e15].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '999.9 kB',
      '1.0 MB',
      '5000.0 TB',
    ]);
    expect([0.04, 42, 300, 12_000, 187_200].map(durationText)).toEqual([
      '0.0 s',
      '42 s',
      '5 min',
      '3 h 20 min',
      '2 d 4 h',
    ]);
    expect(
      columns(
        [
          ['a', '1'],
          ['bcd', '22'],
        ],
        [1],
      ),
    ).toEqual(['a     1', 'bcd  22']);
  });
});
