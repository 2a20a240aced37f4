/**
 * Runs the conformance cases that lie beside the project (`../shared/cases`, or TAILRACE_CASES): all of them, or the groups named
 * as arguments. Where they are not there it says so and is content.
 *
 * Cases that we decide otherwise stand in test/cases/differences.json, each with its reason: they may fail, nothing else may, and
 * one that passes again must be taken off the list.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface CaseResult {
  name: string;
  group: string;
  pass: boolean;
  errors: string[];
}

const root = join(import.meta.dirname, '..');
const runner = join(process.env.TAILRACE_CASES ?? join(root, '..', 'shared', 'cases'), 'run.py');
const list = join(root, 'test', 'cases', 'differences.json');

function readDifferences(): Record<string, string> {
  return existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>) : {};
}

function runCases(groups: readonly string[]): CaseResult[] {
  const agent = `${process.execPath} ${join(root, 'bin', 'tailrace.js')} run -c {config}`;
  const { stdout, stderr, error } = spawnSync(
    'python3',
    [runner, '--agent', agent, '--json', '-j', '2', ...groups.flatMap((group) => ['--group', group])],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (error !== undefined) throw error;
  if (!stdout.startsWith('{')) throw new Error(`The runner of the cases ended without a result: ${stderr}`);
  return (JSON.parse(stdout) as { cases: CaseResult[] }).cases;
}

function judge(cases: readonly CaseResult[], differences: Readonly<Record<string, string>>): number {
  let wrong = 0;
  const counts = new Map<string, [number, number]>();
  for (const { name, group, pass, errors } of cases) {
    const reason = differences[name];
    const count = counts.get(group) ?? [0, 0];
    counts.set(group, [count[0] + (pass ? 1 : 0), count[1] + 1]);
    if (pass && reason === undefined) continue;
    if (!pass && reason !== undefined) {
      console.log(`differs  ${name}: ${reason}`);
      continue;
    }
    wrong++;
    if (pass) console.log(`LISTED   ${name} passes: take it off test/cases/differences.json`);
    else console.log(`FAILED   ${name}\n         ${errors.join('\n         ')}`);
  }
  console.log('');
  for (const [group, [passed, total]] of counts) console.log(`  ${group.padEnd(24)} ${passed}/${total}`);
  const passed = cases.filter(({ pass }) => pass).length;
  console.log(
    `${passed} of ${cases.length} cases pass, ${cases.length - passed} do not; unexpected: ${wrong}`,
  );
  return wrong;
}

if (existsSync(runner)) {
  process.exitCode = judge(runCases(process.argv.slice(2)), readDifferences()) > 0 ? 1 : 0;
} else {
  console.log(`No conformance cases: ${runner} is not there.`);
}
