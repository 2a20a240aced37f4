/** `tailrace check`: all problems of a configuration; touches neither network nor the files that it would read. */
import { formatProblem } from '../config/format.ts';
import { useColor } from './color.ts';
import { checkConfiguration, countProblems } from './configuration.ts';
import { EXIT } from './exit.ts';
import type { ExitCode } from './exit.ts';

export async function check(file: string, { strict = false }: { strict?: boolean }): Promise<ExitCode> {
  const { problems } = await checkConfiguration(file);
  const color = useColor(process.stdout);
  for (const problem of problems) process.stdout.write(`${formatProblem(problem, { color })}\n`);
  const has = (level: string): boolean => problems.some((problem) => problem.level === level);
  const wrong = has('error') || (strict && has('warning'));
  const found = problems.length === 0 ? '' : ` (${countProblems(problems)})`;
  process.stdout.write(`${file}: ${wrong ? 'cannot be used' : 'is well'}${found}\n`);
  return wrong ? EXIT.config : EXIT.ok;
}
