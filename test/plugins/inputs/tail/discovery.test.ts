/** Which files are found, when, and which are refused. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { problems, tail, workspace } from './harness.ts';

describe('files', () => {
  it('are found as they come, in directories that come as well', async () => {
    const directory = workspace();
    const run = await tail({ path: join(directory, '*/deep/*.log'), read_from_head: 'on' });
    // Whoever mistyped the path learns of it.
    expect(run.log.lines).toMatchObject([
      {
        level: 'info',
        message: /^There is no file to read yet/,
        fields: { path: [join(directory, '*/deep/*.log')] },
      },
    ]);
    writeFileSync(join(directory, 'no.log'), 'no\n');
    mkdirSync(join(directory, 'x'));
    mkdirSync(join(directory, 'x', 'deep'));
    writeFileSync(join(directory, 'x', 'deep', 'a.log'), 'one\n');
    expect(await run.reached(1)).toEqual(['one']);
    writeFileSync(join(directory, 'x', 'deep', 'b.log'), 'two\n');
    expect(await run.reached(2)).toEqual(['one', 'two']);
  });

  it('are found below a directory that is not there yet, or vanishes and comes back', async () => {
    const directory = join(workspace(), 'logs', 'app');
    const run = await tail({ path: join(directory, '*.log'), read_from_head: 'on' });
    for (const word of ['one', 'two']) {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'a.log'), `${word}\n`);
      await run.until(() => run.lines.includes(word));
      rmSync(join(directory, '..'), { recursive: true });
      await run.until(() => run.metric('open_files') === 0);
    }
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'a.log'), 'three\n');
    await run.until(() => run.lines.includes('three'));
    appendFileSync(join(directory, 'a.log'), 'four\n');
    expect(await run.reached(4)).toEqual(['one', 'two', 'three', 'four']);
  });

  it('are found by several patterns with braces and **, less the excluded', async () => {
    const directory = workspace();
    mkdirSync(join(directory, 'a', 'b', 'c'), { recursive: true });
    for (const name of ['a/x.log', 'a/b/x.txt', 'a/b/c/y.log', 'a/b/c/skip.log', 'z.log'])
      writeFileSync(join(directory, name), `${name}\n`);
    const run = await tail({
      path: `${join(directory, '**', '*.{log,txt}')}, ${join(directory, '[y-z].log')}`,
      exclude_path: 'skip*',
      read_from_head: 'on',
      exit_on_eof: 'on',
    });
    await run.done;
    expect(run.lines.toSorted()).toEqual(['a/b/c/y.log', 'a/b/x.txt', 'a/x.log', 'z.log']);
  });

  it('are found by scanning where there is no inotify', async () => {
    const directory = workspace();
    const run = await tail({
      path: join(directory, '*.log'),
      read_from_head: 'on',
      inotify_watcher: 'off',
      refresh_interval: '0.1',
    });
    writeFileSync(join(directory, 'a.log'), 'one\n');
    await run.reached(1);
    appendFileSync(join(directory, 'a.log'), 'two\n');
    await run.reached(2);
    renameSync(join(directory, 'a.log'), join(directory, 'a.log.1'));
    writeFileSync(join(directory, 'a.log'), 'three\n');
    expect(await run.reached(3)).toEqual(['one', 'two', 'three']);
  });

  it('that were not changed for long are left out, until they are', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'old\n');
    utimesSync(path, 1, 1);
    const run = await tail({ path, read_from_head: 'on', ignore_older: '1h', refresh_interval: '0.2' });
    expect(run.metric('files_opened_total')).toBe(0);
    appendFileSync(path, 'new\n');
    expect(await run.reached(2)).toEqual(['old', 'new']);
  });

  it('fault 33: are read all though only a few may be open', async () => {
    const directory = workspace();
    for (let index = 0; index < 300; index++)
      writeFileSync(join(directory, `${index}.log`), `first ${index}\n`);
    const run = await tail(
      { path: join(directory, '*.log'), read_from_head: 'on', open_files_limit: '10' },
      { state: directory },
    );
    await run.reached(300);
    expect(run.metric('open_files')).toBeLessThanOrEqual(10);
    for (let index = 0; index < 300; index += 3)
      appendFileSync(join(directory, `${index}.log`), `second ${index}\n`);
    const lines = await run.reached(400);
    expect(new Set(lines).size).toBe(400);
    // Rotated while it was closed.
    appendFileSync(join(directory, '1.log'), 'last words\n');
    renameSync(join(directory, '1.log'), join(directory, '1.log.1'));
    expect((await run.reached(401)).at(-1)).toBe('last words');
  });

  it('are read in turn, so that a big one starves nobody', async () => {
    const directory = workspace();
    writeFileSync(join(directory, 'a.log'), 'big\n'.repeat(2_000_000));
    writeFileSync(join(directory, 'b.log'), 'small\n');
    const run = await tail({ path: join(directory, '*.log'), read_from_head: 'on' });
    await run.until(() => run.lines.includes('small'));
    // A quantum of the big one, of about 260,000 lines.
    expect(run.lines.indexOf('small')).toBeLessThan(600_000);
  });
});

describe('tags', () => {
  it('hold the path for *', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, 'one\n');
    const run = await tail({ path, read_from_head: 'on' }, { tag: 'app.*' });
    await run.reached(1);
    expect(run.events[0]?.tag).toBe(`app.${path.slice(1).replaceAll('/', '.')}`);
  });

  it('hold groups of tag_regex; a path that it does not take is refused', async () => {
    const directory = workspace();
    writeFileSync(join(directory, 'pod_ns.log'), 'one\n');
    writeFileSync(join(directory, 'other.log'), 'two\n');
    const run = await tail(
      {
        path: join(directory, '*.log'),
        read_from_head: 'on',
        tag_regex: '/(?<pod>[a-z]+)_(?<ns>[a-z]+)\\.log$',
      },
      { tag: 'kube.<ns>.<pod>' },
    );
    await run.reached(1);
    expect(run.events.map(({ tag }) => tag)).toEqual(['kube.ns.pod']);
    expect(run.metric('files_refused_total', { reason: 'no_tag' })).toBe(1);
  });
});

describe('security 17: what is no log file', () => {
  it('is refused, counted and told once: directories, FIFOs, unreadable files', async () => {
    const directory = workspace();
    mkdirSync(join(directory, 'dir.log'));
    execFileSync('mkfifo', [join(directory, 'fifo.log')]);
    symlinkSync(join(directory, 'loop.log'), join(directory, 'loop.log'));
    writeFileSync(join(directory, 'good.log'), 'good\n');
    const run = await tail({ path: join(directory, '*.log'), read_from_head: 'on', refresh_interval: '0.1' });
    expect(await run.reached(1)).toEqual(['good']);
    await run.until(() => run.metric('files_refused_total', { reason: 'not_a_file' }) === 2);
    // Two more files, each found by a look at the whole directory.
    for (const [index, name] of ['later.log', 'last.log'].entries()) {
      writeFileSync(join(directory, name), `${name}\n`);
      await run.reached(index + 2);
    }
    expect(run.log.lines.filter(({ level }) => level === 'warn').length).toBeLessThanOrEqual(3);
  });

  it.skipIf(process.getuid?.() === 0)('is read once it is readable', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'secret\n');
    chmodSync(path, 0);
    const run = await tail({ path, read_from_head: 'on' });
    expect(run.metric('files_refused_total', { reason: 'unreadable' })).toBe(1);
    chmodSync(path, 0o600);
    expect(await run.reached(1)).toEqual(['secret']);
  });

  it('a link found by a wildcard that leads out of its directory is refused, unless allowed', async () => {
    const outside = workspace();
    const directory = workspace();
    writeFileSync(join(outside, 'secret'), 'secret\n');
    symlinkSync(join(outside, 'secret'), join(directory, 'a.log'));
    const options = { path: join(directory, '*.log'), read_from_head: 'on', exit_on_eof: 'on' };
    const run = await tail(options);
    await run.done;
    expect(run.lines).toEqual([]);
    expect(run.metric('files_refused_total', { reason: 'outside' })).toBe(1);

    const allowed = await tail({ ...options, allowed_roots: outside });
    expect(await allowed.reached(1)).toEqual(['secret']);
    // A path without a wildcard is the administrator's word.
    const named = await tail({ ...options, path: join(directory, 'a.log') });
    expect(await named.reached(1)).toEqual(['secret']);
  });

  it('a link that is turned to another file is followed there', async () => {
    const directory = workspace();
    writeFileSync(join(directory, 'one'), 'one\n');
    writeFileSync(join(directory, 'two'), 'two\n');
    symlinkSync('one', join(directory, 'a.log'));
    const run = await tail({ path: join(directory, '*.log'), read_from_head: 'on' });
    await run.reached(1);
    unlinkSync(join(directory, 'a.log'));
    symlinkSync('two', join(directory, 'a.log'));
    expect(await run.reached(2)).toEqual(['one', 'two']);
    appendFileSync(join(directory, 'two'), 'three\n');
    expect(await run.reached(3)).toEqual(['one', 'two', 'three']);
  });
});

describe('options', () => {
  it('are wrong without a path, or with an expression that is none', () => {
    expect(problems({ path: '' })).toEqual([expect.stringContaining('names no file')]);
    expect(problems({ path: '/a', tag_regex: '(' })).toHaveLength(1);
    expect(problems({ path: '/a', multiline: 'off' })).toEqual([]);
  });
});
