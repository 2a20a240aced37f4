/** Configurations that are wrong in the way that their names say: each mistake is reported at its line, with its remedy. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokenFiles, judge } from './broken.ts';

const OWN = join(import.meta.dirname, 'broken');
const SHARED = join(import.meta.dirname, '../../../shared/broken-configs');
const SHARED_FILES = existsSync(SHARED) ? brokenFiles(SHARED) : ['../shared/broken-configs is absent'];

/** Until the plugin is there its options are not either: it is refused at its line, with these words. */
const LATER: Readonly<Record<string, string>> = { '16-s3-without-bucket': 'not have the output s3 yet' };

describe('broken configurations', () => {
  it.each(brokenFiles(OWN))('%s', async (name) => {
    expect(await judge(OWN, name)).toEqual([]);
  });
});

describe('broken configurations beside the project', () => {
  it.skipIf(!existsSync(SHARED)).each(SHARED_FILES)('%s', async (name) => {
    const missing = await judge(SHARED, name);
    expect(missing.filter((text) => !text.includes(LATER[name] ?? '\0'))).toEqual([]);
  });
});
