/** A listening forward input, and what the pipeline would get of it. */
import { connect } from 'node:net';
import type { NetConnectOpts } from 'node:net';
import { onTestFinished } from 'vitest';
import forward from '../../../../plugins/inputs/forward.ts';
import type { Emit, Input, InputContext, Receipt } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { Sender } from '../../../support/forward-sender.ts';
import { Collector, inputContext } from '../collecting.ts';
import type { TestInputContext } from '../collecting.ts';

export interface Opened {
  input: Input;
  context: TestInputContext;
  collector: Collector;
  port: number;
  /** Receipts of the batches, in order; empty while they are settled at once. */
  receipts: Receipt[];
  /** Whether each batch had a receipt. */
  asked: boolean[];
  reserved: () => number;
  /** Changes the bytes that can be reserved. */
  setRoom: (bytes: number) => void;
  count: (metric: string, labels?: Record<string, string>) => number;
  /** Connects a client; it is closed at the end of the test. */
  sender: (how?: NetConnectOpts) => Promise<Sender>;
}

export interface OpenOptions {
  options?: Record<string, string | string[]>;
  /** Keeps receipts instead of settling them at once. */
  hold?: boolean;
  /** Bytes that can be reserved. */
  room?: number;
  /** Of these, what can ever be; it is said to be `mem_buf_limit` that says so. */
  largest?: number;
}

/** Starts an input; it is stopped and closed at the end of the test. */
export async function open({
  options = {},
  hold = false,
  room = Infinity,
  largest = Infinity,
}: OpenOptions = {}): Promise<Opened> {
  let used = 0;
  let limit = room;
  const context: TestInputContext & InputContext = {
    ...inputContext(),
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
  };
  const collector = new Collector();
  const receipts: Receipt[] = [];
  const asked: boolean[] = [];
  const emit: Emit = (tag, batch, receipt) => {
    asked.push(receipt !== undefined);
    const pending = collector.emit(tag, batch, receipt);
    if (receipt !== undefined && hold) receipts.push(receipt);
    else receipt?.release();
    return pending;
  };
  const input = await forward.create(optionsOf(forward.options, { port: '0', ...options }), context);
  onTestFinished(async () => {
    await input.stop();
    await input.close?.();
  });
  await input.start(emit);
  const port = Number(
    context.log.lines.find(({ message }) => message.startsWith('Listening'))?.fields['port'] ?? 0,
  );
  return {
    input,
    context,
    collector,
    port,
    receipts,
    asked,
    reserved: () => used,
    setRoom: (bytes) => {
      limit = bytes;
    },
    count: (metric, labels = {}) =>
      context.metrics.counter(`tailrace_input_${metric}`, '').sum({ name: 'input.0', ...labels }),
    async sender(how) {
      const sender = new Sender(connect(how ?? { host: '127.0.0.1', port }));
      onTestFinished(() => sender.close());
      await sender.connected;
      return sender;
    },
  };
}
