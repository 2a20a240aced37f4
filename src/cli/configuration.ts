/** Loads configurations for the commands, with what is known of plugins and regular expressions here. */
import { registry } from '../../plugins/index.ts';
import type { PipelineDefinition } from '../config/definition.ts';
import { formatProblem } from '../config/format.ts';
import { loadConfig } from '../config/load.ts';
import type { LoadResult } from '../config/load.ts';
import type { Problem, ProblemLevel } from '../config/problem.ts';
import { translateRegex } from '../parse/regex.ts';
import type { Logger } from '../telemetry/log.ts';
import { EXIT, UserError } from './exit.ts';

/** All that there is to say about a configuration. */
export function checkConfiguration(file: string): Promise<LoadResult> {
  return loadConfig(file, {
    env: process.env,
    registry,
    compileRegex: (pattern) => translateRegex(pattern).regex,
  });
}

/** A configuration that can run, with its warnings and notes. Throws a UserError that shows what is wrong with it. */
export async function loadConfiguration(
  file: string,
  color: boolean,
): Promise<{ definition: PipelineDefinition; problems: readonly Problem[] }> {
  const { definition, problems } = await checkConfiguration(file);
  if (definition !== undefined) return { definition, problems };
  const errors = problems.filter(({ level }) => level === 'error');
  const shown = errors.map((problem) => formatProblem(problem, { color })).join('\n');
  throw new UserError(`${file} cannot be used (${countProblems(errors)}).\n${shown}`, EXIT.config);
}

/** Warnings and notes of a configuration that runs, each said once. */
export function logProblems(problems: readonly Problem[], log: Logger): void {
  for (const { level, position, path, message } of problems) {
    const at = position === undefined ? undefined : `${position.file}:${position.line}:${position.column}`;
    const text = path === '' ? message : `${path}: ${message}`;
    if (level === 'info') log.info({ at }, text);
    else log.warn({ at }, text);
  }
}

const WORDS: Readonly<Record<ProblemLevel, string>> = { error: 'error', warning: 'warning', info: 'note' };

/** `2 errors, 1 warning`. */
export function countProblems(problems: readonly Problem[]): string {
  const levels: ProblemLevel[] = ['error', 'warning', 'info'];
  return levels
    .map((level) => ({ level, count: problems.filter((problem) => problem.level === level).length }))
    .filter(({ count }) => count > 0)
    .map(({ level, count }) => `${count} ${WORDS[level]}${count === 1 ? '' : 's'}`)
    .join(', ');
}
