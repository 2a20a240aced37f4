/** The lock on a directory of the disk buffer. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { StateLockedError } from '../../src/state/database.ts';
import { lockDirectory } from '../../src/state/lock.ts';
import { workspace } from './harness.ts';

const HELPER = join(import.meta.dirname, 'locker.ts');

/** Another process tries to take the lock: what it says. */
function another(directory: string): string {
  return spawnSync(process.execPath, [HELPER, directory], { encoding: 'utf8' }).stdout;
}

it('keeps other processes away and names the holder, until it is let go', () => {
  const directory = join(workspace(), 'buffer');
  const lock = lockDirectory(directory);
  const said = another(directory);
  expect(said).toContain(`process ${process.pid} holds it`);
  expect(said).toContain('storage.path');
  lock.close();
  expect(another(directory)).toBe('taken');
  // That process has ended, and its lock with it.
  lockDirectory(directory).close();
});

it('is taken over a file that is no lock', () => {
  const directory = workspace();
  writeFileSync(
    join(directory, 'lock.db'),
    'not a database, whatever it is, and long enough for a header'.repeat(9),
  );
  lockDirectory(directory).close();
  expect(readFileSync(join(directory, 'lock.db.holder'), 'utf8')).toBe(`${process.pid}\n`);
});

it('says what the file system says where there can be none', () => {
  const directory = workspace();
  writeFileSync(join(directory, 'file'), '');
  let caught: unknown;
  try {
    lockDirectory(join(directory, 'file', 'buffer'));
  } catch (error) {
    caught = error;
  }
  expect(caught).not.toBeInstanceOf(StateLockedError);
  expect((caught as NodeJS.ErrnoException).code).toBe('ENOTDIR');
});
