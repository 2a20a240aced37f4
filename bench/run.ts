/**
 * Throughput: CPU-seconds, peak memory and records of the agent beside the bare loops, and beside a Fluent Bit binary if one is given.
 *
 *   npm run bench -- [--mb 300] [--runs 3] [--fluent-bit PATH] [--only plain,json]
 *
 * The agent runs compiled (dist/), with its state on disk as in production. Each scenario runs in turn with its loop, so that a
 * noisy machine hits both; medians are shown.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFile } from './generate.ts';
import { measure, median } from './measure.ts';
import type { Measurement } from './measure.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(HERE);

interface Scenario {
  name: string;
  data: string;
  loop: string;
  /** Keys of the tail input and what follows the inputs. */
  input: string;
  rest: string;
  /** The file that the `file` output writes, to count its records. */
  out?: string;
}

const NULL_OUTPUT = `
  outputs:
    - name: 'null'
      match: '*'`;

const SCENARIOS: readonly Scenario[] = [
  { name: 'plain → null', data: 'plain', loop: 'plain', input: '', rest: NULL_OUTPUT },
  { name: 'JSON → null', data: 'json', loop: 'json', input: 'parser: bench-json', rest: NULL_OUTPUT },
  { name: 'nginx regex → null', data: 'nginx', loop: 'nginx', input: 'parser: nginx', rest: NULL_OUTPUT },
  { name: 'CRI → null', data: 'cri', loop: 'cri', input: 'parser: cri', rest: NULL_OUTPUT },
  {
    name: 'JSON, one key added → file',
    data: 'json',
    loop: 'json-add-key',
    input: 'parser: bench-json-time',
    rest: `
  filters:
    - name: record_modifier
      match: '*'
      record: host bench
  outputs:
    - name: file
      match: '*'
      path: OUT
      file: out.log`,
    out: 'out.log',
  },
];

/** Fluent Bit needs its parsers spelt out; ours are there by name, but the same text serves both. */
const PARSERS = `
parsers:
  - name: bench-json
    format: json
  - name: bench-json-time
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'
  - name: nginx
    format: regex
    regex: '^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \\[(?<time>[^\\]]*)\\] "(?<method>\\S+)(?: +(?<path>[^\\"]*?)(?: +\\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\\"]*)" "(?<agent>[^\\"]*)")'
    time_key: time
    time_format: '%d/%b/%Y:%H:%M:%S %z'
  - name: cri
    format: regex
    regex: '^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$'
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'
`;

function config(scenario: Scenario, file: string, directory: string): string {
  const path = join(directory, 'pipeline.yaml');
  writeFileSync(
    path,
    `service:
  flush: 1
  log_level: warn
${PARSERS}
pipeline:
  inputs:
    - name: tail
      path: ${file}
      tag: bench
      read_from_head: true
      exit_on_eof: true
      ${scenario.input}
${scenario.rest.replace('OUT', directory)}
`,
  );
  return path;
}

interface Row {
  name: string;
  loop: number;
  agent: Measurement;
  records: number;
  fluentBit: Measurement | undefined;
}

async function runAgent(
  scenario: Scenario,
  file: string,
): Promise<{ measured: Measurement; records: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-bench-'));
  try {
    const measured = await measure(
      [
        process.execPath,
        join(ROOT, 'bin/tailrace.js'),
        'run',
        '-c',
        config(scenario, file, directory),
        '--state-path',
        join(directory, 'state'),
      ],
      { env: { ...process.env, TAILRACE_COMPILED: '1' } },
    );
    if (measured.exitCode !== 0)
      throw new Error(`The agent ended with ${measured.exitCode}: ${measured.stderr}`);
    const delivered = /delivered ([\d,]+)/.exec(measured.stdout + measured.stderr)?.[1]?.replaceAll(',', '');
    return { measured, records: Number(delivered) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runFluentBit(binary: string, scenario: Scenario, file: string): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), 'fluent-bit-bench-'));
  try {
    return await measure([binary, '-c', config(scenario, file, directory)]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function middle(measurements: readonly Measurement[]): Measurement {
  const cpu = median(measurements.map((measurement) => measurement.cpu));
  return {
    ...(measurements[0] as Measurement),
    cpu,
    wall: median(measurements.map((measurement) => measurement.wall)),
    rss: Math.max(...measurements.map((measurement) => measurement.rss)),
  };
}

async function runScenario(
  scenario: Scenario,
  bytes: number,
  runs: number,
  binary: string | undefined,
): Promise<Row> {
  const file = dataFile(join(HERE, 'data'), scenario.data, bytes);
  // Into the page cache first: the disk is not what is measured.
  readFileSync(file);
  const loops: number[] = [];
  const agents: Measurement[] = [];
  const others: Measurement[] = [];
  let records = 0;
  for (let run = 0; run < runs; run++) {
    const loop = await measure([
      process.execPath,
      join(HERE, 'loops.ts'),
      scenario.loop,
      file,
      join(tmpdir(), `tailrace-loop-${process.pid}`),
    ]);
    rmSync(join(tmpdir(), `tailrace-loop-${process.pid}`), { force: true });
    const expected = (JSON.parse(loop.stdout) as { records: number }).records;
    loops.push(loop.cpu);
    const result = await runAgent(scenario, file);
    if (result.records !== expected) {
      throw new Error(`${scenario.name}: ${result.records} of ${expected} records were delivered.`);
    }
    records = result.records;
    agents.push(result.measured);
    if (binary !== undefined) others.push(await runFluentBit(binary, scenario, file));
  }
  return {
    name: scenario.name,
    loop: median(loops),
    agent: middle(agents),
    records,
    fluentBit: others.length === 0 ? undefined : middle(others),
  };
}

function print(rows: readonly Row[]): void {
  const number = (value: number): string => value.toFixed(2);
  const megabytes = (value: number): string => (value / 1e6).toFixed(0);
  console.log(
    '\n| work | records | loop CPU s | agent CPU s | × loop | agent wall s | peak RSS MB | Fluent Bit CPU s | × Fluent Bit |',
  );
  console.log('|---|---:|---:|---:|---:|---:|---:|---:|---:|');
  for (const { name, loop, agent, records, fluentBit } of rows) {
    const cells = [
      name,
      records.toLocaleString('en-US'),
      number(loop),
      number(agent.cpu),
      number(agent.cpu / loop),
      number(agent.wall),
      megabytes(agent.rss),
      fluentBit === undefined ? '–' : number(fluentBit.cpu),
      fluentBit === undefined ? '–' : number(agent.cpu / fluentBit.cpu),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '300' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string' },
    'fluent-bit': { type: 'string' },
  },
});
if (!existsSync(join(ROOT, 'dist/src/cli/main.js')))
  throw new Error('Run `npm run build` first: the agent is measured compiled.');
const only = values.only?.split(',');
const rows: Row[] = [];
for (const scenario of SCENARIOS) {
  if (only !== undefined && !only.some((word) => scenario.name.toLowerCase().includes(word.toLowerCase())))
    continue;
  rows.push(await runScenario(scenario, Number(values.mb) * 1e6, Number(values.runs), values['fluent-bit']));
}
print(rows);
