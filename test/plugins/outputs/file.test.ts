import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { decodeMulti, ExtData } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import file from '../../../plugins/outputs/file.ts';
import type { Output } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import type { Event } from '../../contract/support.ts';

const temporary = (): string => mkdtempSync(join(tmpdir(), 'tailrace-file-'));

describeOutput('file', async () => {
  const directory = temporary();
  return {
    output: await createOutput(file, { path: directory, file: 'out.log' }, contextIn(directory)),
    arrived: () =>
      readFileSync(join(directory, 'out.log'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => parseExact(line.slice(line.indexOf('{'), -1))),
    cleanUp: () => rmSync(directory, { recursive: true }),
  };
});

describe('file', () => {
  let directory: string;
  let open: Output[];

  beforeEach(() => {
    directory = temporary();
    open = [];
  });

  afterEach(async () => {
    for (const output of open) await output.close?.();
    rmSync(directory, { recursive: true });
  });

  const create = async (options: Record<string, string>): Promise<Output> => {
    const output = await createOutput(file, options, contextIn(directory));
    open.push(output);
    return output;
  };
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  const written = async (
    options: Record<string, string>,
    events: readonly (Event | string)[],
    tag = 'app.web',
  ): Promise<string> => {
    const output = await create({ file: 'out', ...options });
    expect(await output.deliver([sliceOf(tag, events)], noAbort())).toEqual({});
    return read('out');
  };

  describe('formats', () => {
    it('writes tag, time to the nanosecond and the JSON as it came', async () => {
      const events = [
        { record: '{"log":"grüße"}', seconds: 1_700_000_000, nanos: 5 },
        { record: '{ "wide":12345678901234567890 }', seconds: 1_700_000_000, nanos: 999_999_999 },
        { record: '{}', seconds: 0, nanos: 0 },
        { record: '{"old":1}', seconds: -2, nanos: 500_000_000 },
      ];
      expect(await written({}, events)).toBe(
        [
          'app.web: [1700000000.000000005, {"log":"grüße"}]',
          'app.web: [1700000000.999999999, { "wide":12345678901234567890 }]',
          'app.web: [0.000000000, {}]',
          'app.web: [-1.500000000, {"old":1}]',
          '',
        ].join('\n'),
      );
    });

    it('keeps a line end in the tag from beginning a line', async () => {
      expect(await written({}, ['{}'], 'a\nb: [1, {}]')).toBe('a\\nb: [1, {}]: [1700000000.500000000, {}]\n');
    });

    it('plain: the JSON alone', async () => {
      expect(await written({ format: 'plain' }, ['{"a":1}', '{"b":[1.0]}'])).toBe('{"a":1}\n{"b":[1.0]}\n');
    });

    it('csv: values as Fluent Bit prints them, names once for an empty file', async () => {
      const options = { format: 'csv', csv_column_names: 'on' };
      const text = await written(options, [
        '{"a":"x \\"y\\"","b":1.5,"c":null,"d":{"e":[1,"z"]}}',
        '{"a":"two\\nlines"}',
      ]);
      expect(text).toBe(
        [
          'timestamp,"a","b","c","d"',
          '1700000000.500000000,"x "y"",1.500000,nil,{"e"=>[1, "z"]}',
          '1700000000.500000000,"two\\nlines"',
          '',
        ].join('\n'),
      );
      expect(await written(options, ['{"a":1}'])).toBe(`${text}1700000000.500000000,1\n`);
    });

    it('csv: other delimiters, by word or as they are', async () => {
      expect(await written({ format: 'csv', delimiter: 'tab' }, ['{"a":1,"b":2}'])).toBe(
        '1700000000.500000000\t1\t2\n',
      );
      expect(await written({ format: 'csv', delimiter: ';', file: 'out' }, ['{"a":1}'])).toMatch(/;1\n$/);
    });

    it('ltsv: labels and values', async () => {
      expect(await written({ format: 'ltsv' }, ['{"a":"x","b":true}', '{}'])).toBe(
        '"time":1700000000.500000\t"a":"x"\t"b":true\n"time":1700000000.500000\n',
      );
      expect(
        await written({ format: 'ltsv', delimiter: 'comma', label_delimiter: '=' }, ['{"a":1.0}']),
      ).toMatch(/"time"=1700000000.500000,"a"=1.000000\n$/);
    });

    it('template: fields, time, what is missing stays', async () => {
      const template = '{time} level={level} {log} {missing} {unclosed';
      expect(
        await written({ format: 'template', template }, [
          '{"level":"info","log":"a \\"b\\"","x":{"log":"no"}}',
        ]),
      ).toBe('1700000000.500000 level=info a "b" {missing} {unclosed\n');
    });

    it('template: a value cannot begin a line', async () => {
      expect(await written({ format: 'template', template: '{log}' }, ['{"log":"one\\r\\ntwo"}'])).toBe(
        'one\\r\\ntwo\n',
      );
    });

    it('msgpack: time extension, metadata, record', async () => {
      const output = await create({ file: 'out', format: 'msgpack' });
      const wide = 12345678901234567890n;
      await output.deliver(
        [
          sliceOf('t', [
            { record: `{"a":${wide},"b":1.5}`, nanos: 7, metadata: { m: 'x' } },
            '{"huge":123456789012345678901234567890}',
          ]),
        ],
        noAbort(),
      );
      const decoded = [...decodeMulti(readFileSync(join(directory, 'out')), { useBigInt64: true })];
      const time = Buffer.from('6553f10000000007', 'hex');
      expect(decoded[0]).toEqual([[new ExtData(0, time), { m: 'x' }], { a: wide, b: 1.5 }]);
      expect((decoded[1] as unknown[])[1]).toEqual({ huge: '123456789012345678901234567890' });
    });
  });

  describe('names', () => {
    const deliverNames = async (options: Record<string, string>, records: string[], tag = 'app.web') => {
      const output = await create(options);
      return output.deliver([sliceOf(tag, records)], noAbort());
    };

    it('takes the tag where no file is set, made harmless', async () => {
      await deliverNames({ path: '.' }, ['{}']);
      await deliverNames({ path: 'sub', mkdir: 'on' }, ['{}'], '../../etc/x y');
      expect(read('app.web')).toContain('app.web: [');
      expect(read('sub/_/_/etc/x_y')).toContain('[');
    });

    it('fills in fields, encoded', async () => {
      const records = [
        '{"app":"web"}',
        '{"app":"a/b"}',
        '{"app":".."}',
        '{"app":"x\\u0000\\n%2f"}',
        '{"app":"web","n":2}',
      ];
      expect(await deliverNames({ path: 'logs/$app', file: '$TAG[0].log', mkdir: 'on' }, records)).toEqual(
        {},
      );
      expect(readdirSync(join(directory, 'logs')).toSorted()).toEqual([
        '%2E%2E',
        'a%2Fb',
        'web',
        'x%00%0A%252f',
      ]);
      expect(read('logs/web/app.log').split('\n')).toHaveLength(3);
    });

    it('fills in the event’s time', async () => {
      const output = await create({ path: '.', file: '%Y-%m-%d_$app.log', enable_strftime: 'on' });
      const events = [
        { record: '{"app":"a"}', seconds: 1_700_000_000 },
        { record: '{"app":"a"}', seconds: 1_700_086_400 },
      ];
      expect(await output.deliver([sliceOf('t', events)], noAbort())).toEqual({});
      expect(readdirSync(directory).toSorted()).toEqual(['2023-11-14_a.log', '2023-11-15_a.log']);
    });

    it('leaves percent signs alone without enable_strftime', async () => {
      await deliverNames({ file: '%Y.log' }, ['{}']);
      expect(readdirSync(directory)).toEqual(['%Y.log']);
    });

    it('rejects records without the field, and delivers the others', async () => {
      const outcome = await deliverNames({ file: '$app.log' }, ['{"app":"a"}', '{"n":1}', '{"app":"a"}']);
      expect(outcome.rejected).toEqual([{ index: 1, reason: expect.stringContaining('missing') }]);
      expect(read('a.log').trimEnd().split('\n')).toHaveLength(2);
    });

    it('writes them to the fallback file where that is asked for', async () => {
      const options = { file: '$app.log', on_missing_field: 'fallback', fallback_file: 'rest.log' };
      expect(await deliverNames(options, ['{"n":1}'])).toEqual({});
      expect(read('rest.log')).toContain('"n":1');
    });

    it('rejects names that are too long', async () => {
      const outcome = await deliverNames({ file: '$app.log' }, [`{"app":"${'x'.repeat(300)}"}`]);
      expect(outcome.rejected?.[0]?.reason).toMatch(/too long/);
    });

    it('opens no more than max_dynamic_files names', async () => {
      const records = ['{"app":"a"}', '{"app":"b"}', '{"app":"c"}', '{"app":"a"}'];
      const outcome = await deliverNames({ file: '$app.log', max_dynamic_files: '2' }, records);
      expect(outcome.rejected).toEqual([{ index: 2, reason: expect.stringContaining('max_dynamic_files') }]);
      expect(read('a.log').trimEnd().split('\n')).toHaveLength(2);
    });

    it('follows no symbolic link that stands where a name from a record leads', async () => {
      mkdirSync(join(directory, 'logs'));
      mkdirSync(join(directory, 'outside'));
      symlinkSync(join(directory, 'outside'), join(directory, 'logs/evil'));
      symlinkSync(join(directory, 'outside/file'), join(directory, 'logs/link.log'));
      const below = await deliverNames({ path: 'logs/$app', file: 'x.log', mkdir: 'on' }, [
        '{"app":"evil"}',
        '{"app":"good"}',
      ]);
      expect(below.rejected).toEqual([{ index: 0, reason: expect.stringContaining('symbolic link') }]);
      const last = await deliverNames({ path: 'logs', file: '$app.log' }, ['{"app":"link"}']);
      expect(last.rejected).toHaveLength(1);
      expect(readdirSync(join(directory, 'outside'))).toEqual([]);
    });

    it('follows a symbolic link that the configuration names', async () => {
      mkdirSync(join(directory, 'real'));
      symlinkSync(join(directory, 'real'), join(directory, 'logs'));
      expect(await deliverNames({ path: 'logs', file: 'out.log' }, ['{}'])).toEqual({});
      expect(readdirSync(join(directory, 'real'))).toEqual(['out.log']);
    });

    it('says in the check what cannot work', () => {
      expect(problemsOf(file, { path: '$app' })).toEqual([
        expect.stringMatching(/^path begins with a variable/),
      ]);
      expect(problemsOf(file, { path: '/$app', file: 'x' })).toEqual([
        expect.stringMatching(/root directory/),
      ]);
      expect(problemsOf(file, { path: 'logs', file: "$app['x" })).toEqual([
        expect.stringMatching(/^file cannot be read/),
      ]);
      expect(problemsOf(file, { path: 'logs/$app', file: "x/$labels['a/b'].log" })).toEqual([]);
      expect(problemsOf(file, { on_missing_field: 'fallback' })).toEqual([
        expect.stringMatching(/fallback_file/),
      ]);
      expect(problemsOf(file, { path: '/var/log/$app', file: '$TAG.log' })).toEqual([]);
    });
  });

  describe('files that change', () => {
    const deliver = (output: Output, n: number) => output.deliver([sliceOf('t', [`{"n":${n}}`])], noAbort());

    it('goes on in a new file after the old one was renamed or removed', async () => {
      const output = await create({ file: 'out' });
      await deliver(output, 1);
      renameSync(join(directory, 'out'), join(directory, 'out.1'));
      await deliver(output, 2);
      expect([read('out.1'), read('out')]).toEqual([
        expect.stringContaining('"n":1'),
        expect.stringContaining('"n":2'),
      ]);
      rmSync(join(directory, 'out'));
      await deliver(output, 3);
      expect(read('out')).toMatch(/^t: .*"n":3}]\n$/);
    });

    it('keeps parallel attempts whole', async () => {
      const output = await create({ file: 'out' });
      await Promise.all(Array.from({ length: 20 }, (_, n) => deliver(output, n)));
      expect(read('out').trimEnd().split('\n')).toHaveLength(20);
    });

    it('asks for another attempt when the directory is missing, and recovers', async () => {
      const output = await create({ path: 'later', file: 'out' });
      await expect(deliver(output, 1)).rejects.toThrow(/does not exist.*mkdir/);
      mkdirSync(join(directory, 'later'));
      expect(await deliver(output, 1)).toEqual({});
    });

    it('retries the records of the file that failed, alone', async () => {
      mkdirSync(join(directory, 'good'));
      const output = await create({ path: 'base/$dir', file: 'out', mkdir: 'off' });
      mkdirSync(join(directory, 'base'));
      mkdirSync(join(directory, 'base/a'));
      const outcome = await output.deliver(
        [sliceOf('t', ['{"dir":"a"}', '{"dir":"b"}', '{"dir":"a"}'])],
        noAbort(),
      );
      expect(outcome).toMatchObject({ retry: [1], reason: expect.stringMatching(/does not exist/) });
      expect(read('base/a/out').trimEnd().split('\n')).toHaveLength(2);
    });

    it('writes to no FIFO, and does not hang on one', async () => {
      execFileSync('mkfifo', [join(directory, 'out')]);
      const output = await create({ file: 'out' });
      await expect(deliver(output, 1)).rejects.toThrow(/Writing to .*out/);
    });

    it('leaves no half line on a full disk, and goes on when there is space', async (test) => {
      const disk = join(directory, 'disk');
      mkdirSync(disk);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'pipe' });
      } catch {
        test.skip('a small tmpfs cannot be mounted here');
      }
      try {
        const output = await create({ path: disk, file: 'out' });
        const line = `{"text":"${'x'.repeat(10_000)}"}`;
        for (let n = 0; n < 5; n++) await output.deliver([sliceOf('t', [line])], noAbort());
        const before = statSync(join(disk, 'out')).size;
        for (let n = 0; n < 3; n++) {
          await expect(output.deliver([sliceOf('t', [line, line])], noAbort())).rejects.toThrow(
            /disk is full.*ENOSPC/,
          );
        }
        expect(statSync(join(disk, 'out')).size).toBe(before);
        execFileSync('mount', ['-o', 'remount,size=256k', disk]);
        expect(await output.deliver([sliceOf('t', [line, line])], noAbort())).toEqual({});
        const lines = readFileSync(join(disk, 'out'), 'utf8').trimEnd().split('\n');
        expect(lines).toHaveLength(7);
        for (const text of lines)
          expect(text).toMatch(/^t: \[1700000000\.500000000, \{"text":"x{10000}"\}\]$/);
        await output.close?.();
      } finally {
        execFileSync('umount', [disk]);
      }
    });
  });

  describe('rotation', () => {
    it('rotates by size, compresses, and keeps a number of files', async () => {
      const output = await create({
        file: 'out',
        rotate: 'on',
        rotate_max_size: '100',
        rotate_max_files: '2',
      });
      for (let n = 0; n < 5; n++) {
        await output.deliver([sliceOf('t', [`{"n":${n},"text":"${'x'.repeat(100)}"}`])], noAbort());
      }
      await output.close?.();
      const rotated = readdirSync(directory).filter((name) => name !== 'out');
      expect(rotated).toHaveLength(2);
      const numbers = rotated.map((name) => {
        expect(name).toMatch(/^out\.\d{8}_\d{6}_[0-9a-f]{8}\.gz$/);
        return /"n":(\d)/.exec(gunzipSync(readFileSync(join(directory, name))).toString())?.[1];
      });
      expect(new Set(numbers)).toEqual(new Set(['2', '3']));
      expect(read('out')).toContain('"n":4');
    });

    it('leaves other files alone', async () => {
      writeFileSync(join(directory, 'out.txt'), 'mine');
      writeFileSync(join(directory, 'out.20200101_000000_0000000g'), 'mine');
      const output = await create({
        file: 'out',
        rotate: 'on',
        rotate_max_size: '1',
        rotate_max_files: '1',
        rotate_gzip: 'off',
      });
      for (let n = 0; n < 4; n++) await output.deliver([sliceOf('t', [`{"n":${n}}`])], noAbort());
      await output.close?.();
      expect(readdirSync(directory)).toHaveLength(4);
    });
  });
});
