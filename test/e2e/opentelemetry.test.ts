/** Two agents in a row by OTLP: what one has delivered the other has safe, whatever becomes of it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { listenBelow } from '../support/ports.ts';

const TOTAL = 2000;
/** Each request waits for the disk, which may be busy. Milliseconds. */
const TIMEOUT_MS = 120_000;

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenBelow(server);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

function writeSender(rig: Rig, port: number, lines: readonly string[]): void {
  const records = Array.from({ length: TOTAL }, (_, n) => `{"n":${n},"text":"grüße 😀"}\n`);
  writeFileSync(rig.path('app.log'), records.join(''));
  writeFileSync(
    rig.path('sender.yaml'),
    `service:
  flush: 0.1
  scheduler.base: 0.1
  scheduler.cap: 0.5
pipeline:
  inputs:
    - name: tail
      path: ${rig.path('app.log')}
      tag: app
      read_from_head: true
      parser: json
  outputs:
    - name: opentelemetry
      match: app
      port: ${port}
      batch_size: 100
      workers: 1
      net.proxy_env_ignore: on
      ${lines.join('\n      ')}
`,
  );
}

function writeReceiver(rig: Rig, port: number): void {
  writeFileSync(
    rig.path('receiver.yaml'),
    `service:
  flush: 0.1
pipeline:
  inputs:
    - name: opentelemetry
      port: ${port}
  outputs:
    - name: file
      match: v1_logs
      path: ${rig.path('out')}
      mkdir: on
      format: plain
`,
  );
}

const numbers = (rig: Rig): Set<number> =>
  new Set(
    readdirSync(rig.path('out')).flatMap((name) =>
      readFileSync(rig.path('out', name), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { n: number }).n),
    ),
  );

describe('a receiver that is killed in the middle', { timeout: TIMEOUT_MS }, () => {
  test.for([
    ['protobuf', ['compress: zstd']],
    ['JSON', ['encoding: json', 'compress: gzip']],
    ['gRPC', ['grpc: on', 'compress: gzip']],
  ] as const)('has all that it acknowledged, and gets the rest (%s)', async ([, lines], { rig }) => {
    const port = await freePort();
    writeSender(rig, port, lines);
    writeReceiver(rig, port);
    const receiver = await rig.start({ config: 'receiver.yaml', state: 'receiver' });
    const sender = await rig.start({ config: 'sender.yaml', state: 'sender' });
    await receiver.until((scrape) => scrape.sum('tailrace_input_read_records_total') > TOTAL / 10);
    await receiver.kill();
    const again = await rig.start({ config: 'receiver.yaml', state: 'receiver' });
    await sender.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === TOTAL);
    await again.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
    expect(numbers(rig).size).toBe(TOTAL);
    expect((await sender.stop()).summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  });
});
