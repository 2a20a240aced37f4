/**
 * The destination, in a process of its own: takes `json_lines`, and answers as the weather is.
 *
 *   fork('bench/sink-process.ts', ['count' | 'latency' | 'numbered' | 'bulk' | 'loki'])
 *
 * What it knows of numbered lines is bounded: ranges, not lines. Commands and reports: sink-protocol.ts.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { crc32 } from 'node:zlib';
import { PbfReader } from 'pbf';
import { decompressSnappy } from '../src/codec/snappy.ts';
import { Ranges } from '../src/event/ranges.ts';
import { listenBelow } from '../test/support/ports.ts';
import type { Command, Report, Weather } from './sink-protocol.ts';

const [kind = 'count'] = process.argv.slice(2);
/** Of a push, decompressed, bytes. */
const PUSH_LIMIT = 64 * 1024 * 1024;
const FAULTS = ['429', '503', 'cut behind', 'cut within'] as const;

interface Counts {
  requests: number;
  records: number;
  bytes: number;
  firstAt: number | undefined;
  doubles: number;
  torn: number;
}

const nothing = (): Counts => ({
  requests: 0,
  records: 0,
  bytes: 0,
  firstAt: undefined,
  doubles: 0,
  torn: 0,
});

let counts = nothing();
/** Milliseconds, one per record. */
let latencies: number[] = [];
const streams = new Map<string, Ranges>();
let weather: Weather = { kind: 'good' };
let server: Server | undefined;
let port = 0;

const now = (): number => performance.timeOrigin + performance.now();

function countLines(body: Buffer): number {
  let lines = 0;
  for (let at = body.indexOf(10); at >= 0; at = body.indexOf(10, at + 1)) lines++;
  return lines;
}

function takeLatencies(body: Buffer, arrivedAt: number): number {
  const text = body.toString('latin1');
  let records = 0;
  for (const [, at] of text.matchAll(/"at":([\d.]+)/g)) {
    latencies.push(arrivedAt - Number(at));
    records++;
  }
  return records;
}

function takeNumbered(body: Buffer): number {
  let records = 0;
  for (const [, name = '', digits, sum] of body
    .toString('latin1')
    .matchAll(/"S=([^:"]+):(\d+);([0-9a-f]{8})/g)) {
    records++;
    if (crc32(`${name}:${digits}`).toString(16).padStart(8, '0') !== sum) {
      counts.torn++;
      continue;
    }
    const n = Number(digits);
    let ranges = streams.get(name);
    if (ranges === undefined) streams.set(name, (ranges = new Ranges()));
    if (ranges.covers(n, n + 1)) counts.doubles++;
    else ranges.add(n, n + 1);
  }
  if (records !== countLines(body)) counts.torn++;
  return records;
}

/** The entries of a push: as JSON `["1700000000000000000","…"` each, as protobuf the second field of the messages in the first. */
function countEntries(body: Buffer, contentType: string | undefined): number {
  if (contentType !== 'application/x-protobuf') {
    return body.toString('latin1').match(/\["\d{19}",/g)?.length ?? 0;
  }
  const countStream = (tag: number, counted: { entries: number }): void => {
    if (tag === 2) counted.entries++;
  };
  return new PbfReader(decompressSnappy(body, PUSH_LIMIT)).readFields(
    (tag, counted, reader) => {
      if (tag === 1) reader.readMessage(countStream, counted);
    },
    { entries: 0 },
  ).entries;
}

function store(body: Buffer, arrivedAt: number, contentType: string | undefined): void {
  counts.bytes += body.length;
  if (kind === 'latency') counts.records += takeLatencies(body, arrivedAt);
  else if (kind === 'numbered') counts.records += takeNumbered(body);
  else if (kind === 'loki') counts.records += countEntries(body, contentType);
  // An action and a document each.
  else counts.records += kind === 'bulk' ? countLines(body) / 2 : countLines(body);
}

/** The answer to a request that was taken. */
function accept(response: ServerResponse): void {
  if (kind === 'loki') response.writeHead(204).end();
  else if (kind === 'bulk')
    response
      .writeHead(200, { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' })
      .end('{"took":1,"errors":false,"items":[]}');
  else response.writeHead(200).end();
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  counts.requests++;
  const parts: Buffer[] = [];
  const current = weather;
  const fault =
    current.kind === 'flaky' && Math.random() < current.share
      ? FAULTS[Math.floor(Math.random() * FAULTS.length)]
      : undefined;
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  request.on('data', (part: Buffer) => {
    counts.firstAt ??= now();
    if (fault === 'cut within') request.socket.resetAndDestroy();
    else parts.push(part);
  });
  request.on('end', () => {
    if (fault === '429' || fault === '503') {
      response.writeHead(Number(fault), fault === '429' ? { 'retry-after': '1' } : {});
      response.end();
      return;
    }
    if (current.kind === 'silent') return;
    const arrivedAt = now();
    const answer = (): void => {
      // A connection that the agent gave up meanwhile gets no answer; the records are there all the same.
      store(Buffer.concat(parts), arrivedAt, request.headers['content-type']);
      if (fault === 'cut behind') request.socket.resetAndDestroy();
      else accept(response);
    };
    if (current.kind === 'slow') setTimeout(answer, Math.random() * current.ms);
    else answer();
  });
}

async function open(): Promise<void> {
  const opening = createServer({ keepAlive: true }, handle);
  port = await listenBelow(opening, port);
  server = opening;
}

function close(): Promise<void> {
  return new Promise((resolve) => {
    const closing = server as ReturnType<typeof createServer> | undefined;
    server = undefined;
    if (closing === undefined) {
      resolve();
      return;
    }
    closing.close(() => resolve());
    closing.closeAllConnections();
  });
}

function report(): Report {
  const sorted = Float64Array.from(latencies).toSorted();
  const quantile = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  const { firstAt, ...rest } = counts;
  return {
    port,
    ...rest,
    ...(firstAt === undefined ? {} : { firstAt }),
    latency: { median: quantile(0.5), p99: quantile(0.99) },
    streams: Object.fromEntries(
      [...streams].map(([name, ranges]) => {
        const [first = [0, 0]] = ranges.list;
        const below = first[0] === 0 ? first[1] : 0;
        return [name, { below, beyond: ranges.size - below }];
      }),
    ),
  };
}

async function obey(command: Command): Promise<void> {
  switch (command.ask) {
    case 'open':
      await open();
      break;
    case 'close':
      await close();
      break;
    case 'weather':
      weather = command.weather;
      break;
    case 'forget':
      counts = nothing();
      latencies = [];
      break;
    case 'report':
      break;
  }
}

process.on('message', (command: Command) => {
  void obey(command).then(() => process.send?.(report()));
});
// The benchmark is gone.
process.on('disconnect', () => process.exit());
