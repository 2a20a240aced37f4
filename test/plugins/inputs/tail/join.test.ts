/** Lines of containers that are joined to records: whole ones, parts, what is held, and what becomes of it. */
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { problems, tail, workspace } from './harness.ts';
import { amount, live, steps, wholeRecords } from './histories.ts';
import type { Surroundings, Tail, TailEvent, TailOptions } from './harness.ts';

const AMOUNT = amount(25);
const TIME = '2024-05-07T18:57:50.904275087Z';

function cri(stream: string, flag: string, text: string): string {
  return `${TIME} ${stream} ${flag} ${text}\n`;
}

function docker(stream: string, text: string, more: object = {}): string {
  return `${JSON.stringify({ log: text, stream, ...more, time: TIME })}\n`;
}

/** A file, and the state beside it. */
class Log {
  readonly root = workspace();
  readonly path = join(this.root, 'logs', 'a.log');
  private rotations = 0;

  constructor(content = '') {
    mkdirSync(join(this.root, 'logs'));
    writeFileSync(this.path, content);
  }

  append(content: string): void {
    appendFileSync(this.path, content);
  }

  /** As a kubelet does: the old one stays beside it, a new one begins. */
  rotate(content = ''): void {
    renameSync(this.path, `${this.path}.20240507-18575${this.rotations++}`);
    writeFileSync(this.path, content);
  }

  start(options: Partial<TailOptions> = {}, surroundings: Surroundings = {}): Promise<Tail> {
    return tail(
      { path: this.path, read_from_head: 'on', 'multiline.parser': 'cri', multiline_flush: '60', ...options },
      { state: join(this.root, 'state'), ...surroundings },
    );
  }
}

/** Reads a file with this content to its end. */
async function read(content: string | Uint8Array, options: Omit<TailOptions, 'path'> = {}): Promise<Tail> {
  const log = new Log();
  writeFileSync(log.path, content);
  const run = await log.start({ exit_on_eof: 'on', ...options }, { state: undefined });
  await run.done;
  return run;
}

const texts = (events: readonly TailEvent[]): unknown[] => events.map(({ record }) => record['log']);

describe('CRI lines', () => {
  it('become records of time, stream, flag and text', async () => {
    const run = await read(`${cri('stdout', 'F', 'one "two"')}${cri('stderr', 'F', '')}`);
    expect(run.events.map(({ record, metadata }) => ({ record, metadata }))).toEqual([
      { record: { time: TIME, stream: 'stdout', _p: 'F', log: 'one "two"' }, metadata: undefined },
      { record: { time: TIME, stream: 'stderr', _p: 'F', log: '' }, metadata: undefined },
    ]);
  });

  it('are joined by stream, with the head of the first part', async () => {
    const run = await read(
      `${cri('stdout', 'P', 'a')}${cri('stderr', 'P', 'b')}${cri('stdout', 'P', 'c')}${cri('stderr', 'F', 'd')}` +
        cri('stdout', 'F', 'é'),
    );
    expect(run.events.map(({ record }) => record)).toEqual([
      { time: TIME, stream: 'stderr', _p: 'P', log: 'bd' },
      { time: TIME, stream: 'stdout', _p: 'P', log: 'acé' },
    ]);
    expect(run.kept).toBe(0);
  });

  it('have the keys that were asked for, the place of the last part among them', async () => {
    const one = cri('stdout', 'P', 'a');
    const run = await read(`${one}${cri('stdout', 'F', 'b')}${cri('stdout', 'F', 'c')}`, {
      path_key: 'file',
      offset_key: 'at',
    });
    const at = one.length;
    expect(run.events.map(({ record }) => [record['log'], record['at']])).toEqual([
      ['ab', at],
      ['c', at * 2],
    ]);
    expect(String(run.events[0]?.record['file'])).toMatch(/a\.log$/);
  });

  it('that are none go on as they are, are counted, and come behind what is held', async () => {
    const run = await read(
      `${cri('stdout', 'P', 'a')}nonsense\n\n${cri('stdout', 'F', 'b')}${cri('stdout', 'F', 'c')}`,
    );
    expect(run.events.map(({ record, metadata }) => [record['log'], metadata])).toEqual([
      ['a', { partial: true }],
      ['nonsense', undefined],
      ['b', { partial: true }],
      ['c', undefined],
    ]);
    expect(run.metric('malformed_lines_total')).toBe(1);
    expect(run.metric('partial_records_total', { reason: 'interrupted' })).toBe(1);
    // Each has bytes of its own: a destination can tell them apart.
    expect(new Set(run.events.map(({ start, stop }) => `${start}-${stop}`)).size).toBe(4);
  });

  it('are taken as Fluent Bit takes them where they are odd', async () => {
    const run = await read(
      `yesterday noon stdout F a\n2024-05-07T18:57:50Z stderr P b\n2024-05-07T18:57:50Z stderr F c\r\n${TIME} stdout F\n`,
    );
    expect(run.events.map(({ record }) => record)).toEqual([
      { time: 'yesterday noon', stream: 'stdout', _p: 'F', log: 'a' },
      { time: '2024-05-07T18:57:50Z', stream: 'stderr', _p: 'P', log: 'bc' },
      { log: `${TIME} stdout F` },
    ]);
  });

  it('are read in other encodings', async () => {
    const run = await read(Buffer.from(`${cri('stdout', 'P', 'ä')}${cri('stdout', 'F', 'ö')}`, 'utf16le'), {
      'unicode.encoding': 'UTF-16LE',
    });
    expect(run.lines).toEqual(['äö']);
  });

  it('without end are cut into records, which are flagged and counted, and nothing is left out', async () => {
    const part = 'x'.repeat(10_000);
    const run = await read(`${cri('stdout', 'P', part).repeat(100)}${cri('stdout', 'F', 'end')}`, {
      multiline_buffer_limit: '200k',
    });
    expect(run.lines.join('')).toBe(`${part.repeat(100)}end`);
    expect(run.events.length).toBeGreaterThan(4);
    expect(run.events.every(({ metadata }) => metadata?.['partial'] === true)).toBe(true);
    expect(run.metric('partial_records_total', { reason: 'size' })).toBe(run.events.length - 1);
  });

  it('go on as they are where too much is held', async () => {
    const log = new Log();
    const run = await log.start();
    run.mayKeep = 1000;
    log.append(cri('stdout', 'P', 'x'.repeat(2000)));
    await run.reached(1);
    expect(run.events[0]?.metadata).toEqual({ partial: true });
    expect(run.kept).toBe(0);
  });
});

describe('lines of Docker', () => {
  it('are joined until one ends in a line feed, with the other keys of the first', async () => {
    const run = await read(
      `${docker('stdout', 'a', { attrs: { tag: 'x' } })}${docker('stderr', 'b\n')}${docker('stdout', 'c\n')}${docker('stdout', 'd\n')}`,
      { 'multiline.parser': 'docker' },
    );
    expect(run.events.map(({ record }) => record)).toEqual([
      { log: 'b\n', stream: 'stderr', time: TIME },
      { log: 'ac\n', stream: 'stdout', attrs: { tag: 'x' }, time: TIME },
      { log: 'd\n', stream: 'stdout', time: TIME },
    ]);
  });

  it('keep numbers that are too wide', async () => {
    const run = await read(`{"log":"a","n":12345678901234567890}\n{"log":"b\\n"}\n`, {
      'multiline.parser': 'docker',
    });
    expect(JSON.stringify(run.events[0]?.record)).toBe('{"log":"ab\\n","n":12345678901234567000}');
  });

  it('of more streams than a container can have are let go, the oldest first', async () => {
    const log = new Log();
    const run = await log.start({ 'multiline.parser': 'docker' });
    const streams = Array.from({ length: 9000 }, (_, n) => docker(`stream ${n}`, `part ${n}`));
    log.append(streams.join('') + docker('stdout', 'whole\n'));
    await run.until(() => texts(run.events).includes('whole\n'));
    expect(texts(run.events).slice(0, 3)).toEqual(['part 0', 'part 1', 'part 2']);
    expect(run.events).toHaveLength(9000 - 64 + 1);
    expect(run.metric('partial_records_total', { reason: 'memory' })).toBe(9000 - 64);
  });

  it('stand beside those of CRI, each joined by itself', async () => {
    const run = await read(
      `${docker('stdout', 'a')}${cri('stdout', 'P', 'b')}${docker('stdout', 'c\n')}${cri('stdout', 'F', 'd')}{"no":"log"}\n`,
      { 'multiline.parser': 'docker, cri' },
    );
    expect(run.lines).toEqual(['ac\n', 'bd', '{"no":"log"}']);
  });
});

describe('what is held', () => {
  it('goes on after a while, flagged, and so does its rest', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    const run = await log.start({ multiline_flush: '0.1', offset_key: 'at' });
    await run.reached(1);
    log.append(`${cri('stderr', 'F', 'e')}${cri('stdout', 'F', 'b')}${cri('stdout', 'F', 'c')}`);
    await run.reached(4);
    expect(run.events.map(({ record, metadata }) => [record['log'], metadata])).toEqual([
      ['a', { partial: true }],
      ['e', undefined],
      ['b', { partial: true }],
      ['c', undefined],
    ]);
    const { length } = cri('stdout', 'P', 'a');
    expect(run.events.map(({ record }) => record['at'])).toEqual([0, length, 2 * length, 3 * length]);
    await run.until(() => run.metric('file_lag_bytes') === 0);
    expect(run.metric('partial_records_total', { reason: 'timeout' })).toBe(1);
  });

  it('holds the mark back, also while what is between its parts is settled', async () => {
    const first = cri('stdout', 'F', 'whole');
    const log = new Log(`${first}${cri('stdout', 'P', 'a')}${cri('stderr', 'F', 'e')}`);
    const run = await log.start();
    await run.reached(2);
    expect(run.position).toBe(first.length);
    log.append(cri('stdout', 'F', 'b'));
    await run.reached(3);
    await run.idle();
    expect(run.lines).toEqual(['whole', 'e', 'ab']);
  });

  it('is not given up at a stop, nor lost with a crash', async () => {
    for (const end of ['stop', 'kill'] as const) {
      const log = new Log(`${cri('stdout', 'P', 'a')}${cri('stderr', 'F', 'e')}`);
      const first = await log.start();
      await first.reached(1);
      first.writeMarks();
      await first[end]();
      log.append(cri('stdout', 'F', 'b'));
      const second = await log.start();
      await second.until(() => second.events.some(({ record }) => record['log'] === 'ab'));
      expect(texts(second.events.filter(({ skipped }) => !skipped))).toEqual(['ab']);
      await second.stop();
    }
  });

  it('is given up at a stop where nobody remembers positions', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    const run = await log.start({}, { state: undefined });
    await run.until(() => run.kept > 0);
    await run.stop();
    expect(run.lines).toEqual(['a']);
  });

  it('of which the rest came after it was given up is not taken for settled after a crash', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    const first = await log.start({ multiline_flush: '0.1' }, { keepBack: true });
    await first.reached(1);
    log.append(cri('stdout', 'F', 'b'));
    await first.reached(2);
    // Out of order: the rest is acknowledged, what it belongs to is not.
    first.sink.settleSome((index) => index === 1);
    first.writeMarks();
    await first.kill();
    const second = await log.start();
    await second.until(() => second.sink.delivered.length > 0);
    expect(texts(second.sink.delivered).join()).toContain('a');
  });

  it('is not taken for settled with what is settled around it', async () => {
    const log = new Log(`${cri('stdout', 'F', 'e')}${cri('stdout', 'P', 'a')}${cri('stderr', 'F', 'f')}`);
    const first = await log.start();
    await first.reached(2);
    first.writeMarks();
    await first.kill();
    const second = await log.start({ multiline_flush: '0.1' });
    await second.until(() => second.sink.delivered.length > 0);
    expect(texts(second.sink.delivered)).toEqual(['a']);
  });

  it('holds the mark until the pipeline has it, also where that takes its time', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    // A filter is at work on each batch for as long as there is no room.
    const run = await log.start({ multiline_flush: '0.1' }, { full: true, late: true });
    await run.until(() => run.events.length > 0);
    expect(run.position).toBe(0);
    run.drain();
    await run.idle();
    expect(run.lines).toEqual(['a']);
  });

  it('is let go before a file that was truncated is read from its head', async () => {
    const log = new Log(`${cri('stdout', 'F', 'whole')}${cri('stdout', 'P', 'a')}`);
    const run = await log.start();
    await run.until(() => run.kept > 0);
    truncateSync(log.path);
    log.append(cri('stdout', 'F', 'b'));
    await run.reached(3);
    expect(run.lines).toEqual(['whole', 'a', 'b']);
  });
});

describe('fault 29: a record that reaches over a rotation', () => {
  it('is joined, and both marks move together', async () => {
    const whole = cri('stdout', 'F', 'whole');
    const log = new Log(`${whole}${cri('stdout', 'P', 'a')}`);
    const run = await log.start({}, { keepBack: true });
    await run.until(() => run.kept > 0);
    log.rotate(`${cri('stderr', 'F', 'e')}${cri('stdout', 'F', 'b')}`);
    await run.reached(3);
    expect(run.lines).toEqual(['whole', 'e', 'ab']);
    expect(run.events.every(({ metadata }) => metadata === undefined)).toBe(true);
    // All but the joined record, which is still under way.
    run.sink.settleSome((index) => index === 0);
    run.writeMarks();
    expect(run.positions).toEqual([whole.length, 0]);
    run.sink.settle();
    run.writeMarks();
    expect(Math.min(...run.positions)).toBeGreaterThan(whole.length);
  });

  it.each(['before', 'after'] as const)('is joined when the agent is restarted %s it', async (when) => {
    const log = new Log(`${cri('stdout', 'F', 'whole')}${cri('stdout', 'P', 'a')}`);
    const first = await log.start();
    await first.until(() => first.kept > 0);
    if (when === 'after') {
      log.rotate(cri('stderr', 'F', 'e'));
      await first.reached(2);
    }
    first.writeMarks();
    await first.kill();
    if (when === 'before') log.rotate(cri('stderr', 'F', 'e'));
    log.append(cri('stdout', 'F', 'b'));
    const second = await log.start();
    await second.until(() => texts(second.events).includes('ab'));
    expect(texts(second.sink.delivered)).toEqual(when === 'before' ? ['e', 'ab'] : ['ab']);
  });

  it('is joined behind the link that a kubelet keeps to the file', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    const link = join(log.root, 'link.log');
    symlinkSync(log.path, link);
    const run = await log.start({ path: link, allowed_roots: log.root });
    await run.until(() => run.kept > 0);
    log.rotate(`${cri('stderr', 'P', 'e')}${cri('stdout', 'F', 'b')}`);
    await run.reached(1);
    log.rotate(cri('stderr', 'F', 'f'));
    await run.reached(2);
    expect(run.lines).toEqual(['ab', 'ef']);
    await run.idle();
  });

  it('is joined when the old file was compressed meanwhile', async () => {
    const content = `${cri('stdout', 'F', 'whole')}${cri('stdout', 'P', 'a')}`;
    const log = new Log(content);
    const first = await log.start();
    await first.until(() => first.kept > 0);
    first.writeMarks();
    await first.stop();
    rmSync(log.path);
    writeFileSync(`${log.path}.gz`, gzipSync(content));
    writeFileSync(log.path, cri('stdout', 'F', 'b'));
    const second = await log.start();
    await second.until(() => second.events.length > 0);
    expect(second.lines).toEqual(['ab']);
  });

  it('goes on without its rest when none comes, and the file is let go', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    const run = await log.start({ multiline_flush: '0.1' });
    await run.until(() => run.kept > 0);
    rmSync(log.path);
    await run.reached(1);
    expect(run.events[0]?.metadata).toEqual({ partial: true });
    await run.until(() => run.metric('open_files') === 0);
  });

  it('goes to disk at a stop when its beginning was deleted', async () => {
    const log = new Log(cri('stdout', 'P', 'a'));
    const run = await log.start({}, { keepBack: true, disk: () => true });
    await run.until(() => run.kept > 0);
    rmSync(log.path);
    await run.stop();
    expect(run.lines).toEqual(['a']);
    expect(run.sink.delivered).toHaveLength(1);
  });
});

describe('options of joining', () => {
  it('are wrong where they name what is not there, or contradict each other', () => {
    expect(problems({ path: '/a', 'multiline.parser': 'cri, go' })).toEqual([
      expect.stringContaining('does not join lines by "go" yet'),
    ]);
    expect(problems({ path: '/a', multiline: 'on' })).toEqual([
      expect.stringContaining('parser_firstline is missing'),
    ]);
    expect(problems({ path: '/a', multiline: 'on', parser_firstline: 'x', docker_mode: 'on' })).toEqual([
      expect.stringContaining('cannot be on together'),
    ]);
    expect(
      problems({ path: '/a', 'multiline.parser': 'cri', parser: 'x', key: 'y', docker_mode: 'on' }),
    ).toHaveLength(3);
    expect(problems({ path: '/a', multiline: 'on', parser_firstline: 'x', parser: 'y' })).toHaveLength(1);
    expect(problems({ path: '/a', 'multiline.parser': 'docker,cri', docker_mode: 'off' })).toEqual([]);
  });
});

describe('lines of two streams, whole or in parts, cut anywhere, read by an agent that is restarted at will', () => {
  const line = fc.record({
    stream: fc.constantFrom('stdout', 'stderr'),
    flag: fc.constantFrom('F', 'P', 'P'),
    size: fc.oneof(fc.constant(3), fc.integer({ min: 0, max: 120_000 })),
    letter: fc.constantFrom('x', 'é'),
  });

  /** The records of these lines, and those that are not complete. */
  function reference(content: string): string[] {
    const records: string[] = [];
    const open = new Map<string, string>();
    for (const text of content.split('\n').slice(0, -1)) {
      const [, stream = '', flag = '', rest = ''] = /^\S+ (\S+) (\S) (.*)$/.exec(text) ?? [];
      const joined = (open.get(stream) ?? '') + rest;
      if (flag === 'P') open.set(stream, joined);
      else {
        records.push(joined);
        open.delete(stream);
      }
    }
    return records;
  }

  it(
    'become exactly the records, each at least once',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(line, { minLength: 1, maxLength: 40 }),
          steps(['stop', 'kill', 'rotate', 'compress', 'settle']),
          async (lines, history) => {
            const log = new Log();
            const content =
              lines
                .map(({ stream, flag, size, letter }, index) =>
                  cri(stream, flag, `<${index}${letter.repeat(size)}>`),
                )
                .join('') +
              cri('stdout', 'F', 'end') +
              cri('stderr', 'F', 'end');
            const wanted = reference(content);
            const delivered = await live(
              {
                ...wholeRecords(reference),
                path: log.path,
                write: (text) => log.append(text),
                start: () => log.start({}, { keepBack: true }),
              },
              content,
              history,
            );
            expect(texts(delivered).filter((text) => !wanted.includes(text as string))).toEqual([]);
          },
        ),
        AMOUNT,
      );
    },
    60_000 + AMOUNT.numRuns * 2000,
  );
});
