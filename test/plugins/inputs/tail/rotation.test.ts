/** Files that are renamed, replaced, deleted or rewritten while they are followed, in the orders and at the moments that are hard. */
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { expected, numbered, tail, workspace } from './harness.ts';
import type { Surroundings, Tail } from './harness.ts';

/** A directory with files, and one for the state beside it. */
class World {
  readonly root = workspace();

  path(name: string): string {
    return join(this.root, 'logs', name);
  }

  write(name: string, content: string | Buffer): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  append(name: string, content: string | Buffer): void {
    appendFileSync(this.path(name), content);
  }

  rename(from: string, to: string): void {
    renameSync(this.path(from), this.path(to));
  }

  link(target: string, link: string): void {
    mkdirSync(dirname(this.path(link)), { recursive: true });
    symlinkSync(this.path(target), this.path(link));
  }

  /** Follows `app.log` from its head, unless said otherwise. */
  start(
    { path = 'app.log', ...options }: Record<string, string> = {},
    surroundings: Surroundings = {},
  ): Promise<Tail> {
    return tail(
      { path: this.path(path), read_from_head: 'on', allowed_roots: this.root, ...options },
      { state: join(this.root, 'state'), ...surroundings },
    );
  }

  /** Paths below this directory that the process has open. */
  get open(): string[] {
    return readdirSync('/proc/self/fd').flatMap((descriptor) => {
      try {
        const path = readlinkSync(`/proc/self/fd/${descriptor}`);
        return path.startsWith(join(this.root, 'logs')) ? [path] : [];
      } catch {
        // That of the listing itself.
        return [];
      }
    });
  }
}

/** Resolves when exactly these lines came, in this order; more would have come by then. */
async function reads(run: Tail, ...lines: string[]): Promise<void> {
  await run.reached(lines.length);
  expect(run.lines).toEqual(lines);
}

describe('generations', () => {
  it('rule 4: are read in order when the oldest takes many turns', async () => {
    const world = new World();
    world.write('app.log', numbered('a line of some length, so that the file takes several turns', 60_000));
    const run = await world.start({}, { full: true });
    await run.until(() => run.events.length > 0);
    world.rename('app.log', 'app.log.1');
    world.write('app.log', 'next\n');
    await run.until(() => run.metric('files_opened_total') === 2);
    run.drain();
    await run.reached(60_001);
    expect(run.lines.at(-1)).toBe('next');
  });

  it('fault 20: are read in order when two came and were rotated before anybody looked', async () => {
    const world = new World();
    mkdirSync(world.path('.'), { recursive: true });
    const run = await world.start();
    world.write('app.log', 'a\n');
    world.rename('app.log', 'app.log.1');
    world.write('app.log', 'b\n');
    world.rename('app.log.1', 'app.log.2');
    world.rename('app.log', 'app.log.1');
    world.write('app.log', 'c\n');
    await reads(run, 'a', 'b', 'c');
  });

  it('are not another file whose name begins the same', async () => {
    const world = new World();
    mkdirSync(world.path('.'), { recursive: true });
    const run = await world.start();
    world.write('app.log', 'a\n');
    world.write('app.log.err', 'no\n');
    world.write('app.log.lock', 'no\n');
    await run.reached(1);
    world.append('app.log', 'b\n');
    await reads(run, 'a', 'b');
  });

  it('go on under another name that matches, and under their old one', async () => {
    const world = new World();
    world.write('a.log', 'a\n');
    const run = await world.start({ path: '*.log' });
    await run.reached(1);
    world.rename('a.log', 'b.log');
    world.append('b.log', 'b\n');
    await run.reached(2);
    world.rename('b.log', 'a.log');
    world.append('a.log', 'c\n');
    await reads(run, 'a', 'b', 'c');
  });

  it('are known again when they were let go and are renamed back', async () => {
    const world = new World();
    world.write('app.log', 'a\n');
    const run = await world.start();
    await run.reached(1);
    world.rename('app.log', 'old');
    await run.until(() => world.open.length === 0);
    world.rename('old', 'app.log');
    world.append('app.log', 'b\n');
    await reads(run, 'a', 'b');
    world.append('app.log', 'c\n');
    await reads(run, 'a', 'b', 'c');
  });

  it('rule 8: leave no rows for ever', async () => {
    const world = new World();
    world.write('app.log', '0\n');
    const run = await world.start({ rotate_wait: '0.05', refresh_interval: '0.2' });
    for (let generation = 1; generation <= 6; generation++) {
      await run.reached(generation);
      world.rename('app.log', `app.log.${generation}`);
      await run.until(() => world.open.length === 0);
      world.write('app.log', `${generation}\n`);
    }
    await run.reached(7);
    for (let generation = 1; generation <= 6; generation++) rmSync(world.path(`app.log.${generation}`));
    await run.until(() => {
      run.writeMarks();
      return run.remembered === 1;
    });
  });
});

describe('directories', () => {
  it('that vanish and come again at once are watched again', async () => {
    const world = new World();
    world.write('sub/app.log', 'a\n');
    const run = await world.start({ path: 'sub/*.log', refresh_interval: '3600' });
    await run.reached(1);
    for (const line of ['b', 'c']) {
      rmSync(world.path('sub'), { recursive: true });
      world.write('sub/app.log', `${line}\n`);
      await run.until(() => run.lines.includes(line));
      world.append('sub/app.log', `${line}2\n`);
      await run.until(() => run.lines.includes(`${line}2`));
    }
    await reads(run, 'a', 'b', 'b2', 'c', 'c2');
  });

  it('that a link in the fixed part of a pattern leads to are followed when it is switched', async () => {
    const world = new World();
    world.write('v1/app.log', 'a\n');
    world.write('v2/other.log', 'b\n');
    world.link('v1', 'current');
    const run = await world.start({ path: 'current/*.log', refresh_interval: '3600' });
    await run.reached(1);
    world.link('v2', 'next');
    world.rename('next', 'current');
    await run.reached(2);
    world.append('v2/other.log', 'c\n');
    await run.reached(3);
    world.write('v2/third.log', 'd\n');
    await reads(run, 'a', 'b', 'c', 'd');
  });
});

describe('links', () => {
  it('are followed through a rotation of their target that leaves a gap, also after a restart', async () => {
    const world = new World();
    world.write('pods/0.log', 'a\n');
    world.link('pods/0.log', 'containers/c.log');
    for (const start of ['a', undefined]) {
      const run = await world.start({ path: 'containers/*.log', refresh_interval: '3600' });
      const before = start === undefined ? [] : [start];
      await run.reached(before.length);
      world.rename('pods/0.log', `pods/0.log.2026${before.length}`);
      await run.until(() => run.metric('files_rotated_total') === 1);
      world.write('pods/0.log', 'b\n');
      await run.until(() => run.lines.includes('b'));
      world.append('pods/0.log', 'c\n');
      await reads(run, ...before, 'b', 'c');
      await run.stop();
    }
  });
});

describe('rewritten files', () => {
  it('fault 23: are noticed when nothing was read since the start', async () => {
    const world = new World();
    world.write('app.log', '12345678\n');
    const first = await world.start();
    await first.reached(1);
    await first.stop();
    const second = await world.start();
    writeFileSync(world.path('app.log'), 'x\n');
    await reads(second, 'x');
  });

  it('fault 23: are noticed when that happens while emit waits for room', async () => {
    const world = new World();
    world.write('app.log', 'a\n');
    const run = await world.start({}, { full: true });
    await run.reached(1);
    writeFileSync(world.path('app.log'), 'another\nand one more\n');
    run.drain();
    await run.reached(3);
    expect(run.lines).toEqual(['a', 'another', 'and one more']);
  });

  it('stay remembered until what was read of them is settled', async () => {
    const world = new World();
    world.write('app.log', 'a\n');
    const run = await world.start({}, { keepBack: true });
    await run.reached(1);
    await run.until(() => run.metric('file_lag_bytes') === 2);
    writeFileSync(world.path('app.log'), 'another\n');
    await run.reached(2);
    expect(run.remembered).toBe(2);
    run.sink.settle();
    await run.until(() => run.remembered === 1);
    await run.stop();
    const second = await world.start();
    world.append('app.log', 'end\n');
    await reads(second, 'end');
  });
});

it('a gzip file is read to its end though it was still being written when it was opened', async () => {
  const world = new World();
  const lines = numbered('a line with some entropy', 20_000);
  const packed = gzipSync(lines);
  world.write('old.gz', '');
  const run = await world.start({ path: '*' });
  world.append('old.gz', packed.subarray(0, 1));
  world.append('old.gz', packed.subarray(1, 20_000));
  await run.until(() => run.events.length > 0);
  world.append('old.gz', packed.subarray(20_000));
  await run.reached(20_000);
  expect(run.lines).toEqual(expected('a line with some entropy', 20_000));
});

describe('where nothing tells of a change', () => {
  const scanning = { inotify_watcher: 'off', refresh_interval: '0.1' };

  it('rule 9: an unterminated line is taken after a while, not before', async () => {
    const world = new World();
    world.write('app.log', 'whole\nunterminated');
    const run = await world.start({ ...scanning, unterminated_timeout: '1' });
    await reads(run, 'whole', 'unterminated');
    expect(run.events[1]?.metadata).toEqual({ unterminated: true });
  });

  it('fault 23: a file that is rewritten with as many bytes is read again', async () => {
    const world = new World();
    world.write('app.log', '12345678\n');
    const run = await world.start(scanning);
    await run.reached(1);
    await run.idle();
    writeFileSync(world.path('app.log'), '87654321\n');
    await reads(run, '12345678', '87654321');
  });

  it('a late writer to a file that was renamed into another directory is read', async () => {
    const world = new World();
    world.write('app.log', 'a\n');
    mkdirSync(world.path('archive'));
    const run = await world.start({ rotate_wait: '3600' });
    await run.reached(1);
    world.rename('app.log', 'archive/app.log.1');
    await run.until(() => run.metric('files_rotated_total') === 1);
    world.append('archive/app.log.1', 'late\n');
    await reads(run, 'a', 'late');
  });
});

describe('resources', () => {
  it('no descriptor, watch or timer is left when it is closed', async () => {
    const world = new World();
    const kinds = new Set(['FSEventWrap', 'Timeout', 'FSReqCallback']);
    const active = (): number => process.getActiveResourcesInfo().filter((kind) => kinds.has(kind)).length;
    const before = active();
    for (let n = 0; n < 20; n++) world.write(`${n}/app.log`, `${n}\n`);
    world.write('x/old.gz', gzipSync('packed\n'));
    const run = await world.start({ path: '*/*' });
    await run.reached(21);
    unlinkSync(world.path('0/app.log'));
    world.rename('1/app.log', '1/.hidden');
    await run.until(() => run.metric('files_rotated_total') === 2);
    await run.stop();
    expect(world.open).toEqual([]);
    // Watches end with the next turn of the event loop.
    await run.until(() => active() <= before);
  });

  it('2,000 files are read, each once', async () => {
    const world = new World();
    for (let n = 0; n < 2000; n++) world.write(`${n}.log`, `${n}\n`);
    const run = await world.start({ path: '*.log' });
    await run.reached(2000);
    for (let n = 0; n < 2000; n++) world.append(`${n}.log`, `again ${n}\n`);
    await run.reached(4000);
    expect(new Set(run.lines).size).toBe(4000);
    expect(run.events).toHaveLength(4000);
  });
});

it('a failure in the pipeline ends neither the reading nor the file', async () => {
  const world = new World();
  world.write('app.log', 'a\n');
  const run = await world.start({ refresh_interval: '0.1' });
  await run.reached(1);
  const take = run.sink.take.bind(run.sink);
  run.sink.take = () => {
    throw new Error('A defect.');
  };
  world.append('app.log', 'b\n');
  await run.until(() => run.metric('file_errors_total') > 0);
  run.sink.take = take;
  world.append('app.log', 'c\n');
  await run.until(() => run.lines.includes('c'));
  await run.idle();
});

describe('exit_on_eof', () => {
  it.each<[string, Record<string, string | Buffer>, string[]]>([
    ['no file', {}, []],
    ['an empty file', { 'a.log': '' }, []],
    ['a last line without its end', { 'a.log': 'one\ntwo' }, ['one', 'two']],
    ['a compressed file', { 'a.log.gz': gzipSync('one\ntwo') }, ['one', 'two']],
    [
      'a compressed file that is cut',
      { 'a.log.gz': gzipSync(numbered('x', 3)).subarray(0, -9) },
      ['x 0', 'x 1', 'x 2'],
    ],
    ['a compressed file of nothing', { 'a.log.gz': '' }, []],
  ])('ends with %s', async (_, files, lines) => {
    const world = new World();
    mkdirSync(world.path('.'), { recursive: true });
    for (const [name, content] of Object.entries(files)) world.write(name, content);
    const run = await world.start({ path: '*', exit_on_eof: 'on' });
    await run.done;
    expect(run.lines).toEqual(lines);
  });
});

it('rule 6: the mark waits for a filter that takes its time with a batch', async () => {
  const world = new World();
  world.write('app.log', '');
  const run = await world.start({}, { full: true });
  // Nothing is routed until the filter is done.
  run.sink.take = () => undefined;
  world.append('app.log', 'a\n');
  await run.reached(1);
  run.writeMarks();
  expect(run.position).toBe(0);
  run.drain();
  await run.until(() => run.position === 2);
});
