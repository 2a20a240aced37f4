/** A listening input that takes requests, what the pipeline would get of it, and clients that say exactly what they send. */
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, RequestOptions } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import http from '../../../../plugins/inputs/http.ts';
import type { Emit, Input, InputContext, Receipt } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { Collector, inputContext } from '../collecting.ts';
import type { TestInputContext } from '../collecting.ts';

export interface Opened {
  input: Input;
  context: TestInputContext;
  collector: Collector;
  port: number;
  /** Receipts of the batches, in order; empty while they are settled at once. */
  receipts: Receipt[];
  /** Resolves when that many batches were emitted. */
  emitted: (batches: number) => Promise<void>;
  /** Bytes that are reserved. */
  reserved: () => number;
  /** Requests that were answered with this code. */
  answered: (code: number | 'aborted') => number;
}

export interface OpenOptions {
  options?: Record<string, string | string[]>;
  /** Keeps receipts instead of settling them at once. */
  hold?: boolean;
  /** Bytes that can be reserved. */
  room?: number;
  /** Of these, what can ever be; it is said to be `mem_buf_limit` that says so. */
  largest?: number;
  /** Makes the input from options as written; default: http. */
  create?: (written: Record<string, string | string[]>, context: InputContext) => Input | Promise<Input>;
}

const createHttp: NonNullable<OpenOptions['create']> = (written, context) =>
  http.create(optionsOf(http.options, written), context);

/** Starts an input; it is stopped and closed at the end of the test. */
export async function open({
  options = {},
  hold = false,
  room = Infinity,
  largest = Infinity,
  create = createHttp,
}: OpenOptions = {}): Promise<Opened> {
  let used = 0;
  const context: TestInputContext & InputContext = {
    ...inputContext(),
    largestReservation: () => ({ bytes: largest, option: 'mem_buf_limit' }),
    reserve(bytes) {
      if (used + bytes > room) return undefined;
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
  let changed = Promise.withResolvers<void>();
  const emit: Emit = (tag, batch, receipt) => {
    const pending = collector.emit(tag, batch, receipt);
    if (receipt !== undefined && hold) receipts.push(receipt);
    else receipt?.release();
    changed.resolve();
    changed = Promise.withResolvers<void>();
    return pending;
  };
  const input = await create({ port: '0', ...options }, context);
  onTestFinished(async () => {
    await input.stop();
    await input.close?.();
  });
  await input.start(emit);
  const port = context.log.lines.find(({ message }) => message === 'Listening for HTTP requests')?.fields[
    'port'
  ] as number;
  return {
    input,
    context,
    collector,
    port,
    receipts,
    reserved: () => used,
    async emitted(batches) {
      while (collector.batches.length < batches) await changed.promise;
    },
    answered: (code) =>
      context.metrics
        .counter('tailrace_input_requests_total', '')
        .sum({ name: 'input.0', code: String(code) }),
  };
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Post extends Omit<RequestOptions, 'headers'> {
  headers?: Record<string, string | number>;
  body?: string | Buffer;
  type?: string;
  /** Does not say how long the body is. */
  chunked?: boolean;
}

/** Sends a request and resolves with its answer. */
export function send(
  port: number,
  { body = '', type = 'application/json', chunked = false, headers, ...options }: Post = {},
): Promise<Answer> {
  const length = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port,
        method: 'POST',
        path: '/',
        agent: false,
        headers: { 'content-type': type, ...length, ...headers },
        ...options,
      },
      (response) => {
        text(response).then(
          (answer) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer }),
          reject,
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** A bare connection, and all that comes back until it is closed. */
export function dial(port: number): { socket: Socket; closed: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    received += piece;
  });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve(received))) };
}
