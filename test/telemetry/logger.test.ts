import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatLogLine } from '../../src/telemetry/log-line.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import type { LogLevel } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-log-'));
  file = join(directory, 'deep', 'agent.log');
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(level: LogLevel = 'info', metrics = new Metrics()) {
  return createLogger({ level, file, metrics });
}

function lines(path = file): Record<string, unknown>[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('createLogger', () => {
  it('writes one JSON object per line, with level, time, fields and message', () => {
    const log = open();
    log
      .child({ name: 'tail.0' })
      .warn({ file: '/var/log/x', error: new Error('gone') }, 'Cannot read the file');
    expect(lines()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        name: 'tail.0',
        file: '/var/log/x',
        error: 'gone',
        msg: 'Cannot read the file',
      },
    ]);
  });

  it('keeps quiet below its level; a child may have its own', () => {
    const log = open('warn');
    log.info({}, 'no');
    log.child({}, { level: 'debug' }).debug({}, 'yes');
    log.child({}, { level: 'off' }).error({}, 'no');
    log.setLevel('info');
    log.child({}).info({}, 'now');
    expect(lines().map(({ msg }) => msg)).toEqual(['yes', 'now']);
  });

  it('limits equal messages, each logger for itself, and counts them all', () => {
    const metrics = new Metrics();
    const log = open('info', metrics);
    const [one, two] = [log.child({ name: 'one' }), log.child({ name: 'two' }, { suppressSeconds: 60 })];
    for (let attempt = 0; attempt < 20; attempt++) {
      one.warn({ attempt }, 'Again');
      two.warn({ attempt }, 'Again');
    }
    log.flush();
    const said = (name: string) => lines().filter((line) => line.name === name);
    expect(said('one').map(({ attempt }) => attempt)).toEqual([0, 1, 2, 3, 4, 19]);
    expect(said('one').at(-1)).toMatchObject({ repeated: '15 times' });
    expect(said('two').map(({ attempt }) => attempt)).toEqual([0, 19]);
    expect(metrics.counter('tailrace_log_messages_total', '').sum({ level: 'warn' })).toBe(40);
  });

  it('goes on in a new file after the old one was moved away', () => {
    const log = open();
    log.info({}, 'before');
    renameSync(file, `${file}.1`);
    log.reopen();
    log.info({}, 'after');
    expect(lines(`${file}.1`).map(({ msg }) => msg)).toEqual(['before']);
    expect(lines().map(({ msg }) => msg)).toEqual(['after']);
  });

  it('writes no credentials and no control characters', () => {
    open().error({ url: 'https://u:canary@h/', text: '\u009b2J' }, 'To http://canary@proxy');
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('canary');
    expect(text).not.toContain('\u009b');
  });

  it('throws when the file cannot be opened', () => {
    file = directory;
    expect(() => open()).toThrow(/EISDIR/);
  });
});

describe('formatLogLine', () => {
  const json = JSON.stringify({
    level: 'warn',
    time: new Date(2024, 0, 2, 3, 4, 5).toISOString(),
    name: 'tail.0',
    file: '/a b',
    lag: 3,
    msg: 'Cannot\u001b read',
  });

  it('makes a one-liner', () => {
    expect(formatLogLine(json, false)).toBe(
      '03:04:05 warn  tail.0  Cannot\\u001b read  file="/a b"  lag=3\n',
    );
  });

  it('colours it', () => {
    const line = formatLogLine(json, true);
    expect(line).toContain('\u001b[33mwarn ');
    expect(line).not.toContain('\u001b read');
  });
});
