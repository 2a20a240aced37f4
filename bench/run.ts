/**
 * Throughput: CPU-seconds, peak memory and records of the agent beside the bare loops, and beside a Fluent Bit binary if one is given.
 * Where records go to a destination over HTTP, that is a process of its own, the same for both, and there is no loop.
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
import { Sink } from './sink.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(HERE);

interface Scenario {
  name: string;
  data: string;
  /** The bare loop for the same work, where there is one. */
  loop?: string;
  /** The protocol of the destination, whose port stands as PORT in `rest`. */
  sink?: 'bulk' | 'loki';
  /** Nothing that Fluent Bit can do. */
  ownOnly?: boolean;
  /** Of the input, in place of `bench`. */
  tag?: string;
  /** Files that lie beside the configuration, by name. */
  files?: Readonly<Record<string, string>>;
  /** Keys of the tail input and what follows the inputs. */
  input: string;
  rest: string;
}

const NULL_OUTPUT = `
  outputs:
    - name: 'null'
      match: '*'`;

/** Metadata of the pod `web` in `shop`, as the API server gives it. */
const POD = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid: '11111111-1111-4111-8111-111111111111',
    labels: { app: 'web', tier: 'front', 'pod-template-hash': 'abc123' },
    annotations: { 'checksum/config': '0123456789abcdef' },
  },
  spec: { nodeName: 'node-1', containers: [{ name: 'nginx', image: 'nginx:1' }] },
  status: { podIP: '10.1.1.1' },
});

const PODS = {
  data: 'cri',
  tag: 'kube.shop.web.nginx',
  files: { 'shop_web.meta': POD },
  input: 'multiline.parser: cri',
};

const POD_FILTER = `
  filters:
    - name: kubernetes
      match: '*'
      kube_tag_prefix: kube.
      regex_parser: bench-tag
      kube_url: http://127.0.0.1:1
      kube_meta_preload_cache_dir: OUT`;

const SCENARIOS: readonly Scenario[] = [
  { name: 'plain → null', data: 'plain', loop: 'plain', input: '', rest: NULL_OUTPUT },
  { name: 'JSON → null', data: 'json', loop: 'json', input: 'parser: bench-json', rest: NULL_OUTPUT },
  { name: 'nginx regex → null', data: 'nginx', loop: 'nginx', input: 'parser: nginx', rest: NULL_OUTPUT },
  { name: 'CRI → null', data: 'cri', loop: 'cri', input: 'parser: cri', rest: NULL_OUTPUT },
  {
    name: 'CRI joined → null',
    data: 'cri',
    loop: 'cri',
    input: 'multiline.parser: cri',
    rest: NULL_OUTPUT,
  },
  { ...PODS, name: 'CRI joined, metadata of pods → null', rest: POD_FILTER + NULL_OUTPUT },
  {
    ...PODS,
    name: 'CRI joined, metadata of pods → file',
    rest: `${POD_FILTER}
  outputs:
    - name: file
      match: '*'
      path: OUT
      file: out.log`,
  },
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
  },
  {
    name: 'CRI → elasticsearch',
    data: 'cri',
    sink: 'bulk',
    input: 'parser: cri',
    rest: `
  outputs:
    - name: es
      match: '*'
      host: 127.0.0.1
      port: PORT
      index: bench
      suppress_type_name: on`,
  },
  {
    name: 'CRI joined → elasticsearch',
    data: 'cri',
    sink: 'bulk',
    input: 'multiline.parser: cri',
    rest: `
  outputs:
    - name: es
      match: '*'
      host: 127.0.0.1
      port: PORT
      index: bench
      suppress_type_name: on`,
  },
  {
    name: 'JSON → elasticsearch',
    data: 'json',
    sink: 'bulk',
    input: 'parser: bench-json-time',
    rest: `
  outputs:
    - name: es
      match: '*'
      host: 127.0.0.1
      port: PORT
      index: bench
      suppress_type_name: on`,
  },
  {
    name: 'JSON → loki',
    data: 'json',
    sink: 'loki',
    input: 'parser: bench-json-time',
    rest: `
  outputs:
    - name: loki
      match: '*'
      host: 127.0.0.1
      port: PORT
      labels: job=bench`,
  },
  {
    name: 'JSON → loki, protobuf',
    data: 'json',
    sink: 'loki',
    input: 'parser: bench-json-time',
    // Fluent Bit pushes JSON only.
    ownOnly: true,
    rest: `
  outputs:
    - name: loki
      match: '*'
      host: 127.0.0.1
      port: PORT
      labels: job=bench
      format: protobuf`,
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
  - name: bench-tag
    format: regex
    regex: '^(?<namespace_name>[^.]+)\\.(?<pod_name>[^.]+)\\.(?<container_name>[^.]+)$'
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

function config(scenario: Scenario, file: string, directory: string, port: number): string {
  const path = join(directory, 'pipeline.yaml');
  for (const [name, text] of Object.entries(scenario.files ?? {})) writeFileSync(join(directory, name), text);
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
      tag: ${scenario.tag ?? 'bench'}
      read_from_head: true
      exit_on_eof: true
      ${scenario.input}
${scenario.rest.replaceAll('OUT', directory).replace('PORT', String(port))}
`,
  );
  return path;
}

interface Row {
  name: string;
  loop: number | undefined;
  agent: Measurement;
  records: number;
  fluentBit: Measurement | undefined;
}

async function runAgent(
  scenario: Scenario,
  file: string,
  port: number,
): Promise<{ measured: Measurement; records: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-bench-'));
  try {
    const measured = await measure(
      [
        process.execPath,
        join(ROOT, 'bin/tailrace.js'),
        'run',
        '-c',
        config(scenario, file, directory, port),
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

async function runFluentBit(
  binary: string,
  scenario: Scenario,
  file: string,
  port: number,
): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), 'fluent-bit-bench-'));
  try {
    return await measure([binary, '-c', config(scenario, file, directory, port)]);
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

/** CPU-seconds and records of the bare loop. */
async function runLoop(loop: string, file: string): Promise<{ cpu: number; records: number }> {
  const out = join(tmpdir(), `tailrace-loop-${process.pid}`);
  const { cpu, stdout } = await measure([process.execPath, join(HERE, 'loops.ts'), loop, file, out]);
  rmSync(out, { force: true });
  return { cpu, records: (JSON.parse(stdout) as { records: number }).records };
}

/** The destination must have had every record, else the figures are of different work. */
async function expectAll(sink: Sink | undefined, records: number, who: string): Promise<void> {
  if (sink === undefined) return;
  const report = await sink.report();
  if (report.records !== records)
    throw new Error(`${who}: ${report.records} of ${records} records came to the destination.`);
  await sink.forget();
}

async function runScenario(
  scenario: Scenario,
  bytes: number,
  runs: number,
  binary: string | undefined,
): Promise<Row> {
  const { name, sink: protocol } = scenario;
  const file = dataFile(join(HERE, 'data'), scenario.data, bytes);
  // Into the page cache first: the disk is not what is measured.
  readFileSync(file);
  const sink = protocol === undefined ? undefined : await new Sink(protocol).open();
  const port = sink?.port ?? 0;
  const loops: number[] = [];
  const agents: Measurement[] = [];
  const others: Measurement[] = [];
  // Where there is no loop for the work, one still counts the records.
  const { records } = await runLoop(scenario.loop ?? 'plain', file);
  try {
    for (let run = 0; run < runs; run++) {
      if (scenario.loop !== undefined) loops.push((await runLoop(scenario.loop, file)).cpu);
      const result = await runAgent(scenario, file, port);
      if (result.records !== records)
        throw new Error(`${name}: ${result.records} of ${records} records were delivered.`);
      await expectAll(sink, records, name);
      agents.push(result.measured);
      if (binary === undefined || scenario.ownOnly === true) continue;
      others.push(await runFluentBit(binary, scenario, file, port));
      await expectAll(sink, records, `${name}, Fluent Bit`);
    }
  } finally {
    sink?.end();
  }
  return {
    name,
    loop: loops.length === 0 ? undefined : median(loops),
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
      loop === undefined ? '–' : number(loop),
      number(agent.cpu),
      loop === undefined ? '–' : number(agent.cpu / loop),
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
