/**
 * What the disk buffer costs: CPU-seconds of the agent with `storage.type: filesystem` beside the same work with `memory`.
 *
 *   npm run bench:disk -- [--mb 300] [--runs 5]
 *
 * An output that takes everything at once leaves the disk little to do, for what every output has within a second is never written.
 * So the same is measured with an output that answers after 1.2 s, in memory that holds the whole file: then everything is written.
 * That output comes in two kinds: one that reads no record, as `null` does, for which a memory buffer encodes nothing at all, and one
 * that takes the records' bytes, as every output does that sends them somewhere.
 *
 * Memory and disk run in turn, so that a noisy machine hits both; the ratio is the median of the pairs' ratios.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFile } from './generate.ts';
import { measure, median } from './measure.ts';
import type { Measurement } from './measure.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const AGENT = join(dirname(HERE), 'bin/tailrace.js');
const AIM = 1.5;
const STORAGE = ['memory', 'filesystem'] as const;
type Storage = (typeof STORAGE)[number];

interface Scenario {
  name: string;
  output: string;
  payload: 'none' | 'json';
  memory: string;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'JSON → null', output: 'null', payload: 'none', memory: '16M' },
  { name: 'JSON → null, as large in memory', output: 'null', payload: 'none', memory: '4G' },
  { name: 'JSON → 1.2 s late, reads no record', output: 'late', payload: 'none', memory: '4G' },
  { name: 'JSON → 1.2 s late, takes bytes', output: 'late', payload: 'json', memory: '4G' },
];

/** An output that takes everything 1.2 s later than asked: when the disk buffer writes, nothing is delivered yet. */
const lateOutput = (payload: Scenario['payload']): string => `
import { setTimeout as pause } from 'node:timers/promises';
import { allDelivered, defineOutput } from 'tailrace';
export default defineOutput({
  name: 'late',
  summary: 'Takes everything, 1.2 s late',
  options: {},
  traits: { payload: '${payload}', order: 'none', workers: 1000, limits: { bytes: 1048576 } },
  create: () => ({
    async deliver(_slices, signal) {
      await pause(1200, undefined, { signal });
      return allDelivered;
    },
  }),
});
`;

function configure(directory: string, file: string, scenario: Scenario, storage: Storage): string {
  const path = join(directory, 'pipeline.yaml');
  writeFileSync(join(directory, 'late.mjs'), lateOutput(scenario.payload));
  writeFileSync(
    path,
    `service:
  flush: 1
  log_level: warn
  memory_limit: ${scenario.memory}
  storage.type: ${storage}
  storage.max_chunks_up: 1000000
  storage.overflow: block
plugins:
  - ./late.mjs
parsers:
  - name: bench-json
    format: json
pipeline:
  inputs:
    - name: tail
      path: ${file}
      tag: bench
      read_from_head: true
      exit_on_eof: true
      parser: bench-json
  outputs:
    - name: '${scenario.output}'
      match: '*'
`,
  );
  return path;
}

async function runOnce(scenario: Scenario, file: string, storage: Storage): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-disk-'));
  try {
    const config = configure(directory, file, scenario, storage);
    const measured = await measure(
      [process.execPath, AGENT, 'run', '-c', config, '--state-path', join(directory, 'state')],
      { env: { ...process.env, TAILRACE_COMPILED: '1' } },
    );
    if (measured.exitCode !== 0)
      throw new Error(`The agent ended with ${measured.exitCode}: ${measured.stderr}`);
    return measured;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runScenario(scenario: Scenario, file: string, runs: number): Promise<string> {
  const measured: Record<Storage, Measurement[]> = { memory: [], filesystem: [] };
  for (let run = 0; run < runs; run++) {
    // Whoever comes second finds what the first has left in the caches of the machine.
    for (const storage of run % 2 === 0 ? STORAGE : STORAGE.toReversed())
      measured[storage].push(await runOnce(scenario, file, storage));
  }
  const middle = (storage: Storage, key: 'cpu' | 'rss' | 'written'): number =>
    median(measured[storage].map((measurement) => measurement[key]));
  const ratio = median(
    measured.filesystem.map(({ cpu }, run) => cpu / (measured.memory[run] as Measurement).cpu),
  );
  const cells = [
    scenario.name,
    middle('memory', 'cpu').toFixed(2),
    middle('filesystem', 'cpu').toFixed(2),
    ratio.toFixed(2),
    (middle('filesystem', 'written') / 1e6).toFixed(0),
    (middle('memory', 'rss') / 1e6).toFixed(0),
    (middle('filesystem', 'rss') / 1e6).toFixed(0),
    ratio <= AIM ? 'met' : 'missed',
  ];
  return `| ${cells.join(' | ')} |`;
}

const { values } = parseArgs({
  options: { mb: { type: 'string', default: '300' }, runs: { type: 'string', default: '5' } },
});
const file = dataFile(join(HERE, 'data'), 'json', Number(values.mb) * 1e6);
// Into the page cache first: the disk that is measured is the buffer's.
readFileSync(file);
const rows: string[] = [];
for (const scenario of SCENARIOS) rows.push(await runScenario(scenario, file, Number(values.runs)));
console.log(
  `\n| work | memory CPU s | disk CPU s | × memory | written MB | memory peak RSS MB | disk peak RSS MB | aim ${AIM} |`,
);
console.log('|---|---:|---:|---:|---:|---:|---:|---|');
for (const row of rows) console.log(row);
