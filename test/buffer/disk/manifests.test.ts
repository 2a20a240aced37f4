import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Manifests, renameManifests } from '../../../src/buffer/disk/manifests.ts';
import type { Manifest } from '../../../src/event/manifest.ts';

const manifest = (sequence: number): Manifest => ({
  sequence,
  plan: { key: `object ${sequence}`, settings: { format: 'json_lines' } },
  records: 10,
  bytes: 100,
  chunks: [[1000 + sequence, [[0, 10]]]],
});

describe('Manifests', () => {
  let directory: string;
  let manifests: Manifests;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-manifests-'));
    manifests = new Manifests(directory, 's3');
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const files = (output = 's3'): string[] => readdirSync(join(directory, 'objects', output)).toSorted();
  const found = (): ReturnType<Manifests['read']> => new Manifests(directory, 's3').read();

  it('has nothing where nothing was written', () => {
    expect(found()).toEqual({ open: [], done: [], last: 0, damaged: [] });
  });

  it('comes back as it was written, in order, until it is acknowledged', async () => {
    for (const sequence of [2, 1, 10]) await manifests.write(manifest(sequence));
    await manifests.acknowledge(manifest(2));
    const { open, done, last } = found();
    expect(open).toMatchObject([manifest(1), manifest(10)]);
    expect(done).toMatchObject([manifest(2)]);
    expect(last).toBe(10);
  });

  it('what is settled goes, but for the last of all, and for what is not settled yet', async () => {
    for (const sequence of [1, 2, 3]) await manifests.write(manifest(sequence));
    for (const sequence of [1, 2, 3]) await manifests.acknowledge(manifest(sequence));
    expect(await manifests.tidy(new Set([1, 3]))).toEqual([1]);
    expect(files()).toEqual(['0000000002.done', '0000000003.done']);
    expect(found().last).toBe(3);
  });

  it('an acknowledgement of some records says which; the rest is not sent under that name any more', async () => {
    await manifests.write(manifest(1));
    await manifests.acknowledge(manifest(1), [[1001, [[0, 4]]]]);
    expect(found()).toMatchObject({ open: [], done: [{ sequence: 1, chunks: [[1001, [[0, 4]]]] }] });
    // A crash between the two writes.
    await manifests.write(manifest(1));
    expect(found()).toMatchObject({ open: [], done: [{ sequence: 1 }] });
    expect(files()).toEqual(['0000000001.done']);
  });

  it.each(['', '{', '[]', 'null', '{"version":2}', '{"version":1,"sequence":7,"plan":{},"chunks":[]}'])(
    'puts aside what is none: %s',
    async (text) => {
      await manifests.write(manifest(1));
      writeFileSync(join(directory, 'objects', 's3', '0000000007.json'), text);
      const { open, last, damaged } = found();
      expect(open).toHaveLength(1);
      expect(last).toBe(7);
      expect(damaged).toEqual([join(directory, 'objects', 's3', '0000000007.json.damaged')]);
      expect(found().damaged).toEqual([]);
    },
  );

  it('an output may be called anything, and be called something else', async () => {
    const odd = new Manifests(directory, '../..');
    await odd.write(manifest(1));
    expect(readdirSync(join(directory, 'objects'))).toEqual(['%2E%2E%2F%2E%2E']);
    renameManifests(directory, '../..', 'plain');
    renameManifests(directory, 'never there', 'other');
    expect(new Manifests(directory, 'plain').read().open).toMatchObject([manifest(1)]);
    expect(readdirSync(join(directory, 'objects'))).toEqual(['plain']);
  });
});
