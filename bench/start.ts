/**
 * Start: time from the start of the process to the first record out of it, compiled and from sources.
 *
 *   npm run bench:start -- [--runs 10]
 *
 * Each kind has a compile cache of its own: its first run fills it and is shown apart, the median is of those after it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './measure.ts';

const LAUNCHER = join(dirname(dirname(fileURLToPath(import.meta.url))), 'bin/tailrace.js');
const AIM_MS = 500;

const { values } = parseArgs({ options: { runs: { type: 'string', default: '10' } } });
const directory = mkdtempSync(join(tmpdir(), 'tailrace-start-'));
const config = join(directory, 'pipeline.yaml');
writeFileSync(
  join(directory, 'app.log'),
  '{"time":"2026-01-01T00:00:00.000Z","level":"info","msg":"the first record"}\n',
);
writeFileSync(
  config,
  `parsers:
  - name: app
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'
pipeline:
  inputs:
    - name: tail
      path: ${directory}/app.log
      tag: app
      parser: app
      read_from_head: true
  filters:
    - name: grep
      match: '*'
      exclude: level ^debug$
  outputs:
    - name: stdout
      match: '*'
      format: json_lines
`,
);

/** Milliseconds to the first byte on standard output. */
function timeToFirstRecord(compiled: boolean, cache: string): Promise<number> {
  const state = mkdtempSync(join(directory, 'state-'));
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [LAUNCHER, 'run', '-c', config, '--state-path', state], {
      env: { ...process.env, XDG_CACHE_HOME: cache, TAILRACE_COMPILED: compiled ? '1' : '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    let taken: number | undefined;
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    child.stdout.once('data', () => {
      taken = performance.now() - startedAt;
      // By a signal that it answers: the compile cache is written at the end.
      child.kill('SIGTERM');
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (taken === undefined) reject(new Error(`No record came, the agent ended with ${code}: ${stderr}`));
      else resolve(taken);
    });
  });
}

try {
  const kinds = [
    { name: 'compiled', compiled: true },
    { name: 'from sources', compiled: false },
  ];
  console.log('\n| agent | first run ms | median ms | aim | |');
  console.log('|---|---:|---:|---:|---|');
  for (const { name, compiled } of kinds) {
    const cache = join(directory, name);
    const first = await timeToFirstRecord(compiled, cache);
    const times: number[] = [];
    for (let run = 0; run < Number(values.runs); run++) times.push(await timeToFirstRecord(compiled, cache));
    const middle = median(times);
    const verdict = middle <= AIM_MS ? 'met' : 'missed';
    console.log(`| ${name} | ${first.toFixed(0)} | ${middle.toFixed(0)} | ${AIM_MS} | ${verdict} |`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
