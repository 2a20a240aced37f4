import { closeSync, openSync } from 'node:fs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Source } from '../../../../src/event/source.ts';
import { Descriptors } from '../../../../plugins/shared/tail/descriptors.ts';
import { TailFile } from '../../../../plugins/shared/tail/tail-file.ts';

/** This file, as one that has something to read of which nobody has told, however often it was read. */
function unread(): TailFile {
  const path = import.meta.filename;
  const identity = { path, device: '1', inode: '1', fingerprint: '', fingerprintLength: 0 };
  const file = new TailFile({
    path,
    realPath: path,
    key: '1:1',
    tag: '',
    shown: path,
    source: new Source('s', 0),
    identity,
    offset: 0,
    size: 0,
    mtimeMs: 0,
    compressed: false,
  });
  file.names.add(path);
  const descriptor = openSync(path, 'r');
  onTestFinished(() => {
    if (file.isOpen) closeSync(descriptor);
  });
  file.useDescriptor(descriptor);
  file.caughtUpAt = 0;
  return file;
}

it('does not look through all files with each use, where none may be closed', () => {
  const looked = vi.spyOn(TailFile.prototype, 'isChanged');
  onTestFinished(() => looked.mockRestore());
  const files = Array.from({ length: 200 }, unread);
  const descriptors = new Descriptors(100);
  for (const file of files) descriptors.use(file);
  for (const file of files) descriptors.use(file);
  expect(descriptors.count).toBe(200);
  // 300 uses beyond the limit; each would look at 100 and more.
  expect(looked.mock.calls.length).toBeLessThan(300 * 20);
});

it('closes what was read once some more was used', () => {
  const files = Array.from({ length: 200 }, unread);
  const descriptors = new Descriptors(100);
  for (const file of files) descriptors.use(file);
  for (const file of files) file.look();
  for (let use = 0; descriptors.count > 100 && use < 20; use++) descriptors.trim();
  expect(descriptors.count).toBe(100);
});

it('a file that cannot be looked at does not keep another from being used', () => {
  const files = Array.from({ length: 4 }, unread);
  for (const file of files) file.look();
  const [broken, ...others] = files as [TailFile, ...TailFile[]];
  // As of a file on a server that has it no more, which no test has at hand.
  broken.isChanged = () => {
    throw new Error('ESTALE: stale file handle, fstat');
  };
  const descriptors = new Descriptors(2);
  for (const file of [broken, ...others]) descriptors.use(file);
  expect(files.map(({ isOpen }) => isOpen)).toEqual([true, false, false, true]);
});
