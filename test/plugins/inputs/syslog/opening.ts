/** A listening syslog input, and what the pipeline would get of it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import syslog from '../../../../plugins/inputs/syslog.ts';
import { stockParsers } from '../../../../plugins/parsers/stock.ts';
import type { Input, InputContext } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { createParser } from '../../parsers/parsing.ts';
import { Collector, inputContext } from '../collecting.ts';
import type { TestInputContext } from '../collecting.ts';

export interface Opened {
  input: Input;
  context: TestInputContext;
  collector: Collector;
  port: number;
  /** What was dropped, by reason. */
  dropped: ReadonlyMap<string, number>;
  reserved: () => number;
  /** Changes the bytes that can be reserved. */
  setRoom: (bytes: number) => void;
  count: (metric: string, labels?: Record<string, string>) => number;
  warnings: () => readonly string[];
  /** Connects a client; it is closed at the end of the test. */
  client: (how?: NetConnectOpts) => Promise<Socket>;
}

/** Starts an input; it is stopped and closed at the end of the test. */
export async function open(
  written: Record<string, string> = {},
  { room = Infinity, largest = Infinity }: { room?: number; largest?: number } = {},
): Promise<Opened> {
  let used = 0;
  let limit = room;
  const dropped = new Map<string, number>();
  const options = optionsOf(syslog.options, { mode: 'tcp', port: '0', ...written });
  const name = written['parser'] ?? syslog.defaultParsers?.(options)[0] ?? '';
  const stock = stockParsers.find((parser) => parser.name === name);
  if (stock === undefined) throw new Error(`There is no parser ${name}.`);
  const context: TestInputContext & InputContext = {
    ...inputContext([createParser({ name, format: stock.format, ...stock.options })]),
    largestReservation: () => ({ bytes: largest, option: 'mem_buf_limit' }),
    reserve(bytes) {
      if (used + bytes > limit) return undefined;
      used += bytes;
      let held = bytes;
      return {
        release: () => {
          used -= held;
          held = 0;
        },
      };
    },
    drop(reason, count) {
      dropped.set(reason, (dropped.get(reason) ?? 0) + count);
    },
  };
  const collector = new Collector();
  const input = await syslog.create(options, context);
  onTestFinished(async () => {
    await input.stop();
    await input.close?.();
  });
  await input.start(collector.emit);
  const port = Number(
    context.log.lines.find(({ message }) => message.startsWith('Listening'))?.fields['port'] ?? 0,
  );
  return {
    input,
    context,
    collector,
    port,
    dropped,
    reserved: () => used,
    setRoom: (bytes) => {
      limit = bytes;
    },
    count: (metric, labels = {}) =>
      context.metrics.counter(`tailrace_input_${metric}`, '').sum({ name: 'input.0', ...labels }),
    warnings: () => context.log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message),
    async client(how) {
      const socket = connect(how ?? { host: '127.0.0.1', port });
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    },
  };
}

/** Resolves when the other side has closed the connection. */
export async function closed(socket: Socket): Promise<void> {
  socket.resume();
  if (socket.closed) return;
  await new Promise((resolve) => {
    socket.once('close', resolve);
  });
}
