/**
 * Recovery: a backlog on disk that a dead destination has left behind, and a restart with the destination up: time to the first
 * record, peak memory while it drains, throughput. Once after a stop by SIGTERM, once after a SIGKILL.
 *
 *   npm run bench:recovery -- [--mb 1000]
 *
 * The destination is a process of its own. Its first byte of a body is what counts as the first record delivered.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RunningAgent } from './agent.ts';
import { dataFile } from './generate.ts';
import { Sink } from './sink.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const AIM_SECONDS = 2;
const AIM_MB = 160;
/** Between two looks at a drain. Milliseconds. */
const LOOK_MS = 100;
/** Between two scrapes of one whose HTTP server is on. Milliseconds. */
const SCRAPE_MS = 1000;

const { values } = parseArgs({ options: { mb: { type: 'string', default: '1000' } } });
const file = dataFile(join(HERE, 'data'), 'json', Number(values.mb) * 1e6);

const config = (port: number): string => `
service:
  flush: 1
  log_level: info
  grace: 1
  storage.overflow.min_free: 100M
pipeline:
  inputs:
    - name: tail
      alias: file
      path: ${file}
      tag: bench
      read_from_head: true
      storage.type: filesystem
      parser: bench-json
  outputs:
    - name: http
      alias: destination
      match: '*'
      port: ${port}
      format: json_lines
      retry_limit: no_limits
      storage.total_limit_size: 8G
parsers:
  - name: bench-json
    format: json
`;

type Signal = 'SIGTERM' | 'SIGKILL';

interface Scenario {
  /** What ends the agent that makes the backlog. */
  signal: Signal;
  /** The agent that drains it has its HTTP server on, and is scraped. */
  http: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { signal: 'SIGTERM', http: false },
  { signal: 'SIGKILL', http: false },
  { signal: 'SIGKILL', http: true },
];

interface Result {
  backlog: Backlog;
  doubles: number;
  /** From the start of the process to the first byte at the destination. */
  firstSeconds: number;
  drainSeconds: number;
  mbPerSecond: number;
  /** Peak resident memory while it drains, bytes. */
  peak: number;
}

interface Backlog {
  bytes: number;
  records: number;
  /** Peak resident memory of the agent that made it, bytes. */
  peak: number;
}

/** Runs the agent against a dead destination until it has read everything, and stops it. */
async function fill(home: string, port: number, signal: Signal): Promise<Backlog> {
  const agent = new RunningAgent(home, config(port));
  let before = -1;
  const metrics = await agent.until((each) => {
    const read = each.sum('tailrace_input_read_records_total');
    const all = read > 0 && read === before && each.sum('tailrace_input_file_lag_bytes') === 0;
    before = read;
    return all && each.sum('tailrace_storage_bytes') > Number(values.mb) * 0.9e6;
  });
  const peak = agent.memory('VmHWM');
  await agent.stop(signal);
  return {
    bytes: metrics.sum('tailrace_storage_bytes'),
    records: metrics.sum('tailrace_output_buffered_records'),
    peak,
  };
}

async function recover({ signal, http }: Scenario): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-recovery-'));
  const sink = await new Sink('count').open();
  try {
    await sink.close();
    const backlog = await fill(directory, sink.port, signal);
    await sink.open();
    const agent = new RunningAgent(directory, config(sink.port), { http });
    let report = await sink.report();
    while (report.records < backlog.records) {
      // With its HTTP server on it is looked at, as in production.
      if (http) await agent.metrics();
      await pause(http ? SCRAPE_MS : LOOK_MS);
      report = await sink.report();
    }
    const drainSeconds = (performance.timeOrigin + performance.now() - agent.startedAt) / 1000;
    const peak = agent.memory('VmHWM');
    await agent.stop('SIGTERM');
    const { firstAt = Number.NaN, bytes, records } = await sink.report();
    return {
      backlog,
      doubles: records - backlog.records,
      firstSeconds: (firstAt - agent.startedAt) / 1000,
      drainSeconds,
      mbPerSecond: bytes / 1e6 / drainSeconds,
      peak,
    };
  } finally {
    sink.end();
    rmSync(directory, { recursive: true, force: true });
  }
}

console.log(
  `\n| stopped by | \`http_server\` | backlog MB | records | first record s (aim ${AIM_SECONDS}) | peak RSS draining MB (aim ${AIM_MB}) | drained s | MB/s | peak RSS filling MB | sent twice | |`,
);
console.log('|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|');
for (const scenario of SCENARIOS) {
  const { backlog, doubles, firstSeconds, drainSeconds, mbPerSecond, peak } = await recover(scenario);
  const cells = [
    scenario.signal,
    scenario.http ? 'on' : 'off',
    (backlog.bytes / 1e6).toFixed(0),
    backlog.records.toLocaleString('en-US'),
    firstSeconds.toFixed(2),
    (peak / 1e6).toFixed(0),
    drainSeconds.toFixed(1),
    mbPerSecond.toFixed(0),
    (backlog.peak / 1e6).toFixed(0),
    doubles.toLocaleString('en-US'),
    firstSeconds <= AIM_SECONDS && peak / 1e6 <= AIM_MB ? 'met' : 'missed',
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
