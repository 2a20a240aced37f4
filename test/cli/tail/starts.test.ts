import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastLines } from '../../../src/cli/tail/starts.ts';

describe('lastLines', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-starts-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const long = `${'x'.repeat(150_000)}\n`;
  it.each([
    ['a\nb\nc\n', 2, 2],
    ['a\nb\nc', 2, 2],
    ['a\nb\nc\n', 3, 0],
    ['a\nb\nc\n', 10, 0],
    ['a\nb\nc\n', 0, 6],
    ['a\n\n\n', 2, 2],
    ['', 5, 0],
    [`a\n${long}b\n`, 1, long.length + 2],
    [`a\n${long}b\n`, 2, 2],
    ['a\nb\n', Number.POSITIVE_INFINITY, 0],
  ])('case %#', (text, count, offset) => {
    const path = join(directory, 'x.log');
    writeFileSync(path, text);
    expect(lastLines(path, count)).toBe(offset);
  });

  it('begins at 0 where nothing can be read', () => {
    expect(lastLines(join(directory, 'nope'), 3)).toBe(0);
    expect(lastLines(directory, 3)).toBe(0);
  });
});
