import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StateError, StateLockedError } from '../../src/state/store.ts';
import { identity, open, send, workspace } from './harness.ts';

describe('sources of an input', () => {
  it('rule 1: every source has a random id, stored before add returns', () => {
    const directory = workspace();
    const first = open(directory);
    const [one, two] = first.state.forInput('tail').add([
      { identity: identity('/a'), start: 0 },
      { identity: identity('/b'), start: 7 },
    ]);
    expect(one?.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(one?.id).not.toBe(two?.id);
    // As after SIGKILL: nothing was written since.
    first.state.close();
    const again = open(directory).state.forInput('tail').load();
    expect(
      again.map(({ source, identity: { path }, position }) => [source.id, path, position]).toSorted(),
    ).toEqual(
      [
        [one?.id, '/a', 0],
        [two?.id, '/b', 7],
      ].toSorted(),
    );
  });

  it('rule 2: an input is fresh until it has state, also if it found no file', () => {
    const directory = workspace();
    const { state } = open(directory);
    expect(state.forInput('tail').fresh).toBe(true);
    state.forInput('tail').claim();
    expect(state.forInput('tail').fresh).toBe(false);
    expect(state.forInput('other').fresh).toBe(true);
    state.close();
    const second = open(directory).state;
    expect(second.forInput('tail').fresh).toBe(false);
    expect(second.forInput('other').fresh).toBe(true);
  });

  it('keeps inputs apart, and gives the same objects at every call', () => {
    const { state } = open(workspace());
    const [source] = state.forInput('one').add([{ identity: identity('/a'), start: 0 }]);
    expect(state.forInput('one').load()[0]?.source).toBe(source);
    expect(state.forInput('two').load()).toEqual([]);
  });

  it('remembers path, place, inode beyond 2^53, fingerprint, hash and size', () => {
    const directory = workspace();
    const { state } = open(directory);
    const store = state.forInput('tail');
    const [source] = store.add([{ identity: identity('/links/a'), start: 0, size: 50 }]);
    const moved = {
      ...identity('/links/a'),
      realPath: '/pods/a.1',
      fingerprint: '9:def',
      fingerprintLength: 9,
    };
    if (source === undefined) throw new Error('There is no source.');
    store.identify(source, moved);
    store.describe(source, (position) => ({ tailHash: `at ${position}`, size: 77 }));
    send(source, 'fast', 0, 40)();
    state.writeMarks();
    state.close();
    const [stored] = open(directory).state.forInput('tail').load();
    expect(stored).toMatchObject({ identity: moved, position: 40, tailHash: 'at 40', size: 77 });
  });

  it('stores the size as it grows while the position stands', () => {
    const directory = workspace();
    const { state } = open(directory);
    const store = state.forInput('tail');
    const [source] = store.add([{ identity: identity('/a'), start: 0, size: 50 }]);
    if (source === undefined) throw new Error('There is no source.');
    send(source, 'fast', 0, 40);
    store.describe(source, () => ({ tailHash: '', size: 1000 }));
    source.touch();
    state.writeMarks();
    state.close();
    expect(open(directory).state.forInput('tail').load()[0]).toMatchObject({ position: 0, size: 1000 });
  });

  it('rule 8: forgets a removed source with the next marks', () => {
    const directory = workspace();
    const { state } = open(directory);
    const store = state.forInput('tail');
    const sources = store.add([
      { identity: identity('/a'), start: 0 },
      { identity: identity('/b'), start: 0 },
    ]);
    send(sources[0] as never, 'fast', 0, 40)();
    state.writeMarks();
    store.remove(sources.slice(0, 1));
    state.writeMarks();
    state.close();
    const second = open(directory).state;
    expect(
      second
        .forInput('tail')
        .load()
        .map(({ identity: { path } }) => path),
    ).toEqual(['/b']);
    second.close();
    const database = new DatabaseSync(join(directory, 'positions.db'));
    expect(database.prepare('SELECT count(*) AS n FROM marks').get()).toEqual({ n: 0 });
    database.close();
  });
});

describe('marks', () => {
  it('rule 6: keeps a mark and settled ranges beyond it for each output; reading resumes at the lowest', () => {
    const directory = workspace();
    const { state } = open(directory);
    const [source] = state.forInput('tail').add([{ identity: identity('/a'), start: 0 }]);
    if (source === undefined) throw new Error('There is no source.');
    const settle = [
      send(source, 'fast', 0, 10),
      send(source, 'fast', 10, 20),
      send(source, 'slow', 0, 10),
      send(source, 'slow', 10, 20),
    ];
    settle[0]?.();
    settle[1]?.();
    settle[3]?.();
    state.writeMarks();
    state.close();

    const again = open(directory).state.forInput('tail').load()[0]?.source;
    expect(again?.position()).toBe(0);
    expect(again?.wasSettled('fast', 0, 20)).toBe(true);
    expect(again?.wasSettled('slow', 0, 10)).toBe(false);
    expect(again?.wasSettled('slow', 10, 20)).toBe(true);
  });

  it('writes only rows that changed', () => {
    const { state, metrics } = open(workspace());
    const rows = metrics.counter('tailrace_state_rows_written_total', '').labels();
    const sources = state
      .forInput('tail')
      .add(Array.from({ length: 50 }, (_, index) => ({ identity: identity(`/${index}`), start: 0 })));
    const settle = sources.map((source) => send(source, 'fast', 0, 10));
    state.writeMarks();
    const before = rows.value;
    state.writeMarks();
    expect(rows.value).toBe(before);
    settle[3]?.();
    state.writeMarks();
    // Its mark and its position.
    expect(rows.value).toBe(before + 2);
  });

  it('rule 7: an output without a mark takes over that of a vanished one of the same plugin', () => {
    const directory = workspace();
    const { state } = open(directory);
    const [source] = state.forInput('tail').add([{ identity: identity('/a'), start: 0 }]);
    if (source === undefined) throw new Error('There is no source.');
    send(source, 'fast', 0, 30)();
    send(source, 'slow', 0, 10)();
    source.advance(30);
    const stuck = send(source, 'slow', 10, 30);
    expect(stuck).toBeTypeOf('function');
    state.writeMarks();
    state.close();

    const second = open(directory, [
      { stateName: 'fast', plugin: 'http' },
      { stateName: 'renamed', plugin: 'loki' },
    ]);
    const again = second.state.forInput('tail').load()[0]?.source;
    expect(again?.position()).toBe(10);
    expect(again?.wasSettled('renamed', 0, 10)).toBe(true);
    expect(second.log.lines.map(({ message }) => message)).toContain(
      'The output goes on where the one of earlier runs stopped',
    );
  });

  it('rule 7: a vanished output without heir is reported and holds nothing back', () => {
    const directory = workspace();
    const { state } = open(directory);
    const [source] = state.forInput('tail').add([{ identity: identity('/a'), start: 0 }]);
    if (source === undefined) throw new Error('There is no source.');
    send(source, 'fast', 0, 30)();
    send(source, 'slow', 0, 30);
    state.writeMarks();
    state.close();
    const second = open(directory, [
      { stateName: 'fast', plugin: 'http' },
      { stateName: 'new', plugin: 'file' },
    ]);
    const again = second.state.forInput('tail').load()[0]?.source;
    // The new one starts at the lowest mark of the source.
    expect(again?.position()).toBe(30);
    expect(second.log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: { output: 'slow' } }),
    );
  });

  it('rule 8: marks survive without a sync and without a close', async () => {
    const directory = workspace();
    const child = spawn(process.execPath, [join(import.meta.dirname, 'holder.ts'), directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');

    // While it lives, nobody else gets in, and is told who holds it.
    expect(() => open(directory)).toThrow(StateLockedError);
    expect(() => open(directory)).toThrow(`process ${child.pid}`);

    child.kill('SIGKILL');
    await once(child, 'exit');
    const [stored] = open(directory).state.forInput('tail').load();
    expect(stored?.source.position()).toBe(30);
  });
});

/** One in this many offsets is tried. */
const SAMPLE = Number(process.env['SAMPLE'] ?? 7);

describe('a database that is not as it should be', () => {
  /** A state directory with one source at offset 10. */
  function written(): { directory: string; file: string } {
    const directory = workspace();
    const { state } = open(directory);
    state.forInput('tail').add([{ identity: identity('/a'), start: 10 }]);
    state.close();
    return { directory, file: join(directory, 'positions.db') };
  }

  function evidence(directory: string): string[] {
    return readdirSync(directory).filter((name) => /\.corrupt-\d+$/.test(name));
  }

  it('keeps a damaged file as evidence, starts anew, and takes nothing for seen', () => {
    const { directory, file } = written();
    const bytes = readFileSync(file);
    bytes.fill(0x5a, 100, 3000);
    writeFileSync(file, bytes);
    const { state, log } = open(directory);
    expect(state.forInput('tail').load()).toEqual([]);
    expect(state.forInput('tail').fresh).toBe(false);
    expect(log.lines[0]).toMatchObject({ level: 'error' });
    expect(evidence(directory)).toHaveLength(1);
    expect(readFileSync(join(directory, evidence(directory)[0] as string))).toEqual(bytes);
  });

  it.each([0, 1, 50, 4096])('takes a file cut to %i bytes for damaged, never for new', (length) => {
    const { directory, file } = written();
    truncateSync(file, length);
    const { state } = open(directory);
    expect(state.forInput('tail').fresh).toBe(false);
    expect(evidence(directory)).toHaveLength(1);
  });

  it('fault 35: starts whatever single bit of the file is damaged, and skips no byte on account of it', () => {
    const directory = workspace();
    const file = join(directory, 'positions.db');
    const first = open(directory).state;
    const sources = first.forInput('tail').add([
      { identity: identity('/a'), start: 0 },
      { identity: identity('/b'), start: 0 },
    ]);
    for (const source of sources) {
      send(source, 'fast', 0, 300)();
      send(source, 'slow', 0, 300);
    }
    first.writeMarks();
    first.sync();
    first.close();
    const good = readFileSync(file);
    const kept = sources.map(({ id }) => id);
    let damaged = 0;
    for (let at = 0; at < good.length; at++) {
      if (good[at] === 0 && at % 61 !== 0) continue;
      // Another bit at each offset; SAMPLE=1 goes through all offsets.
      if (at % SAMPLE !== 0) continue;
      for (const left of readdirSync(directory)) rmSync(join(directory, left));
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] as number) ^ (1 << (Math.floor(at / SAMPLE) % 8));
      writeFileSync(file, bytes);
      const { state, metrics } = open(directory);
      const store = state.forInput('tail');
      const loaded = store.load();
      expect(store.fresh, `offset ${at}`).toBe(false);
      for (const { source, position } of loaded) {
        expect(kept, `offset ${at}`).toContain(source.id);
        expect(Math.max(position, source.emitted), `offset ${at}`).toBe(0);
        expect(source.wasSettled('slow', 0, 300), `offset ${at}`).toBe(false);
      }
      const counted = metrics.counter('tailrace_state_damaged_rows_total', '').sum();
      if (loaded.length < kept.length) expect(counted, `offset ${at}`).toBeGreaterThan(0);
      if (counted > 0) {
        damaged++;
        expect(evidence(directory), `offset ${at}`).toHaveLength(1);
      }
      state.close();
    }
    expect(damaged).toBeGreaterThan(10);
  });

  it('fault 36: refuses a newer format in a sentence and leaves it as it is', () => {
    const { directory, file } = written();
    const database = new DatabaseSync(file);
    database.exec("UPDATE meta SET value = '2' WHERE key = 'version'; PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    const before = readFileSync(file);
    expect(() => open(directory)).toThrow(StateError);
    expect(() => open(directory)).toThrow(/have format 2, this version of tailrace knows 1/);
    expect(readFileSync(file)).toEqual(before);
    expect(evidence(directory)).toEqual([]);
  });

  it('refuses a database of something else', () => {
    const directory = workspace();
    const file = join(directory, 'app.db');
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE users (name TEXT)');
    database.close();
    const { state } = open(directory);
    expect(() => state.forInput('tail', { file })).toThrow(/is a database of something else/);
  });

  it('says in a sentence that a directory cannot be used', () => {
    const directory = workspace();
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect(() => open(file)).toThrow(StateError);
  });
});

describe('a disk that is full', () => {
  it('fault 10: goes on with what it has, says so once, and writes it all later', () => {
    const directory = workspace();
    const { state, log, metrics } = open(directory);
    const store = state.forInput('tail');
    const [kept] = store.add([{ identity: identity('/kept'), start: 0 }]);
    if (kept === undefined) throw new Error('There is no source.');
    state.sync();
    limitPages(state, true);
    const settle = send(kept, 'fast', 0, 10);
    const found = store.add(
      Array.from({ length: 2000 }, (_, index) => ({ identity: identity(`/new/${index}`), start: 3 })),
    );
    settle();
    state.writeMarks();
    state.sync();
    expect(found).toHaveLength(2000);
    expect(state.isFailing).toBe(true);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(metrics.counter('tailrace_state_write_failures_total', '').sum()).toBe(2);

    limitPages(state, false);
    state.writeMarks();
    expect(state.isFailing).toBe(false);
    state.close();
    const loaded = open(directory).state.forInput('tail').load();
    expect(loaded).toHaveLength(2001);
    expect(loaded.find(({ identity: { path } }) => path === '/kept')?.position).toBe(10);
    expect(loaded.find(({ identity: { path } }) => path === '/new/7')?.position).toBe(3);
  });

  /** SQLite's own limit on the size of a database answers as a full disk does. */
  function limitPages(state: object, full: boolean): void {
    const { opened } = state as { opened: Map<string, { database: DatabaseSync }> };
    for (const { database } of opened.values()) {
      const used = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
      database.exec(`PRAGMA max_page_count=${full ? used : 1_000_000}`);
    }
  }
});

describe('the lock', () => {
  it('keeps a second store of the same process out, and is given up with the first', () => {
    const directory = workspace();
    const { state } = open(directory);
    expect(() => open(directory)).toThrow(`process ${process.pid}`);
    state.close();
    open(directory);
  });

  it('is still held when a second input, or a reload, asks for a database that is open', async () => {
    const directory = workspace();
    const file = join(directory, 'own.db');
    const { state } = open(directory);
    state.forInput('one', { file });
    state.forInput('two', { file });
    const child = spawn(process.execPath, ['-e', TRY_LOCK, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [answer] = (await once(child.stdout, 'data')) as [Buffer];
    expect(answer.toString()).toBe('locked');
  });

  /** Says whether another process gets into a database. */
  const TRY_LOCK = `
    const { DatabaseSync } = require('node:sqlite');
    try {
      new DatabaseSync(process.argv[1]).exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
      process.stdout.write('open');
    } catch {
      process.stdout.write('locked');
    }`;
});

it('rule 8: what a write costs with 10,000 files', () => {
  const { state } = open(workspace());
  const store = state.forInput('tail');
  const found = Array.from({ length: 10_000 }, (_, n) => ({ identity: identity(`/logs/${n}`), start: 0 }));
  const sources = store.add(found);
  const took = (work: () => void): string => {
    const start = performance.now();
    work();
    return (performance.now() - start).toFixed(2);
  };
  const write = (changed: typeof sources): string => {
    for (const source of changed) send(source, 'fast', source.emitted, source.emitted + 100)();
    return took(() => state.writeMarks());
  };
  const costs = [write(sources), write(sources.slice(0, 100)), write(sources.slice(0, 1))];
  process.stdout.write(
    `Writing the marks of 10,000, 100 and 1 of 10,000 files: ${costs.join(', ')} ms; sync: ${took(() => state.sync())} ms.\n`,
  );
  expect(store.load().every(({ source }) => !source.dirty)).toBe(true);
});

describe('a file of its own (db)', () => {
  /** A database as Fluent Bit 5 leaves it. */
  function fluentBit(directory: string): string {
    const file = join(directory, 'flb.db');
    const database = new DatabaseSync(file);
    database.exec(`
      CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT NOT NULL, offset INTEGER, inode INTEGER,
        created INTEGER, rotated INTEGER DEFAULT 0, offset_marker INTEGER DEFAULT 0, offset_marker_size INTEGER DEFAULT 0);
      INSERT INTO in_tail_files (name, offset, inode, created) VALUES ('/var/log/a.log', 4711, 9007199254740993, 1);
    `);
    database.close();
    return file;
  }

  it('keeps positions there', () => {
    const directory = workspace();
    const file = join(directory, 'own', 'tail.db');
    const { state } = open(directory);
    state.forInput('tail', { file }).add([{ identity: identity('/a'), start: 5 }]);
    state.close();
    const second = open(directory).state;
    expect(second.forInput('tail', { file }).load()).toHaveLength(1);
    expect(second.forInput('tail2').load()).toHaveLength(0);
  });

  it('reads a database of Fluent Bit once, never writes it, and keeps its own beside it', () => {
    const directory = workspace();
    const file = fluentBit(directory);
    const before = readFileSync(file);
    const { state } = open(directory);
    const store = state.forInput('tail', { file });
    expect(store.fresh).toBe(false);
    expect(store.legacy).toEqual([{ path: '/var/log/a.log', inode: '9007199254740993', offset: 4711 }]);
    store.add([{ identity: identity('/var/log/a.log'), start: 4711 }]);
    state.close();
    expect(readFileSync(file)).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.startsWith('flb.db-'))).toEqual([]);
    const again = open(directory).state.forInput('tail', { file });
    expect(again.legacy).toEqual([]);
    expect(again.load()).toHaveLength(1);
  });

  it('rule 7: marks in it are taken over as well', () => {
    const directory = workspace();
    const file = join(directory, 'tail.db');
    const { state } = open(directory);
    const [source] = state.forInput('tail', { file }).add([{ identity: identity('/a'), start: 0 }]);
    if (source === undefined) throw new Error('There is no source.');
    send(source, 'fast', 0, 30)();
    state.writeMarks();
    state.close();
    const second = open(directory, [{ stateName: 'other', plugin: 'http' }]).state;
    const again = second.forInput('tail', { file }).load()[0]?.source;
    expect(again?.wasSettled('other', 0, 30)).toBe(true);
  });
});
