/** The samples of the outputs that write to sockets, run against real sockets. The one of syslog is run by its service suite. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { DatagramSink, StreamSink } from '../net/sockets.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { GelfAssembler, gelfStream } from '../support/gelf.ts';

const PIPELINES = join(import.meta.dirname, '../../pipelines');
const LOGS = join(PIPELINES, 'logs/app.log');

type Line = { time: string; level: string; msg: string; [field: string]: unknown };

const lines = readFileSync(LOGS, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line) as Line);

const start = (rig: Rig, sample: string, env: Record<string, string>) =>
  rig.start({ config: join(PIPELINES, sample), env: { LOGS, ...env } });

/** Runs with receivers that are gone afterwards. */
async function withSinks(run: (stream: StreamSink, datagrams: DatagramSink) => Promise<void>): Promise<void> {
  const stream = await new StreamSink().open();
  const datagrams = await new DatagramSink().open();
  try {
    await run(stream, datagrams);
  } finally {
    await stream.close();
    await datagrams.close();
  }
}

describe('samples', () => {
  test('pipelines/tcp.yaml', async ({ rig }) => {
    await withSinks(async (stream, datagrams) => {
      const ports = { TCP_PORT: String(stream.port), UDP_PORT: String(datagrams.port) };
      const agent = await start(rig, 'tcp.yaml', ports);
      const linesIn = (bytes: Buffer): string[] => bytes.toString().split('\n').slice(0, -1);
      await stream.until((bytes) => linesIn(bytes).length === lines.length);
      const received = linesIn(stream.bytes).map((line) => JSON.parse(line) as Line);
      expect(received).toEqual(lines.map((line) => ({ ...line, time: line.time.replace(/Z$/, '000Z') })));
      const errors = lines.filter(({ level }) => level === 'error' || level === 'fatal');
      const messages = await datagrams.received(errors.length);
      expect(messages.map(String)).toEqual(errors.map(({ msg }) => `${msg}\n`));
      expect((await agent.stop()).summary).toMatchObject({ in_doubt: 0 });
    });
  });

  test.for(['tcp', 'udp'])('pipelines/gelf.yaml by %s', async (mode, { rig }) => {
    await withSinks(async (stream, datagrams) => {
      const port = mode === 'tcp' ? stream.port : datagrams.port;
      const agent = await start(rig, 'gelf.yaml', { GELF_PORT: String(port), GELF_MODE: mode });
      const assembler = new GelfAssembler();
      if (mode === 'udp')
        for (const datagram of await datagrams.received(lines.length)) assembler.take(datagram);
      else await stream.until((bytes) => bytes.filter((byte) => byte === 0).length === lines.length);
      const messages = mode === 'udp' ? assembler.messages : gelfStream(stream.bytes);
      expect(
        messages.map(({ short_message, timestamp, _tag }) => ({ short_message, timestamp, _tag })),
      ).toEqual(
        lines.map(({ msg, time }) => ({
          short_message: msg,
          timestamp: Date.parse(time) / 1000,
          _tag: 'app',
        })),
      );
      expect((await agent.stop()).summary).toMatchObject({ in_doubt: 0 });
    });
  });
});
