import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import stdout, { outputTo } from '../../../plugins/outputs/stdout.ts';
import { makeWriter } from '../../../plugins/outputs/stdout/format.ts';
import type { FormatOptions } from '../../../plugins/outputs/stdout/format.ts';
import { streamTarget, wantsColor } from '../../../plugins/outputs/stdout/target.ts';
import { ByteSink } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { optionsOf, parseExact, sliceOf } from '../../contract/support.ts';
import type { Event } from '../../contract/support.ts';

const BASE: FormatOptions = {
  format: 'msgpack',
  dateKey: 'date',
  dateFormat: 'double',
  color: false,
  escape: false,
};

// The output as it is, but for the stream: this process's own belongs to the test runner.
describeOutput('stdout', async () => {
  const stream = new PassThrough();
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(Buffer.from(piece)));
  return {
    output: outputTo(
      streamTarget(stream),
      optionsOf(stdout.options, { format: 'json_lines', json_date_key: 'false' }),
    ),
    arrived: () =>
      Buffer.concat(pieces)
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => parseExact(line)),
    cleanUp() {},
  };
});

describe('stdout formats', () => {
  const text = (options: Partial<FormatOptions>, events: (Event | string)[], tag = 'app'): string => {
    const sink = new ByteSink();
    makeWriter({ ...BASE, ...options })([sliceOf(tag, events)], sink);
    return sink.bytes.toString();
  };

  it('msgpack: as Fluent Bit prints it', () => {
    const events = [
      { record: '{"log":"grüße","n":1.5}', nanos: 5 },
      { record: '{"a":null}', metadata: { m: 1 } },
    ];
    expect(text({}, events)).toBe(
      '[0] app: [[1700000000.000000005, {}], {"log"=>"grüße", "n"=>1.500000}]\n' +
        '[1] app: [[1700000000.500000000, {"m"=>1}], {"a"=>nil}]\n',
    );
  });

  it('json, json_stream, json_lines end in a line feed', () => {
    expect(text({ format: 'json' }, ['{"a":1}', '{}'])).toBe(
      '[{"date":1700000000.5,"a":1},{"date":1700000000.5}]\n',
    );
    expect(text({ format: 'json_stream', dateKey: undefined }, ['{"a":1}', '{}'])).toBe('{"a":1}{}\n');
    expect(text({ format: 'json_lines', dateFormat: 'iso8601', dateKey: 'timestamp' }, ['{"a":1}'])).toBe(
      '{"timestamp":"2023-11-14T22:13:20.500000Z","a":1}\n',
    );
  });

  it('pretty: a line with level and tag', () => {
    expect(text({ format: 'pretty', escape: true }, ['{"level":"info","msg":"hi","n":1}'])).toMatch(
      /^2023-11-1\d \d\d:\d\d:20\.500 INFO {2}app hi n=1\n$/,
    );
  });

  it.each(['msgpack', 'json', 'json_lines', 'json_stream', 'pretty'] as const)(
    '%s: escapes for a terminal, or not',
    (format) => {
      const hostile = '{"log":"\u009b2J\u202e\\u001b[2J\\r"}';
      // oxlint-disable-next-line no-control-regex
      expect(text({ format, escape: true }, [hostile], 'a\u001bb').trimEnd()).not.toMatch(
        /[\u0000-\u001f\u007f-\u009f\u202e]/,
      );
      expect(text({ format, escape: false }, [hostile])).toContain('\u009b2J\u202e');
    },
  );

  it('no value begins a line', () => {
    expect(text({}, ['{"a\\n":"b\\nc"}'], 'x\ny').trimEnd()).not.toContain('\n');
    expect(text({ format: 'pretty', escape: false }, ['{"msg":"b\\nc"}'], 'x\ny').trimEnd()).not.toContain(
      '\n',
    );
  });
});

describe('colour', () => {
  it.each([
    ['auto', true, {}, true],
    ['auto', false, {}, false],
    ['auto', true, { NO_COLOR: '1' }, false],
    ['auto', true, { NO_COLOR: '' }, true],
    ['auto', true, { TERM: 'dumb' }, false],
    ['always', false, { NO_COLOR: '1' }, true],
    ['never', true, {}, false],
  ] as const)('%s, terminal %s, %o', (color, terminal, environment, expected) => {
    expect(wantsColor(color, terminal, environment)).toBe(expected);
  });
});

describe('stdout in a process of its own', () => {
  /** Runs the plugin; `deliveries` records in as many attempts. The process says each outcome on stderr. */
  const run = (deliveries: number, size: number, to: 'pipe' | number): ChildProcess => {
    const root = join(import.meta.dirname, '../../..');
    const program = `
      import stdout from '${root}/plugins/outputs/stdout.ts';
      import { contextIn, createOutput, sliceOf } from '${root}/test/contract/support.ts';
      const output = await createOutput(stdout, { format: 'json_lines', json_date_key: 'false' }, contextIn('/'));
      const text = 'x'.repeat(${size});
      for (let n = 0; n < ${deliveries}; n++) {
        const stop = AbortSignal.timeout(20_000);
        const result = await output.deliver([sliceOf('t', [JSON.stringify({ n, text })])], stop).then(() => 'delivered', (error) => error.name + ': ' + error.message);
        process.stderr.write(result + '\\n');
      }
    `;
    return spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
      stdio: ['ignore', to, 'pipe'],
    });
  };
  const collect = (stream: NodeJS.ReadableStream | null): (() => string) => {
    const pieces: Buffer[] = [];
    stream?.on('data', (piece: Buffer) => pieces.push(piece));
    return () => Buffer.concat(pieces).toString();
  };

  it('waits for a slow reader', async () => {
    const child = run(1, 1_000_000, 'pipe');
    const said = collect(child.stderr);
    await once(child.stdout as NodeJS.ReadableStream, 'readable');
    expect(said()).toBe('');
    const written = collect(child.stdout);
    await once(child, 'close');
    expect(said()).toBe('delivered\n');
    expect(JSON.parse(written())).toMatchObject({ n: 0 });
  });

  it('outlives a reader that goes away', async () => {
    const child = run(3, 1_000_000, 'pipe');
    const said = collect(child.stderr);
    await once(child.stdout as NodeJS.ReadableStream, 'readable');
    child.stdout?.destroy();
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    const gone =
      'RetryableError: Writing to standard output: its reader is gone; restart the agent with one\n';
    expect(said()).toBe(gone.repeat(3));
  });

  it('writes to a file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tailrace-stdout-'));
    try {
      const path = join(directory, 'out');
      await once(run(3, 10, openSync(path, 'w')), 'close');
      expect(
        readFileSync(path, 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as { n: number }).n),
      ).toEqual([0, 1, 2]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('says that the disk is full, and goes on', async () => {
    const child = run(2, 10, openSync('/dev/full', 'w'));
    const said = collect(child.stderr);
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    expect(said()).toMatch(/^(RetryableError: Writing to standard output: .*\n){2}$/);
  });
});
