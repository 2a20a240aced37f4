/** Makes the benchmark's input files: the same bytes at every run, from a seeded generator. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** mulberry32: small, seeded, good enough to vary log lines. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const WORDS =
  'request handled user session cache miss order created payment accepted retry upstream timeout worker started queue drained'.split(
    ' ',
  );
const LEVELS = ['info', 'info', 'info', 'warn', 'error', 'debug'];
const PATHS = [
  '/',
  '/api/v1/orders',
  '/api/v1/users/42',
  '/static/app.js',
  '/healthz',
  '/login?next=%2Fcart',
];
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', 'curl/8.5.0', 'kube-probe/1.31'];
const START = Date.UTC(2026, 0, 1);

type Line = (n: number, random: (below: number) => number) => string;

function sentence(random: (below: number) => number, words: number): string {
  let text = '';
  for (let i = 0; i < words; i++) text += (i === 0 ? '' : ' ') + WORDS[random(WORDS.length)];
  return text;
}

const clf = (n: number): string => {
  const [, day, month, year, time] =
    /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date(START + n * 7).toUTCString()) ?? [];
  return `${day}/${month}/${year}:${time} +0000`;
};

/** The kinds of files; lines of about 200 bytes. */
export const KINDS: Record<string, Line> = {
  plain: (n, random) =>
    `${new Date(START + n * 7).toISOString()} ${LEVELS[random(6)]} worker-${random(64)} ${sentence(random, 20)}`,
  json: (n, random) =>
    JSON.stringify({
      time: new Date(START + n * 7).toISOString(),
      level: LEVELS[random(6)],
      service: 'checkout',
      message: sentence(random, 9),
      status: 200 + random(300),
      duration_ms: random(100_000) / 100,
      user: { id: random(100_000), plan: 'pro' },
      trace_id: (random(2 ** 31) * 2 ** 20).toString(16),
    }),
  nginx: (n, random) =>
    `10.${random(256)}.${random(256)}.${random(256)} - - [${clf(n)}] "GET ${PATHS[random(6)]} HTTP/1.1" ${200 + random(300)} ${random(50_000)} "https://example.com/shop?page=${random(1000)}" "${AGENTS[random(3)]}"`,
  cri: (n, random) =>
    `${new Date(START + n * 7).toISOString().slice(0, 23)}${String(random(1_000_000)).padStart(6, '0')}Z ${random(5) === 0 ? 'stderr' : 'stdout'} F ${LEVELS[random(6)]} worker-${random(64)} ${sentence(random, 16)}`,
};

/** The path of a file of that kind and size; made if it is not there. */
export function dataFile(directory: string, kind: string, bytes: number): string {
  const file = join(directory, `${kind}-${Math.round(bytes / 1e6)}mb.log`);
  if (existsSync(file) && statSync(file).size >= bytes) return file;
  mkdirSync(directory, { recursive: true });
  const line = KINDS[kind];
  if (line === undefined) throw new Error(`There is no kind of file named ${kind}.`);
  const random = generator(42);
  const descriptor = openSync(`${file}.tmp`, 'w');
  let written = 0;
  for (let n = 0; written < bytes;) {
    let block = '';
    for (let i = 0; i < 5000; i++) block += `${line(n++, random)}\n`;
    written += writeSync(descriptor, block);
  }
  closeSync(descriptor);
  renameSync(`${file}.tmp`, file);
  return file;
}
