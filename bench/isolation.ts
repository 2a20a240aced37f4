/**
 * Isolation: how much the delivery latency of a healthy destination moves when another one is dead and overflows to disk.
 *
 *   npm run bench:isolation -- [--rounds 3] [--seconds 12] [--mb-per-second 5] [--flush 0.1]
 *
 * Latency is from the write of a line, whose time is in it, to the arrival of its request at the healthy destination, a process of its
 * own. Healthy alone, beside one that refuses connections, and beside one that accepts and never answers run in turn, each with
 * an agent of its own; measured from when the dead one's records go to disk, and as long after the start where there is none.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RunningAgent } from './agent.ts';
import { median } from './measure.ts';
import { Sink } from './sink.ts';

const AIM = 0.1;
const TICK_MS = 20;
const LINE_BYTES = 250;
/** How long after the start it is measured at the earliest: then the dead one has long overflowed. Milliseconds. */
const WARM_MS = 10_000;

const DEAD = ['none', 'refuses', 'silent'] as const;
type Dead = (typeof DEAD)[number];

interface Latency {
  median: number;
  p99: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '12' },
    'mb-per-second': { type: 'string', default: '5' },
    flush: { type: 'string', default: '0.1' },
  },
});
const linesPerTick = Math.round((Number(values['mb-per-second']) * 1e6 * TICK_MS) / 1000 / LINE_BYTES);

const config = (directory: string, healthy: number, dead: number | undefined): string => `
service:
  flush: ${values.flush}
  log_level: info
  grace: 0
  storage.overflow.limit: 8G
  storage.overflow.min_free: 100M
pipeline:
  inputs:
    - name: tail
      path: ${directory}/app.log
      tag: bench
      read_from_head: true
      parser: bench-json
  outputs:
    - name: http
      alias: healthy
      match: '*'
      port: ${healthy}
      format: json_lines
${
  dead === undefined
    ? ''
    : `    - name: http
      alias: dead
      match: '*'
      port: ${dead}
      format: json_lines`
}
parsers:
  - name: bench-json
    format: json
`;

/** Appends lines with the time of their writing, at an even pace, until `enough`. */
async function write(file: string, enough: AbortSignal): Promise<void> {
  const descriptor = openSync(file, 'a');
  const padding = 'x'.repeat(LINE_BYTES - '{"at":1767225600000.000,"message":""}\n'.length);
  const begin = performance.now();
  for (let tick = 1; !enough.aborted; tick++) {
    const at = (performance.timeOrigin + performance.now()).toFixed(3);
    writeSync(descriptor, `{"at":${at},"message":"${padding}"}\n`.repeat(linesPerTick));
    await pause(Math.max(0, begin + tick * TICK_MS - performance.now()));
  }
  closeSync(descriptor);
}

/** The latency of the healthy one, and the megabytes that went to disk meanwhile. */
async function measureBeside(kind: Dead): Promise<{ latency: Latency; diskMb: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-isolation-'));
  const healthy = await new Sink('latency').open();
  const dead = kind === 'none' ? undefined : await new Sink('count').open();
  const enough = new AbortController();
  const writing = write(join(directory, 'app.log'), enough.signal);
  try {
    if (kind === 'refuses') await dead?.close();
    await dead?.be({ kind: 'silent' });
    const agent = new RunningAgent(join(directory, 'agent'), config(directory, healthy.port, dead?.port));
    const warm = pause(WARM_MS);
    if (kind !== 'none') await agent.until((metrics) => metrics.sum('tailrace_storage_overflow_bytes') > 0);
    await warm;
    await healthy.forget();
    await pause(Number(values.seconds) * 1000);
    const { latency } = await healthy.report();
    const metrics = await agent.metrics();
    await agent.stop('SIGTERM');
    return { latency, diskMb: metrics.sum('tailrace_storage_overflow_bytes') / 1e6 };
  } finally {
    enough.abort();
    await writing;
    healthy.end();
    dead?.end();
    rmSync(directory, { recursive: true, force: true });
  }
}

const found: Record<Dead, { latency: Latency; diskMb: number }[]> = { none: [], refuses: [], silent: [] };
for (let round = 0; round < Number(values.rounds); round++) {
  // Each comes first, second and last in turn.
  for (let turn = 0; turn < DEAD.length; turn++) {
    const kind = DEAD[(round + turn) % DEAD.length] as Dead;
    found[kind].push(await measureBeside(kind));
  }
}

const middle = (kind: Dead, key: keyof Latency): number =>
  median(found[kind].map(({ latency }) => latency[key]));
console.log(
  '\n| beside the healthy one | median ms | moves by | p99 ms | on disk MB | medians of the rounds ms | |',
);
console.log('|---|---:|---:|---:|---:|---|---|');
for (const kind of DEAD) {
  const moved = middle(kind, 'median') / middle('none', 'median') - 1;
  const cells = [
    { none: 'nobody', refuses: 'one that refuses', silent: 'one that never answers' }[kind],
    middle(kind, 'median').toFixed(1),
    kind === 'none' ? '–' : `${(moved * 100).toFixed(1)} %`,
    middle(kind, 'p99').toFixed(0),
    median(found[kind].map(({ diskMb }) => diskMb)).toFixed(0),
    found[kind].map(({ latency }) => latency.median.toFixed(1)).join(', '),
    kind === 'none' ? '' : Math.abs(moved) < AIM ? 'met' : 'missed',
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
