/** DELIVERY.md, rules 1 to 9, and the faults that they are made for, over real files. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { hashBytes } from '../../../../plugins/shared/tail/identity.ts';
import { findAgain } from '../../../../plugins/shared/tail/resume.ts';
import { Siblings } from '../../../../plugins/shared/tail/siblings.ts';
import { Source } from '../../../../src/plugin.ts';
import { expected, numbered, tail, workspace } from './harness.ts';

describe('rule 1: a source id for each generation', () => {
  it('is random, and another one after a truncation', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'one\n');
    const run = await tail({ path, read_from_head: 'on' });
    await run.reached(1);
    truncateSync(path, 0);
    appendFileSync(path, 'two\n');
    await run.reached(2);
    const [one, two] = run.events;
    expect(one?.source).toMatch(/^[0-9a-f-]{36}$/);
    expect(two?.source).not.toBe(one?.source);
    expect([two?.start, two?.stop]).toEqual([0, 4]);
  });

  it('is in the state before the first record leaves', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, 'one\n');
    const first = await tail({ path, read_from_head: 'on' }, { state: directory, keepBack: true });
    await first.reached(1);
    await first.kill();
    const second = await tail({ path, read_from_head: 'on' }, { state: directory });
    await second.reached(1);
    expect(second.events[0]?.source).toBe(first.events[0]?.source);
  });
});

describe('rule 2: first sight', () => {
  it('starts at the end of files where the input has no state, and at the head of those that come later', async () => {
    const directory = workspace();
    writeFileSync(join(directory, 'old.log'), 'before\n');
    const run = await tail({ path: join(directory, '*.log') }, { state: directory });
    appendFileSync(join(directory, 'old.log'), 'after\n');
    await run.reached(1);
    writeFileSync(join(directory, 'new.log'), 'fresh\n');
    expect((await run.reached(2)).toSorted()).toEqual(['after', 'fresh']);
  });

  it('reads what was written while it was away, and unknown files from their head', async () => {
    const directory = workspace();
    const path = join(directory, '*.log');
    writeFileSync(join(directory, 'old.log'), 'before\n');
    const first = await tail({ path }, { state: directory });
    await first.stop();
    appendFileSync(join(directory, 'old.log'), 'while away\n');
    writeFileSync(join(directory, 'new.log'), 'fresh\n');
    const second = await tail({ path }, { state: directory });
    expect((await second.reached(2)).toSorted()).toEqual(['fresh', 'while away']);
  });

  it('has state also when it found nothing', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    await (await tail({ path }, { state: directory })).stop();
    writeFileSync(path, 'while away\n');
    const second = await tail({ path }, { state: directory });
    expect(await second.reached(1)).toEqual(['while away']);
  });

  it('notices that a file which it began at its end is truncated, or written anew with the same head and size', async () => {
    const path = join(workspace(), 'a.log');
    const head = numbered('head', 500);
    writeFileSync(path, `${head}old\n`);
    const run = await tail({ path });
    await run.idle();
    writeFileSync(path, `${head}new\n`);
    expect((await run.reached(501)).at(-1)).toBe('new');
    truncateSync(path, 0);
    appendFileSync(path, 'short\n');
    expect((await run.reached(502)).at(-1)).toBe('short');
  });
});

describe('rule 4: rotated while away', () => {
  it('reads the rest of every generation, oldest first, though no pattern matches them', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    writeFileSync(path, numbered('a', 10));
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(10);
    await first.stop();

    appendFileSync(path, numbered('a', 10, 10));
    renameSync(path, `${path}.2`);
    // This one nobody has ever seen.
    writeFileSync(`${path}.1`, numbered('b', 10));
    writeFileSync(path, numbered('c', 10));
    const second = await tail({ path, read_from_head: 'on' }, { state: directory });
    expect(await second.reached(30)).toEqual([
      ...expected('a', 10, 10),
      ...expected('b', 10),
      ...expected('c', 10),
    ]);
    await second.stop();

    const third = await tail({ path }, { state: directory });
    await third.idle();
    expect(third.lines).toEqual([]);
  });

  it('keeps the tag and the path of the time before', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    writeFileSync(path, 'one\n');
    const options = { path, read_from_head: 'on', path_key: 'file' };
    const first = await tail(options, { state: directory, tag: 'x.*' });
    await first.reached(1);
    await first.stop();
    appendFileSync(path, 'two\n');
    renameSync(path, `${path}.1`);
    const second = await tail(options, { state: directory, tag: 'x.*' });
    await second.reached(1);
    expect(second.events[0]).toMatchObject({ tag: first.events[0]?.tag, record: { log: 'two', file: path } });
  });

  it('goes on in the compressed file, at the offset of the decompressed bytes', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    writeFileSync(path, numbered('a', 5000));
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(5000);
    await first.stop();
    appendFileSync(path, numbered('a', 5000, 5000));
    renameSync(path, `${path}.1`);
    // An older one with the same head, which it must not be taken for.
    writeFileSync(`${path}.0.gz`, gzipSync(numbered('a', 4000)));
    execFileSync('gzip', [`${path}.1`]);
    writeFileSync(path, 'next\n');
    const second = await tail({ path }, { state: directory });
    expect(await second.reached(5001)).toEqual([...expected('a', 5000, 5000), 'next']);
    await second.stop();
    const third = await tail({ path }, { state: directory });
    await third.idle();
    expect(third.lines).toEqual([]);
  });

  it('also where that was empty at first, and its end was never reached', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    const word = 'a'.repeat(1000);
    writeFileSync(path, '');
    const first = await tail({ path, read_from_head: 'on' }, { state: directory, full: 'always' });
    appendFileSync(path, numbered(word, 5000));
    await first.reached(1);
    const read = first.events.length;
    first.drain();
    await first.until(() => first.events.length > read);
    first.writeMarks();
    const delivered = first.events.length;
    await first.kill();
    renameSync(path, `${path}.1`);
    execFileSync('gzip', [`${path}.1`]);
    writeFileSync(path, 'next\n');
    const second = await tail({ path }, { state: directory });
    await second.until(() => second.lines.includes('next'));
    await second.idle();
    expect(delivered).toBeLessThan(5000);
    expect(second.lines).toEqual([...expected(word, 5000 - delivered, delivered), 'next']);
  });

  it('goes on in the copy that copytruncate left', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    writeFileSync(path, numbered('a', 10));
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(10);
    await first.stop();
    appendFileSync(path, numbered('a', 10, 10));
    copyFileSync(path, `${path}.1`);
    truncateSync(path, 0);
    appendFileSync(path, numbered('b', 10));
    const second = await tail({ path }, { state: directory });
    expect(await second.reached(20)).toEqual([...expected('a', 10, 10), ...expected('b', 10)]);
  });

  it('counts what was not read of a file that is gone', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    writeFileSync(path, numbered('a', 10));
    const first = await tail({ path, read_from_head: 'on' }, { state: directory, keepBack: true });
    await first.reached(10);
    await first.stop();
    unlinkSync(path);
    const second = await tail({ path }, { state: directory });
    await second.idle();
    expect(second.metric('lost_bytes_total', { reason: 'source_gone' })).toBe(40);
    expect(second.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    await second.stop();
    const third = await tail({ path }, { state: directory });
    expect(third.metric('lost_bytes_total')).toBe(0);
  });

  it('never applies ignore_older to a remembered file', async () => {
    const directory = workspace();
    const path = join(directory, 'app.log');
    writeFileSync(path, 'one\n');
    const first = await tail({ path, read_from_head: 'on' }, { state: directory, keepBack: true });
    await first.reached(1);
    await first.stop();
    execFileSync('touch', ['-d', '2020-01-01', path]);
    const second = await tail({ path, ignore_older: '1h' }, { state: directory });
    expect(await second.reached(1)).toEqual(['one']);
  });

  it('finds the target of a link that was rotated (Kubernetes)', async () => {
    const directory = workspace();
    const pod = join(directory, 'pods', 'one');
    const links = join(directory, 'containers');
    mkdirSync(pod, { recursive: true });
    mkdirSync(links);
    writeFileSync(join(pod, '0.log'), 'one\n');
    symlinkSync(join(pod, '0.log'), join(links, 'app.log'));
    const options = { path: join(links, '*.log'), read_from_head: 'on', allowed_roots: directory };
    const first = await tail(options, { state: directory });
    await first.reached(1);
    await first.stop();
    appendFileSync(join(pod, '0.log'), 'two\n');
    renameSync(join(pod, '0.log'), join(pod, '0.log.20261120-101112'));
    writeFileSync(join(pod, '0.log'), 'three\n');
    const second = await tail(options, { state: directory });
    expect(await second.reached(2)).toEqual(['two', 'three']);

    // And while it runs.
    appendFileSync(join(pod, '0.log'), 'four\n');
    renameSync(join(pod, '0.log'), join(pod, '0.log.20261120-111213'));
    writeFileSync(join(pod, '0.log'), 'five\n');
    expect(await second.reached(4)).toEqual(['two', 'three', 'four', 'five']);
  });
});

describe('rule 5: identity', () => {
  it('fault 25: a file with the inode of one that is gone is read from its head', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    const { ino } = (writeFileSync(path, 'old one\nold two\n'), statSync(path));
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(2);
    await first.stop();
    // Content of its own, longer, in the same inode: what a reused one looks like.
    writeFileSync(path, 'new one\nnew two\nnew three\n');
    expect(statSync(path).ino).toBe(ino);
    const second = await tail({ path }, { state: directory });
    expect(await second.reached(3)).toEqual(['new one', 'new two', 'new three']);
  });

  it('an inode that was an empty file before, under another name, is a file of its own', async () => {
    const directory = workspace();
    const [first, elsewhere, second] = ['a.log', 'a.txt', 'b.log'].map((name) => join(directory, name));
    writeFileSync(first as string, '');
    const run = await tail(
      { path: join(directory, '*.log'), read_from_head: 'on', rotate_wait: '0' },
      { tag: 'of.*' },
    );
    renameSync(first as string, elsewhere as string);
    await run.until(() => run.metric('files_closed_total') === 1);
    // As when it had been deleted and the system had given its inode to the next file.
    writeFileSync(elsewhere as string, 'line\n');
    renameSync(elsewhere as string, second as string);
    await run.reached(1);
    expect(run.events[0]?.tag).toMatch(/b\.log$/);
  });

  it('and so it is where that was rotated before the agent was started', async () => {
    const directory = workspace();
    const [first, rotated, second] = ['a.log', 'a.log.1', 'b.log'].map((name) => join(directory, name));
    const options = { path: join(directory, '*.log'), read_from_head: 'on', rotate_wait: '0' };
    writeFileSync(first as string, '');
    const before = await tail(options, { state: directory });
    await before.stop();
    renameSync(first as string, rotated as string);
    const run = await tail(options, { state: directory, tag: 'of.*' });
    await run.until(() => run.metric('open_files') === 0);
    writeFileSync(rotated as string, 'line\n');
    renameSync(rotated as string, second as string);
    await run.reached(1);
    expect(run.events[0]?.tag).toMatch(/b\.log$/);
  });

  it('a rotated file that was empty at first, and was killed at its end before that was seen, is not read again', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    const options = { path, read_from_head: 'on', rotate_wait: '0' };
    writeFileSync(path, 'first\n');
    const before = await tail(options, { state: directory });
    await before.reached(1);
    renameSync(path, `${path}.2`);
    writeFileSync(path, '');
    await before.until(() => before.remembered === 2);
    before.fill();
    appendFileSync(path, 'second\n');
    await before.reached(2);
    before.writeMarks();
    await before.kill();
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'third\n');
    const run = await tail(options, { state: directory });
    await run.until(() => run.lines.includes('third'));
    await run.idle();
    expect(run.lines).toEqual(['third']);
  });

  it('a file that was empty at first is known when it is rotated on, without state and without an end of its line too', async () => {
    const rotate = async ({ isStored, text }: { isStored: boolean; text: string }) => {
      const directory = workspace();
      const path = join(directory, 'a.log');
      const state = isStored ? directory : undefined;
      const run = await tail({ path, read_from_head: 'on', rotate_wait: '0' }, { state });
      writeFileSync(path, '');
      await run.until(() => run.metric('open_files') === 1);
      appendFileSync(path, text);
      renameSync(path, `${path}.1`);
      writeFileSync(path, 'next\n');
      await run.reached(2);
      await run.until(() => run.metric('open_files') === 1);
      renameSync(`${path}.1`, `${path}.2`);
      renameSync(path, `${path}.1`);
      writeFileSync(path, 'last\n');
      await run.until(() => run.lines.includes('last'));
      await run.idle();
      return run.lines.toSorted();
    };
    const found = await Promise.all(
      [
        { isStored: true, text: 'word' },
        { isStored: false, text: 'word' },
        { isStored: false, text: 'word\n' },
      ].map(rotate),
    );
    const once = ['last', 'next', 'word'];
    expect(found).toEqual([once, once, once]);
  });

  it('fault 23: a rewritten file of the same size and head is read again', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    const head = numbered('head', 500);
    writeFileSync(path, `${head}old tail\n`);
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(501);
    await first.stop();
    writeFileSync(path, `${head}new tail\n`);
    const second = await tail({ path }, { state: directory });
    expect((await second.reached(501)).at(-1)).toBe('new tail');
    // And while it runs, to a larger size.
    writeFileSync(path, `${head}and again, longer\nmore\n`);
    expect((await second.reached(1003)).slice(-2)).toEqual(['and again, longer', 'more']);
  });

  it('fault 23: a file that was rewritten to a larger size while there was no room is read from its head', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, numbered('old', 10));
    const run = await tail({ path, read_from_head: 'on' }, { full: true });
    await run.reached(10);
    writeFileSync(path, numbered('a new one', 100));
    run.drain();
    expect(await run.reached(110)).toEqual([...expected('old', 10), ...expected('a new one', 100)]);
    expect(new Set(run.events.map(({ source }) => source)).size).toBe(2);
  });

  it('fault 26: files with the same head are all read, none twice', async () => {
    const directory = workspace();
    const head = numbered('same', 500);
    for (let index = 0; index < 100; index++)
      writeFileSync(join(directory, `f.${index}.log`), `${head}own ${index}\n`);
    const options = { path: join(directory, '*.log'), read_from_head: 'on' };
    const first = await tail(options, { state: directory });
    const lines = await first.reached(50_100);
    expect(new Set(lines.filter((line) => String(line).startsWith('own'))).size).toBe(100);
    await first.stop();
    const second = await tail(options, { state: directory });
    await second.idle();
    expect(second.lines).toEqual([]);
  });

  it('takes a fingerprint of a short file anew as it grows', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, 'x\n');
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(1);
    appendFileSync(path, 'first life\n');
    await first.reached(2);
    // It is taken when the end was seen.
    await first.until(() => first.fingerprintLength === 13);
    await first.stop();
    const database = new DatabaseSync(join(directory, 'positions.db'));
    expect(database.prepare('SELECT fingerprint_length AS n FROM sources').get()).toEqual({ n: 13 });
    database.close();
  });

  it('knows a file whose device has another number after a reboot', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'one\ntwo\n');
    const stored = {
      source: new Source('id', 4),
      identity: {
        path,
        device: '12345',
        inode: String(statSync(path).ino),
        fingerprint: hashBytes(Buffer.from('one\n')),
        fingerprintLength: 4,
      },
      position: 4,
      tailHash: hashBytes(Buffer.from('one\n')),
      size: 4,
    };
    const found = await findAgain(stored, new Siblings());
    expect(found).toMatchObject({ path, compressed: false });
    if (typeof found === 'object') closeSync(found.descriptor);
    writeFileSync(path, 'two\none\n');
    expect(await findAgain(stored, new Siblings())).toBe('gone');
  });

  it('reads a file with two names once', async () => {
    const directory = workspace();
    writeFileSync(join(directory, 'a.log'), 'one\n');
    linkSync(join(directory, 'a.log'), join(directory, 'b.log'));
    const run = await tail({ path: join(directory, '*.log'), read_from_head: 'on' });
    await run.idle();
    unlinkSync(join(directory, 'a.log'));
    appendFileSync(join(directory, 'b.log'), 'two\n');
    expect(await run.reached(2)).toEqual(['one', 'two']);
  });
});

describe('rotation while it runs', () => {
  it('reads a renamed file to its end, then the new one', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, numbered('a', 10));
    const run = await tail({ path, read_from_head: 'on' });
    await run.reached(10);
    appendFileSync(path, numbered('a', 10, 10));
    renameSync(path, `${path}.1`);
    writeFileSync(path, numbered('b', 10));
    expect(await run.reached(30)).toEqual([...expected('a', 20), ...expected('b', 10)]);
    await run.until(() => run.metric('open_files') === 1);
    expect(run.metric('files_rotated_total')).toBe(1);
  });

  it('fault 20: reads ten generations in order that were rotated while there was no room', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, numbered('g0', 3));
    const run = await tail({ path, read_from_head: 'on' }, { full: true });
    await run.reached(1);
    for (let generation = 1; generation <= 10; generation++) {
      for (let index = generation; index > 0; index--) {
        if (existsSync(`${path}.${index}`)) renameSync(`${path}.${index}`, `${path}.${index + 1}`);
      }
      renameSync(path, `${path}.1`);
      writeFileSync(path, numbered(`g${generation}`, 3));
      await run.until(() => run.metric('open_files') === generation + 1);
    }
    run.drain();
    const lines = await run.reached(33);
    expect(lines).toEqual(
      Array.from({ length: 11 }, (_, generation) => expected(`g${generation}`, 3)).flat(),
    );
  });

  it('opens a file that was created and rotated before anybody looked', async () => {
    const path = join(workspace(), 'a.log');
    const run = await tail({ path, read_from_head: 'on' });
    writeFileSync(path, 'gone at once\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'here\n');
    expect((await run.reached(2)).toSorted()).toEqual(['gone at once', 'here']);
  });

  it('does not take the compressed predecessor for a new file', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    for (const pattern of [path, `${path}*`]) {
      rmSync(`${path}.1.gz`, { force: true });
      writeFileSync(path, 'one\n');
      const run = await tail({ path: pattern, read_from_head: 'on', rotate_wait: '0' });
      await run.reached(1);
      renameSync(path, `${path}.1`);
      writeFileSync(path, 'two\n');
      await run.reached(2);
      execFileSync('gzip', [`${path}.1`]);
      appendFileSync(path, 'three\n');
      await run.reached(3);
      await run.until(() => !existsSync(`${path}.1`));
      // What comes later is read later: by then the compressed file was looked at.
      for (const [index, line] of ['four', 'five'].entries()) {
        appendFileSync(path, `${line}\n`);
        await run.reached(index + 4);
      }
      expect(run.lines).toEqual(['one', 'two', 'three', 'four', 'five']);
      await run.stop();
    }
  });

  it('fault 22: reads a deleted file to its end, though nobody has time meanwhile', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, numbered('a', 100_000));
    const run = await tail({ path, read_from_head: 'on' }, { full: true });
    await run.reached(1);
    unlinkSync(path);
    writeFileSync(path, 'next\n');
    run.drain();
    const lines = await run.reached(100_001);
    expect(lines.slice(0, -1)).toEqual(expected('a', 100_000));
    expect(lines.at(-1)).toBe('next');
  });

  it('keeps the descriptor of a deleted file until everything is settled', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'one\n');
    const run = await tail({ path, read_from_head: 'on' }, { keepBack: true });
    await run.reached(1);
    unlinkSync(path);
    await run.until(() => run.metric('files_rotated_total') === 1);
    // Nothing tells that nothing happens: this is longer than the second after which files are let go.
    await new Promise((resolve) => setTimeout(resolve, 1300));
    expect(run.metric('open_files')).toBe(1);
    run.sink.settle();
    await run.until(() => run.metric('open_files') === 0);
  });

  it('reads what a late writer adds to a rotated file', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'one\n');
    const run = await tail({ path, read_from_head: 'on', rotate_wait: '60' });
    await run.reached(1);
    renameSync(path, `${path}.1`);
    await run.until(() => run.metric('files_rotated_total') === 1);
    appendFileSync(`${path}.1`, 'late\n');
    expect(await run.reached(2)).toEqual(['one', 'late']);
  });

  it('fault 24: counts the bytes that a truncation took, and says so once', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, numbered('a', 100));
    const run = await tail({ path, read_from_head: 'on' }, { full: true });
    await run.reached(100);
    const read = statSync(path).size;
    appendFileSync(path, 'x'.repeat(5_000_000));
    await run.until(() => run.metric('file_lag_bytes') >= 5_000_000);
    truncateSync(path, 0);
    appendFileSync(path, 'new\n');
    run.drain();
    expect((await run.reached(101)).at(-1)).toBe('new');
    expect(run.metric('lost_bytes_total', { reason: 'truncated' })).toBe(5_000_000);
    expect(run.log.lines.filter(({ message }) => message.includes('truncated'))).toHaveLength(1);
    expect(read).toBeGreaterThan(0);
  });
});

describe('rule 8: rows of the state', () => {
  const rows = (directory: string): string[] => {
    const database = new DatabaseSync(join(directory, 'positions.db'));
    const paths = database.prepare('SELECT real_path AS path FROM sources ORDER BY real_path').all();
    database.close();
    return paths.map(({ path }) => String(path));
  };

  it('go when the file is gone and settled, and stay while it is there', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, 'one\n');
    const options = { path, read_from_head: 'on', refresh_interval: '0.1' };
    const run = await tail(options, { state: directory });
    await run.reached(1);
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'two\n');
    await run.reached(2);
    await run.until(() => run.metric('open_files') === 1);
    await run.stop();
    expect(rows(directory)).toEqual([path, `${path}.1`]);

    unlinkSync(`${path}.1`);
    const second = await tail(options, { state: directory });
    await second.idle();
    await second.stop();
    expect(rows(directory)).toEqual([path]);
    expect(second.metric('lost_bytes_total')).toBe(0);
  });

  it('marks of a killed run are where reading resumes', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, numbered('a', 10));
    const first = await tail({ path, read_from_head: 'on' }, { state: directory, keepBack: true });
    await first.reached(10);
    first.sink.settle();
    first.writeMarks();
    appendFileSync(path, numbered('a', 10, 10));
    await first.reached(20);
    await first.kill();
    const second = await tail({ path }, { state: directory });
    expect(await second.reached(10)).toEqual(expected('a', 10, 10));
  });
});

describe('rule 9: an unterminated last line', () => {
  it('fault 28: waits for its end, also over a restart', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    writeFileSync(path, 'whole\nha');
    const first = await tail({ path, read_from_head: 'on' }, { state: directory });
    await first.reached(1);
    await first.stop();
    expect(first.lines).toEqual(['whole']);
    appendFileSync(path, 'lf\n');
    const second = await tail({ path }, { state: directory });
    expect(await second.reached(1)).toEqual(['half']);
    expect(second.events[0]?.metadata).toBeUndefined();
  });

  it.each([
    ['renamed', (path: string) => renameSync(path, `${path}.1`)],
    ['deleted', (path: string) => unlinkSync(path)],
  ])('is taken when the file was %s, flagged', async (_name, rotate) => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'whole\nhalf');
    const run = await tail({ path, read_from_head: 'on' });
    await run.reached(1);
    rotate(path);
    expect(await run.reached(2)).toEqual(['whole', 'half']);
    expect(run.events[1]?.metadata).toEqual({ unterminated: true });
  });

  it('fault 27: is taken after a long idle time; empty files are none', async () => {
    const directory = workspace();
    for (let index = 0; index < 200; index++)
      writeFileSync(join(directory, `${index}.log`), index % 2 === 0 ? '' : `line ${index}`);
    const run = await tail({
      path: join(directory, '*.log'),
      read_from_head: 'on',
      unterminated_timeout: '0.2',
    });
    const lines = await run.reached(100);
    expect(new Set(lines).size).toBe(100);
    appendFileSync(join(directory, '1.log'), ' more\n');
    expect((await run.reached(101)).at(-1)).toBe(' more');
  });

  it('is taken at the end with exit_on_eof', async () => {
    const path = join(workspace(), 'a.log');
    writeFileSync(path, 'whole\nhalf');
    const run = await tail({ path, read_from_head: 'on', exit_on_eof: 'on' });
    await run.done;
    expect(run.lines).toEqual(['whole', 'half']);
  });
});

describe("positions of Fluent Bit's database", () => {
  it('are taken over, also of a file that was rotated meanwhile; nothing is written to it', async () => {
    const directory = workspace();
    const path = join(directory, 'a.log');
    const db = join(directory, 'flb.db');
    writeFileSync(path, 'one\ntwo\nthree\n');
    const database = new DatabaseSync(db);
    database.exec(
      'CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT, offset INTEGER, inode INTEGER, created INTEGER, rotated INTEGER)',
    );
    database.prepare('INSERT INTO in_tail_files VALUES (1, ?, 4, ?, 0, 0)').run(path, statSync(path).ino);
    database.close();
    const before = readFileSync(db);
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'next\n');
    const run = await tail({ path, db }, { state: directory, db });
    expect(await run.reached(3)).toEqual(['two', 'three', 'next']);
    await run.stop();
    expect(readFileSync(db)).toEqual(before);
    const second = await tail({ path, db }, { state: directory, db });
    await second.idle();
    expect(second.lines).toEqual([]);
  });
});
