import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Cli, cli, workspace } from './harness.ts';

const MIXED = [
  '{"time":"2026-03-14T09:26:53.123Z","level":"error","msg":"from json","status":500}',
  'time=2026-03-14T09:26:54Z level=warn msg="from logfmt"',
  '2026-03-14T09:26:55.5Z stdout P {"level":"info",',
  '2026-03-14T09:26:55.6Z stdout F "msg":"from cri"}',
  '2026-03-14 09:26:56 ERROR from plain text',
  '    at some.stack.Trace',
  '',
].join('\n');

const numbered = (count: number): string =>
  Array.from({ length: count }, (_each, n) => `line ${n + 1}\n`).join('');

describe('tailrace tail', () => {
  it('recognises formats by itself and prints one line per record', async () => {
    const directory = workspace({ 'a.log': MIXED });
    const { code, stdout } = await cli(['tail', 'a.log', '--no-follow'], directory);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      '2026-03-14 09:26:53.123 ERROR from json status=500',
      '2026-03-14 09:26:54.000 WARN  from logfmt',
      '2026-03-14 09:26:55.600 INFO  from cri',
      '2026-03-14 09:26:56 ERROR from plain text',
      '    at some.stack.Trace',
      '',
    ]);
  });

  it('reads the standard input', async () => {
    const { code, stdout } = await cli(['tail', '-', '--json'], workspace(), { input: MIXED });
    expect(code).toBe(0);
    expect(
      stdout
        .split('\n')
        .slice(0, 3)
        .map((line) => (JSON.parse(line) as { msg: string }).msg),
    ).toEqual(['from json', 'from logfmt', 'from cri']);
  });

  it('shows the last lines, then what is added, and new files from their beginning', async () => {
    const directory = workspace({ 'logs/a.log': numbered(30), 'logs/b.log': 'b\n' });
    const tail = new Cli(['tail', 'logs/*.log', '-n', '2'], directory);
    await tail.until(({ stdout }) => stdout.includes('line 30') && stdout.includes('b.log b'));
    expect(tail.stdout).not.toContain('line 28');
    appendFileSync(join(directory, 'logs', 'a.log'), 'added\n');
    await tail.until(({ stdout }) => stdout.includes('a.log added\n'));
    writeFileSync(join(directory, 'logs', 'c.log'), 'new 1\nnew 2\nnew 3\n');
    await tail.until(({ stdout }) => stdout.includes('c.log new 1\nc.log new 2\nc.log new 3\n'));
    tail.signal('SIGINT');
    expect(await tail.exit()).toBe(0);
    expect(tail.stderr).toBe('');
  });

  it('shows ten lines of each file when it follows, all when it does not', async () => {
    const directory = workspace({ 'a.log': numbered(30) });
    const tail = new Cli(['tail', 'a.log'], directory);
    await tail.until(({ stdout }) => stdout.includes('line 30\n'));
    expect(tail.stdout.split('\n').length - 1).toBe(10);
    tail.signal('SIGTERM');
    expect(await tail.exit()).toBe(0);
    expect((await cli(['tail', 'a.log', '--no-follow'], directory)).stdout.split('\n').length - 1).toBe(30);
    expect((await cli(['tail', 'a.log', '--no-follow', '-n', '3'], directory)).stdout).toBe(
      'line 28\nline 29\nline 30\n',
    );
  });

  it('filters by a condition and by time; what has no time goes with the line before it', async () => {
    const directory = workspace({ 'a.log': MIXED });
    const where = await cli(
      ['tail', 'a.log', '--no-follow', '--where', 'level == "error" and status >= 500'],
      directory,
    );
    expect(where.stdout).toBe('2026-03-14 09:26:53.123 ERROR from json status=500\n');
    const since = await cli(['tail', 'a.log', '--no-follow', '--since', '2026-03-14T09:26:55.9Z'], directory);
    expect(since.stdout).toBe('2026-03-14 09:26:56 ERROR from plain text\n    at some.stack.Trace\n');
  });

  it('waits for a file that is not there yet, unless it shall not follow', async () => {
    const directory = workspace();
    const none = await cli(['tail', 'a.log', '--no-follow'], directory);
    expect([none.code, none.stderr]).toEqual([1, 'tailrace: No file is there: a.log\n']);
    const tail = new Cli(['tail', 'a.log'], directory);
    await tail.until(({ stderr }) => stderr.includes('no file yet: a.log; waiting'));
    writeFileSync(join(directory, 'a.log'), 'there\n');
    await tail.until(({ stdout }) => stdout === 'there\n');
    tail.signal('SIGINT');
    expect(await tail.exit()).toBe(0);
  });

  it('ends when its reader goes', async () => {
    const directory = workspace({ 'a.log': numbered(30) });
    const tail = new Cli(['tail', 'a.log'], directory);
    await tail.until(({ stdout }) => stdout.includes('line 30\n'));
    tail.child.stdout.destroy();
    appendFileSync(join(directory, 'a.log'), 'more\n');
    expect(await tail.exit()).toBe(0);
  });

  it('lets no line command the terminal', async () => {
    const directory = workspace({ 'a.log': 'clear \u001b[2J\n{"msg":"\\u001b]0;title\\u0007"}\n' });
    const { stdout } = await cli(['tail', 'a.log', '--no-follow'], directory);
    expect(stdout).not.toContain('\u001b');
  });

  it.each([
    [['--since', 'yesterday'], /--since: "yesterday" is no time/],
    [['--where', 'level = = 1'], /--where: .*\n {2}level = = 1\n {10}\^/],
    [['--where', 'a =~ "("'], /--where: /],
    [['-n', 'few'], /--lines: "few" is no number/],
  ])('%j is a mistake in usage', async (args, message) => {
    const { code, stderr } = await cli(['tail', 'a.log', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});
