/** The configurations of the conformance cases beside the project: all are accepted whose plugins are there, the wrong ones refused. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { load } from './broken.ts';

const CASES = join(import.meta.dirname, '../../../shared/cases/recorded');
const NAMES = existsSync(CASES) ? readdirSync(CASES).toSorted() : ['../shared/cases is absent'];
const PORTS = { CASE_PORT: '41001', CASE_PORT2: '41002', CASE_PORT3: '41003', CASE_SINK_PORT: '41004' };

/** What a later issue brings: such a configuration must be refused with these words, and for no other reason. */
const LATER = /^Tailrace (?:does not|has no) .* yet/;

/** What is wrong with the verdict on a case. */
async function judgeCase(name: string): Promise<string[]> {
  const folder = join(CASES, name);
  const { group } = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as { group: string };
  const { problems } = await load(join(folder, 'pipeline.yaml'), { ...PORTS, CASE_WORK: folder });
  const errors = problems.filter(({ level }) => level === 'error').map(({ message }) => message);
  if (group === 'config-error') return errors.length > 0 ? [] : ['was accepted'];
  return errors.filter((message) => !LATER.test(message));
}

it.skipIf(!existsSync(CASES)).each(NAMES)('the configuration of case %s', async (name) => {
  expect(await judgeCase(name)).toEqual([]);
});
