/** Runs the files of a directory of broken configurations against what is expected of each. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { registry } from '../../plugins/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problem.ts';
import { translateRegex } from '../../src/parse/regex.ts';

/** A mistake that must be reported: `line` (or any of several) and what the message says. */
interface Expected {
  line: number | number[];
  says: string;
  level?: string;
}

/** The names of the configurations in a directory. */
export function brokenFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.expect.json'))
    .map((name) => name.replace(/\.expect\.json$/, ''))
    .toSorted();
}

export function load(file: string, env: Record<string, string> = {}): ReturnType<typeof loadConfig> {
  return loadConfig(file, { env, registry, compileRegex: (pattern) => translateRegex(pattern).regex });
}

/** What is missing in the problems of a file; empty when all is as expected. */
export async function judge(directory: string, name: string): Promise<string[]> {
  const expected = JSON.parse(readFileSync(join(directory, `${name}.expect.json`), 'utf8')) as Expected[];
  const { definition, problems } = await load(join(directory, `${name}.yaml`));
  const missing = expected
    .filter((one) => !problems.some((problem) => fits(problem, one)))
    .map(
      (one) =>
        `${JSON.stringify(one)} not in ${JSON.stringify(problems.map(({ level, position, message }) => [level, position?.line, message]))}`,
    );
  const errors = expected.some(({ level }) => level === undefined || level === 'error');
  if (errors && definition !== undefined) missing.push('was accepted');
  return missing;
}

function fits({ level, position, path, message }: Problem, expected: Expected): boolean {
  return (
    level === (expected.level ?? 'error') &&
    [expected.line].flat().includes(position?.line ?? 0) &&
    new RegExp(expected.says, 'i').test(`${path}: ${message}`)
  );
}
