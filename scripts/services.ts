/**
 * The suites against real servers: `npm run test:services [name…]`. Installs what they need (once, in a cache outside the repository),
 * runs them one after the other, and says plainly what ran.
 *
 * Where a tool is missing that a server is installed with, its suites are skipped with a line that says so; in CI (the variable CI is
 * set) that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureInstalled, MissingTool } from '../test/services/support/service.ts';
import type { Service } from '../test/services/support/service.ts';
import { SUITES } from '../test/services/suites.ts';

const ROOT = join(import.meta.dirname, '..');
const inCi = (process.env['CI'] ?? '') !== '';

type Outcome = { state: 'passed' | 'failed' | 'skipped'; seconds: number; note?: string };

const seconds = (since: number): number => Math.round((performance.now() - since) / 1000);

/** Installs a suite's servers; undefined when all are there, else why not. */
async function install(services: readonly Service[]): Promise<Outcome | undefined> {
  for (const service of services) {
    const since = performance.now();
    console.log(`--- ${service.name} ${service.version}`);
    try {
      const installed = await ensureInstalled(service);
      console.log(installed ? `    installed in ${seconds(since)} s` : '    is installed');
    } catch (error) {
      const skipped = error instanceof MissingTool && !inCi;
      const note = `${service.name} cannot be installed: ${error instanceof Error ? error.message : String(error)}`;
      return { state: skipped ? 'skipped' : 'failed', seconds: seconds(since), note };
    }
  }
  return undefined;
}

function runSuite(name: string): Outcome {
  const since = performance.now();
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const { status } = spawnSync(
    process.execPath,
    [vitest, 'run', '--config', 'vitest.services.config.ts', `test/services/${name}.test.ts`],
    { cwd: ROOT, stdio: 'inherit' },
  );
  return { state: status === 0 ? 'passed' : 'failed', seconds: seconds(since) };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(SUITES, name));
if (unknown.length > 0) {
  console.error(`There is no suite ${unknown.join(', ')}; there are: ${Object.keys(SUITES).join(', ')}.`);
  process.exit(2);
}

const outcomes = new Map<string, Outcome>();
for (const [name, services] of Object.entries(SUITES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n=== services: ${name}`);
  outcomes.set(name, (await install(services)) ?? runSuite(name));
}

console.log('');
for (const [name, { state, seconds: took, note }] of outcomes) {
  console.log(`${state.padEnd(8)} ${name} (${took} s)${note === undefined ? '' : `: ${note}`}`);
}
const count = (state: Outcome['state']): number =>
  [...outcomes.values()].filter((outcome) => outcome.state === state).length;
console.log(
  `service suites: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`,
);
process.exitCode = count('failed') > 0 ? 1 : 0;
