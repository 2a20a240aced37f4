/** DELIVERY.md, rule 3: what can be read no more goes to disk, or is counted. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { expected, numbered, tail, workspace } from './harness.ts';
import type { Surroundings, Tail } from './harness.ts';

/** More than a block: a rest stays unread while there is no room. */
const LINES = 100_000;

interface Followed {
  path: string;
  run: Tail;
}

async function follow(
  content: string,
  surroundings: Surroundings,
  options: Record<string, string> = {},
): Promise<Followed> {
  const root = workspace();
  const path = join(root, 'a.log');
  writeFileSync(path, content);
  const run = await tail(
    { path, read_from_head: 'on', ...options },
    { state: join(root, 'state'), keepBack: true, ...surroundings },
  );
  await run.reached(1);
  return { path, run };
}

/** Descriptors of files that have no name. */
function openAndDeleted(path: string): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(`${path} (deleted)`);
    } catch {
      // That of the listing itself.
      return false;
    }
  }).length;
}

describe('a file that was closed for others', () => {
  it('is read on once it can be opened, where no descriptor is left for a while', () => {
    const script = join(import.meta.dirname, 'shortage-process.ts');
    const command = ['-c', 'ulimit -n 64; exec "$0" "$1" "$2"', process.execPath, script, workspace()];
    const seen: unknown = JSON.parse(execFileSync('sh', command, { encoding: 'utf8' }));
    expect(seen).toEqual({ lines: ['a 1', 'a 2', 'b 1', 'b 2'], lost: 0 });
  });
});

describe('rule 3: a deleted file', () => {
  it('that is not settled after a while is secured and closed', async () => {
    const { path, run } = await follow('one\n', { disk: () => true });
    unlinkSync(path);
    await run.until(() => run.metric('open_files') === 0);
    expect(run.secured).toEqual([run.events[0]?.source]);
    expect(openAndDeleted(path)).toBe(0);
    expect(run.metric('lost_bytes_total')).toBe(0);
  });

  it('that is delivered in time costs the disk nothing', async () => {
    const { path, run } = await follow('one\n', { disk: () => true });
    unlinkSync(path);
    await run.until(() => run.metric('files_rotated_total') === 1);
    run.sink.settle();
    await run.until(() => run.metric('open_files') === 0);
    expect(run.secured).toEqual([]);
  });

  it('is kept open while the disk refuses, which is asked again now and then', async () => {
    let answers = 0;
    const { path, run } = await follow('one\n', { disk: () => ++answers > 1 });
    unlinkSync(path);
    await run.until(() => run.secured.length === 1);
    const refusedAt = performance.now();
    expect(run.metric('open_files')).toBe(1);
    await run.until(() => run.metric('open_files') === 0);
    expect(run.secured).toHaveLength(2);
    expect(performance.now() - refusedAt, 'no tight loop').toBeGreaterThan(1000);
  });

  it('is read to its end though there is no room', async () => {
    const { path, run } = await follow(numbered('a', LINES), { full: true, disk: () => true });
    writeFileSync(`${path}.other`, '');
    unlinkSync(path);
    expect(await run.reached(LINES)).toEqual(expected('a', LINES));
    await run.until(() => run.metric('open_files') === 0);
    run.drain();
    writeFileSync(path, 'next\n');
    expect((await run.reached(LINES + 1)).at(-1)).toBe('next');
  });

  it('takes no more memory than it has while neither memory nor disk has room', async () => {
    const { path, run } = await follow(numbered('a', LINES), { full: true });
    const before = run.events.length;
    unlinkSync(path);
    await run.until(() => run.secured.length > 0);
    expect(run.events.length).toBe(before);
    run.drain();
    await run.reached(LINES);
  });

  it('that was closed for others is read all the same, where something was written to it before', async () => {
    const root = workspace();
    const [a, b] = [join(root, 'a.log'), join(root, 'b.log')];
    writeFileSync(a, 'a 1\n');
    const run = await tail(
      { path: join(root, '*.log'), read_from_head: 'on', open_files_limit: '1' },
      { full: true },
    );
    await run.reached(1);
    run.drain();
    writeFileSync(b, 'b 1\n');
    await run.reached(2);
    await run.until(() => run.metric('open_files') === 1);
    // There is no room: nothing is read for the time being.
    run.fill();
    appendFileSync(b, 'b 2\n');
    await run.reached(3);
    appendFileSync(a, 'a 2\n');
    await run.until(() => run.metric('file_lag_bytes') >= 4 && run.metric('open_files') === 2);
    unlinkSync(a);
    await run.until(() => run.metric('files_rotated_total') === 1);
    run.drain();
    await run.reached(4);
    expect(run.lines).toEqual(['a 1', 'b 1', 'b 2', 'a 2']);
    expect(run.metric('lost_bytes_total')).toBe(0);
  });

  it('is given up, the oldest first, when more are open than may be', async () => {
    const root = workspace();
    for (const name of ['a', 'b', 'c']) writeFileSync(join(root, `${name}.log`), `${name}\n`);
    const run = await tail(
      { path: join(root, '*.log'), read_from_head: 'on', open_files_limit: '1' },
      { keepBack: true },
    );
    await run.reached(3);
    for (const name of ['a', 'b', 'c']) appendFileSync(join(root, `${name}.log`), 'more\n');
    await run.reached(6);
    for (const name of ['a', 'b', 'c']) unlinkSync(join(root, `${name}.log`));
    await run.until(() => run.metric('files_rotated_total') === 3);
    await run.until(() => run.metric('open_files') === 1);
    // All of them was read: nothing is lost by that.
    expect(run.metric('lost_bytes_total')).toBe(0);
  });
});

describe('rule 3: a truncated file', () => {
  it('what was read of it is secured at once, and it is forgotten', async () => {
    const { path, run } = await follow('one\n', { disk: () => true });
    const old = run.events[0]?.source;
    truncateSync(path);
    appendFileSync(path, 'new\n');
    await run.reached(2);
    await run.until(() => run.secured.includes(String(old)));
    await run.until(() => run.remembered === 1);
    expect(run.secured).toEqual([old]);
  });

  it('also while the reader waits for room', async () => {
    const { path, run } = await follow('one\n', { full: true, disk: () => true });
    truncateSync(path);
    await run.until(() => run.secured.length > 0);
    expect(run.secured[0]).toBe(run.events[0]?.source);
  });
});

describe('rule 3: at a stop, a deleted file', () => {
  it('is read to its end and secured, its last line without an end as well', async () => {
    const content = `${numbered('a', LINES)}end`;
    const { path, run } = await follow(content, { full: 'always', disk: () => true });
    unlinkSync(path);
    await run.stop(new AbortController().signal);
    expect(run.lines).toEqual([...expected('a', LINES), 'end']);
    expect(run.events.at(-1)?.metadata).toEqual({ unterminated: true });
    expect(run.metric('lost_bytes_total')).toBe(0);
    expect(openAndDeleted(path)).toBe(0);
  });

  it('that cannot be saved is counted and told once, and never again', async () => {
    const content = numbered('a', LINES);
    const { path, run } = await follow(content, { full: 'always' });
    unlinkSync(path);
    await run.stop(AbortSignal.timeout(100));
    const read = run.events.at(-1)?.stop ?? 0;
    expect(run.metric('lost_bytes_total', { reason: 'unlinked' })).toBe(content.length - read);
    expect(run.log.lines.filter(({ message }) => message.includes('deleted'))).toHaveLength(1);
    expect(openAndDeleted(path)).toBe(0);
    const again = await tail({ path }, { state: join(path, '../state') });
    expect(again.metric('lost_bytes_total')).toBe(0);
    expect(again.remembered).toBe(0);
  });

  it('that cannot be saved is not lost when it is there compressed', async () => {
    const content = numbered('a', LINES);
    const { path, run } = await follow(content, { full: 'always', keepBack: false });
    writeFileSync(`${path}.1.gz`, gzipSync(content));
    unlinkSync(path);
    await run.stop(AbortSignal.timeout(100));
    expect(run.metric('lost_bytes_total')).toBe(0);
    const again = await tail({ path }, { state: join(path, '../state') });
    await again.reached(LINES - run.events.length);
    expect([...run.lines, ...again.lines]).toEqual(expected('a', LINES));
  });
});
