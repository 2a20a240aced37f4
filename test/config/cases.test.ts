/** The configurations of the conformance cases beside the project: all are accepted whose plugins are there, the wrong ones refused. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { load } from './broken.ts';

const CASES = join(import.meta.dirname, '../../../shared/cases/recorded');
const PORTS = { CASE_PORT: '41001', CASE_PORT2: '41002', CASE_PORT3: '41003', CASE_SINK_PORT: '41004' };

/** What a later issue brings: such a configuration must be refused with these words, and for no other reason. */
const LATER = /^Tailrace (?:does not have|has no) .*(?: yet|yet \(Fluent Bit has it\).*)/;

describe('conformance cases', () => {
  if (!existsSync(CASES)) {
    it.skip('../shared/cases is absent', () => {});
    return;
  }
  it.each(readdirSync(CASES).sort())('%s', async (name) => {
    const folder = join(CASES, name);
    const { group } = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as { group: string };
    const { problems } = await load(join(folder, 'pipeline.yaml'), { ...PORTS, CASE_WORK: folder });
    const errors = problems.filter(({ level }) => level === 'error').map(({ message }) => message);
    if (group === 'config-error') expect(errors).not.toEqual([]);
    else expect(errors.filter((message) => !LATER.test(message))).toEqual([]);
  });
});
