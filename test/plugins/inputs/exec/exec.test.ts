import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import exec from '../../../../plugins/inputs/exec.ts';
import type { Input, Parser } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { createParser } from '../../parsers/parsing.ts';
import { Collector, inputContext } from '../collecting.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-exec-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function start(written: Record<string, string>, parsers: readonly Parser[] = []) {
  const context = inputContext(parsers);
  const collector = new Collector();
  const input: Input = await exec.create(optionsOf(exec.options, written), context);
  await input.start(collector.emit);
  onTestFinished(async () => {
    collector.drain();
    await input.stop();
  });
  const count = (name: string, labels: Record<string, string> = {}): number =>
    context.metrics.counter(`tailrace_input_${name}`, '').sum({ name: 'input.0', ...labels });
  const warnings = () => context.log.lines.filter(({ level }) => level === 'warn');
  return { input, context, collector, count, warnings };
}

/** Runs a command once, to its end. */
async function once(command: string, written: Record<string, string> = {}, parsers: readonly Parser[] = []) {
  const started = await start({ command, oneshot: 'on', ...written }, parsers);
  const end = await started.context.done;
  return { ...started, end };
}

/** Whether a process is there, and no zombie. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const pidIn = (file: string): number => Number(readFileSync(join(directory, file), 'utf8'));
/** Resolves when the file holds a process id. */
async function filled(file: string): Promise<void> {
  await expect
    .poll(() => {
      try {
        return pidIn(file);
      } catch {
        return 0;
      }
    })
    .toBeGreaterThan(0);
}

describe('lines', () => {
  it('are records under exec, with the time of reading', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { collector, count, end } = await once(String.raw`printf 'one\n\ntwo\r\nüäö 日本\nno end'`);
    expect(collector.records).toEqual([
      { exec: 'one' },
      { exec: '' },
      { exec: 'two\r' },
      { exec: 'üäö 日本' },
      { exec: 'no end' },
    ]);
    for (const { tag, seconds, metadata } of collector.events) {
      expect(tag).toBe('test');
      expect(seconds).toBeGreaterThanOrEqual(before);
      expect(metadata).toBeUndefined();
    }
    expect(count('runs_total', { result: 'ok' })).toBe(1);
    expect(end).toEqual({ exit: false, code: 0 });
  });

  it('over buf_size come in flagged pieces, and nothing is lost', async () => {
    const { collector, count } = await once(String.raw`printf '12345678901234567890\nshort\n'`, {
      buf_size: '10',
    });
    expect(collector.events.map(({ record, metadata }) => [record, metadata])).toEqual([
      [{ exec: '123456789' }, { partial: true }],
      [{ exec: '012345678' }, { partial: true }],
      [{ exec: '90' }, undefined],
      [{ exec: 'short' }, undefined],
    ]);
    expect(count('long_lines_total', { action: 'split' })).toBe(2);
  });

  it('go through the parser, with its time; what it does not take is kept', async () => {
    const parser = createParser({ name: 'app', format: 'json', time_key: 'at', time_format: '%s' });
    const { collector, count, warnings } = await once(
      String.raw`printf '{"at":"1700000000","n":1}\n{"n":2}\nno json\n\n'`,
      { parser: parser.name },
      [parser],
    );
    expect(collector.records).toEqual([{ n: 1 }, { n: 2 }, { exec: 'no json' }]);
    expect(collector.events[0]?.seconds).toBe(1_700_000_000);
    expect(count('unparsed_records_total')).toBe(1);
    expect(warnings()).toHaveLength(1);
  });

  it('of a flood wait until there is room, and all come', async () => {
    const { collector, context } = await start({ command: 'seq 1 200000', oneshot: 'on' });
    collector.fill();
    await collector.reached(1);
    const first = collector.events.length;
    await once('seq 1 1000');
    expect(collector.events.length).toBe(first);
    collector.drain();
    await context.done;
    expect(collector.events).toHaveLength(200_000);
    expect(collector.records.at(-1)).toEqual({ exec: '200000' });
  });
});

describe('ends', () => {
  it.each<[string, string, number, Record<string, unknown>]>([
    ['a failure', 'echo said; exit 3', 3, { code: 3 }],
    ['a command that is not there', 'tailrace-no-such-command 2>/dev/null', 127, { code: 127 }],
    ['a signal', 'kill -KILL $$', 137, { signal: 'SIGKILL' }],
  ])('%s is said and counted, and is the exit code', async (_name, command, code, fields) => {
    const { count, warnings, end, input } = await once(command, {
      exit_after_oneshot: 'on',
      propagate_exit_code: 'on',
    });
    expect(input.finite).toBe(true);
    expect(end).toEqual({ exit: true, code });
    expect(count('runs_total', { result: 'ok' })).toBe(0);
    expect(count('runs_total')).toBe(1);
    expect(warnings()[0]?.fields).toMatchObject(fields);
  });

  it('the exit code is 0 unless it is asked for', async () => {
    expect((await once('exit 3', { exit_after_oneshot: 'on' })).end).toEqual({ exit: true, code: 0 });
  });

  it('the standard error is said, at a limited rate', async () => {
    const { context } = await once('seq 1 10000 >&2; echo out');
    const said = context.log.lines.filter(({ message }) => message.includes('standard error'));
    expect(said.map(({ fields }) => fields)).toEqual([{ line: '1', lines: 1 }]);
  });
});

describe('runs', () => {
  it('come by the clock, and none is begun beside another', async () => {
    const { collector, count, warnings } = await start({
      command: `echo begin >> ${directory}/log; sleep 0.15; echo end >> ${directory}/log; echo x`,
      interval_sec: '0',
      interval_nsec: '10000000',
    });
    await collector.reached(3);
    const log = readFileSync(join(directory, 'log'), 'utf8').split('\n');
    for (let line = 0; line < 6; line++) expect(log[line]).toBe(line % 2 === 0 ? 'begin' : 'end');
    expect(count('runs_skipped_total')).toBeGreaterThan(1);
    expect(warnings()).toHaveLength(1);
  });

  it('that hang are ended after the timeout, with all that they started', async () => {
    const { count, context, collector } = await start({
      command: `echo before; trap '' TERM; sh -c 'trap "" TERM; echo $$ > ${directory}/child; while :; do sleep 0.1; done'`,
      oneshot: 'on',
      timeout: '300ms',
    });
    await context.done;
    expect(collector.records).toEqual([{ exec: 'before' }]);
    expect(count('runs_total', { result: 'timeout' })).toBe(1);
    await expect.poll(() => lives(pidIn('child'))).toBe(false);
  });

  it('leave nothing behind: what they started is ended with them', async () => {
    await once(
      `sh -c 'echo $$ > ${directory}/child; exec sleep 1000' > /dev/null & while [ ! -s ${directory}/child ]; do sleep 0.01; done; echo done`,
    );
    await expect.poll(() => lives(pidIn('child'))).toBe(false);
  });

  it('last while something that they started still writes', async () => {
    const { collector } = await once('(sleep 0.2; echo late) & echo early');
    expect(collector.records).toEqual([{ exec: 'early' }, { exec: 'late' }]);
  });

  it('are ended by a stop, as a process group; what was written is taken', async () => {
    const { input, collector } = await start({
      command: `sh -c 'echo $$ > ${directory}/child; sleep 1000' & printf 'no end'; wait`,
      oneshot: 'on',
    });
    await filled('child');
    await input.stop();
    expect(collector.records).toEqual([{ exec: 'no end' }]);
    await expect.poll(() => lives(pidIn('child'))).toBe(false);
  });

  it('are ended by a stop also when they do not hear, flood, or have left their process group', async () => {
    const floods = await start({
      command: "trap '' TERM; while :; do cat /dev/zero | head -c 1000000; done",
      oneshot: 'on',
      buf_size: '1M',
    });
    await floods.collector.reached(1);
    const leaves = await start({
      command: `setsid sh -c 'echo $$ > ${directory}/child; exec sleep 1000' & wait`,
      oneshot: 'on',
    });
    await filled('child');
    await Promise.all([floods.input.stop(), leaves.input.stop()]);
    process.kill(pidIn('child'), 'SIGKILL');
  });

  it('that cannot be started are said, and tried again', async () => {
    const { context, count } = await start({
      // Longer than what a program may be given.
      command: `: ${'x'.repeat(300_000)}`,
      interval_sec: '0',
      interval_nsec: '10000000',
    });
    await expect.poll(() => count('runs_total', { result: 'not_started' })).toBeGreaterThan(1);
    expect(context.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });
});

describe('the configuration', () => {
  it.each<[Record<string, string>, string]>([
    [{ command: ' ' }, 'command is empty'],
    [{ propagate_exit_code: 'on' }, 'propagate_exit_code needs exit_after_oneshot'],
    [{ propagate_exit_code: 'on', oneshot: 'on' }, 'propagate_exit_code needs exit_after_oneshot'],
    [{ buf_size: '7' }, 'buf_size must be from 8 bytes'],
    [{ timeout: '30d' }, 'timeout must be'],
  ])('%j is a problem', (written, problem) => {
    const problems = exec.check?.(optionsOf(exec.options, { command: 'true', ...written }), []) ?? [];
    expect(problems.map(({ key, message }) => `${key} ${message}`)).toEqual([
      expect.stringContaining(problem),
    ]);
  });

  it('without an interval a second is taken, as in Fluent Bit', async () => {
    writeFileSync(join(directory, 'x'), '');
    const { collector } = await start({ command: 'echo x', interval_sec: '0', interval_nsec: '-1' });
    await collector.reached(1);
    expect(collector.batches).toEqual([1]);
  });
});
