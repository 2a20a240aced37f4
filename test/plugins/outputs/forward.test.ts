import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { describe, expect, it, onTestFinished } from 'vitest';
import forward from '../../../plugins/outputs/forward.ts';
import { RetryableError } from '../../../src/plugin.ts';
import type { Outcome, Slice } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, partOf, problemsOf, sliceOf } from '../../contract/support.ts';
import type { TestContext } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { acknowledge, ForwardReceiver } from '../../support/forward-receiver.ts';
import type { ReceiverOptions } from '../../support/forward-receiver.ts';

for (const options of [{}, { require_ack_response: 'off' }, { compress: 'gzip' }]) {
  describeOutput(`forward ${JSON.stringify(options)}`, async () => {
    const receiver = await new ForwardReceiver().open();
    const output = await createOutput(forward, { port: String(receiver.port), ...options }, contextIn('/'));
    let sent = 0;
    return {
      output: {
        ...output,
        deliver(slices, signal) {
          sent += slices.reduce((sum, { length }) => sum + length, 0);
          return output.deliver(slices, signal);
        },
      },
      async arrived() {
        // Without acknowledgements it is only known to be on its way.
        await expect.poll(() => receiver.records.length).toBe(sent);
        return receiver.records;
      },
      cleanUp: () => receiver.close(),
    };
  });
}

interface Opened {
  receiver: ForwardReceiver;
  context: TestContext;
  deliver: (slices: Slice[], signal?: AbortSignal) => Promise<Outcome>;
}

async function open(
  options: Record<string, string | string[]> = {},
  receiverOptions: ReceiverOptions = {},
): Promise<Opened> {
  const receiver = await new ForwardReceiver(receiverOptions).open();
  const context = contextIn('/');
  const target = receiverOptions.path === undefined ? { port: String(receiver.port) } : {};
  const output = await createOutput(forward, { ...target, ...options }, context);
  onTestFinished(async () => {
    await output.close?.();
    await receiver.close();
  });
  return { receiver, context, deliver: (slices, signal = noAbort()) => output.deliver(slices, signal) };
}

const RECORDS = ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}'];

describe('forward: messages', () => {
  it('a message for each run of a tag, acknowledged one by one', async () => {
    const { receiver, deliver } = await open();
    const outcome = await deliver([
      partOf(sliceOf('app.a', RECORDS), 1, 3),
      sliceOf('app.a', RECORDS.slice(3)),
      sliceOf('app.b', RECORDS.slice(0, 1)),
      sliceOf('app.a', RECORDS.slice(0, 1)),
    ]);
    expect(outcome).toEqual({});
    expect(
      receiver.messages.map(({ tag, mode, events }) => [tag, mode, events.map(({ record }) => record)]),
    ).toEqual([
      ['app.a', 'forward', [{ n: 2 }, { n: 3 }, { n: 4 }]],
      ['app.b', 'forward', [{ n: 1 }]],
      ['app.a', 'forward', [{ n: 1 }]],
    ]);
    const chunks = receiver.messages.map(({ options }) => options?.['chunk']);
    expect(new Set(chunks).size).toBe(3);
    for (const chunk of chunks) expect(Buffer.from(String(chunk), 'base64')).toHaveLength(16);
    expect(receiver.messages.map(({ options }) => options?.['size'])).toEqual([3, 1, 1]);
  });

  it('times are exact, and metadata goes along where there is some', async () => {
    const { receiver, deliver } = await open();
    await deliver([
      sliceOf('t', [
        { record: '{"a":1.0}', seconds: 1_700_000_000, nanos: 123_456_789 },
        {
          record: '{"b":18446744073709551615}',
          seconds: 4_294_967_295,
          nanos: 999_999_999,
          metadata: { m: [1] },
        },
      ]),
    ]);
    expect(receiver.messages[0]?.events).toEqual([
      { seconds: 1_700_000_000, nanos: 123_456_789, metadata: undefined, record: { a: 1 } },
      {
        seconds: 4_294_967_295,
        nanos: 999_999_999,
        metadata: { m: [1] },
        record: { b: 18_446_744_073_709_551_615n },
      },
    ]);
  });

  it('without metadata, with whole seconds, when asked', async () => {
    const { receiver, deliver } = await open({
      retain_metadata_in_forward_mode: 'off',
      time_as_integer: 'on',
    });
    await deliver([
      sliceOf('t', [{ record: '{"a":1}', seconds: 1_700_000_000, nanos: 7, metadata: { m: 1 } }]),
    ]);
    expect(receiver.messages[0]?.events).toEqual([
      { seconds: 1_700_000_000, nanos: undefined, metadata: undefined, record: { a: 1 } },
    ]);
  });

  it('compressed', async () => {
    const { receiver, deliver } = await open({ compress: 'gzip' });
    await deliver([sliceOf('a', RECORDS), sliceOf('b', RECORDS)]);
    expect(receiver.messages.map(({ tag, mode, options }) => [tag, mode, options])).toEqual([
      ['a', 'gzip', { chunk: expect.any(String), size: 4, compressed: 'gzip' }],
      ['b', 'gzip', { chunk: expect.any(String), size: 4, compressed: 'gzip' }],
    ]);
    expect(receiver.records).toHaveLength(8);
  });

  it('options of the configuration', async () => {
    const { receiver, deliver } = await open({ add_option: ['site fra 1', 'team obs'], tag: 'fixed' });
    await deliver([sliceOf('a', RECORDS)]);
    expect(receiver.messages[0]).toMatchObject({
      tag: 'fixed',
      options: { chunk: expect.any(String), size: 4, site: 'fra 1', team: 'obs' },
    });
  });

  it('no options where nothing needs them, unless they are asked for', async () => {
    for (const [sendOptions, expected] of [
      ['off', undefined],
      ['on', { size: 4 }],
    ] as const) {
      const { receiver, deliver } = await open(
        { require_ack_response: 'off', send_options: sendOptions },
        { answer: (socket) => socket.end() },
      );
      await deliver([sliceOf('a', RECORDS)]);
      await expect.poll(() => receiver.messages).toHaveLength(1);
      expect(receiver.messages[0]?.options).toEqual(expected);
    }
  });

  it('tags by template: of the tag, of the record, and none', async () => {
    const byTag = await open({ tag: 'edge.$TAG[1]' });
    await byTag.deliver([sliceOf('app.a', RECORDS), sliceOf('app.b', RECORDS)]);
    expect(byTag.receiver.messages.map(({ tag, events }) => [tag, events.length])).toEqual([
      ['edge.a', 4],
      ['edge.b', 4],
    ]);
    const byRecord = await open({ tag: '$service' });
    await byRecord.deliver([
      sliceOf('app', ['{"service":"x"}', '{"service":"x","n":1}', '{"n":2}', '{"service":"y"}']),
    ]);
    expect(byRecord.receiver.messages.map(({ tag, events }) => [tag, events.length])).toEqual([
      ['x', 2],
      ['app', 1],
      ['y', 1],
    ]);
  });

  it('by a unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tailrace-forward-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const { receiver, deliver } = await open({ unix_path: path }, { path });
    expect(await deliver([sliceOf('a', RECORDS)])).toEqual({});
    expect(receiver.records).toHaveLength(4);
  });
});

describe('forward: acknowledgements', () => {
  it('come in any order, and in pieces', async () => {
    const asked: unknown[] = [];
    const { deliver } = await open(
      {},
      {
        answer(socket, { options }, index) {
          asked.unshift(encode({ ack: options?.['chunk'] }));
          if (index < 2) return;
          const all = Buffer.concat(asked as Uint8Array[]);
          socket.setNoDelay(true);
          socket.write(all.subarray(0, 10));
          setImmediate(() => socket.write(all.subarray(10)));
        },
      },
    );
    expect(await deliver([sliceOf('a', RECORDS), sliceOf('b', RECORDS), sliceOf('c', RECORDS)])).toEqual({});
  });

  it('what was acknowledged is not sent again when the connection breaks', async () => {
    const { deliver } = await open(
      {},
      {
        answer(socket, message, index) {
          if (index === 1) return;
          acknowledge(socket, message);
          if (index === 2) socket.end();
        },
      },
    );
    const outcome = await deliver([
      sliceOf('a', RECORDS),
      sliceOf('b', RECORDS.slice(1)),
      sliceOf('c', RECORDS),
    ]);
    expect(outcome).toEqual({
      retry: [4, 5, 6],
      reason: expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+: the other side closed the connection/),
    });
  });

  it('that do not come in time fail the attempt, and say what to do', async () => {
    const { deliver } = await open({ ack_response_timeout: '50ms' }, { answer: () => {} });
    await expect(deliver([sliceOf('a', RECORDS)])).rejects.toThrow(
      /^tcp:\/\/127\.0\.0\.1:\d+: no acknowledgement within ack_response_timeout, 0\.05 s: .*require_ack_response/,
    );
  });

  it('of something else fail the attempt', async () => {
    const other = await open({}, { answer: (socket) => socket.write(encode({ ack: 'x' })) });
    await expect(other.deliver([sliceOf('a', RECORDS)])).rejects.toThrow(/acknowledged what was not sent/);
    const none = await open({}, { answer: (socket) => socket.write(encode(['HELO', {}])) });
    await expect(none.deliver([sliceOf('a', RECORDS)])).rejects.toThrow(RetryableError);
    const long = await open({}, { answer: (socket) => socket.write(encode({ ack: 'x'.repeat(5000) })) });
    await expect(long.deliver([sliceOf('a', RECORDS)])).rejects.toThrow(/more than 4096 bytes/);
  });

  it('are read while it sends', async () => {
    // A record is a message here: the answers are more than any socket buffers.
    const { deliver } = await open(
      { tag: '$n' },
      {
        answer: (socket, { options }) =>
          socket.write(encode({ ack: options?.['chunk'], padding: 'x'.repeat(4000) })),
      },
    );
    const many = Array.from({ length: 3000 }, (_, n) => `{"n":"${n}","text":"${'y'.repeat(1000)}"}`);
    expect(await deliver([sliceOf('a', many)])).toEqual({});
  });

  it('an abort ends the wait', async () => {
    const controller = new AbortController();
    const { deliver } = await open({}, { answer: () => controller.abort(new Error('The test stops.')) });
    await expect(deliver([sliceOf('a', RECORDS)], controller.signal)).rejects.toThrow('The test stops.');
  });
});

describe('forward: the handshake', () => {
  const KEY = { shared_key: 'secret' };

  it('shows the key and the password, once for a connection', async () => {
    const { receiver, deliver } = await open(
      { ...KEY, username: 'u', password: 'p', self_hostname: 'sender.example' },
      { sharedKey: 'secret', users: { u: 'p' } },
    );
    await deliver([sliceOf('a', RECORDS)]);
    await deliver([sliceOf('a', RECORDS)]);
    expect(receiver.records).toHaveLength(8);
    expect(receiver.pings).toHaveLength(1);
    expect(receiver.pings[0]?.slice(0, 2)).toEqual(['PING', 'sender.example']);
    expect(JSON.stringify(receiver.pings)).not.toContain('secret');
  });

  it('with a nonce of any bytes, an empty key, and the name of the machine', async () => {
    const { receiver, deliver } = await open({ empty_shared_key: 'on' }, { sharedKey: '', rawNonce: true });
    expect(await deliver([sliceOf('a', RECORDS)])).toEqual({});
    expect(receiver.pings[0]?.[1]).toBe(hostname());
  });

  it.each<[string, Record<string, string>, ReceiverOptions, RegExp]>([
    ['a wrong key', KEY, { sharedKey: 'other' }, /refuses us \(shared_key mismatch\): check shared_key/],
    [
      'a wrong password',
      { ...KEY, username: 'u', password: 'q' },
      { sharedKey: 'secret', users: { u: 'p' } },
      /refuses us \(username\/password mismatch\)/,
    ],
    [
      'a refusal without words',
      KEY,
      { sharedKey: 'secret', pong: () => undefined },
      /closed the connection.*check shared_key/,
    ],
    [
      'a receiver without the key',
      KEY,
      { sharedKey: 'secret', pong: ([name, ok, reason, host]) => [name, ok, reason, host, 'f'.repeat(128)] },
      /does not know the shared key/,
    ],
    [
      'a receiver that sends our own proof back',
      KEY,
      { sharedKey: 'secret', pong: (_, ping) => ['PONG', true, '', ping[1], ping[3]] },
      /proved nothing/,
    ],
    [
      'a receiver that says something else',
      KEY,
      { sharedKey: 'secret', pong: () => ['HELO'] },
      /did not answer with a PONG/,
    ],
    ['a receiver that asks for a key', {}, { sharedKey: 'secret' }, /does it want a shared_key/],
    [
      'a receiver that asks for a key, without acknowledgements',
      { require_ack_response: 'off' },
      { sharedKey: 'secret' },
      /does it want a shared_key|closed/,
    ],
    [
      'a receiver without handshake',
      { ...KEY, 'net.connect_timeout': '200ms' },
      {},
      /handshake within net\.connect_timeout.*|HELO/,
    ],
  ])('%s is refused, with what to do', async (_name, options, receiverOptions, message) => {
    const { receiver, deliver } = await open(options, receiverOptions);
    const attempt = async (): Promise<void> => {
      await deliver([sliceOf('a', RECORDS)]);
      // Without acknowledgements the first records may get away.
      await expect.poll(() => receiver.connections).toBeGreaterThan(0);
      for (let index = 0; index < 20; index++) {
        await new Promise(setImmediate);
        await deliver([sliceOf('a', RECORDS)]);
      }
    };
    await expect(attempt()).rejects.toThrow(message);
    await expect(attempt()).rejects.toThrow(RetryableError);
    expect(receiver.messages.filter(({ mode }) => mode === 'message')).toEqual([]);
  });

  it('a receiver with the same self_hostname is taken, with a warning', async () => {
    const { context, deliver } = await open(
      { ...KEY, self_hostname: 'same' },
      { sharedKey: 'secret', hostname: 'same' },
    );
    expect(await deliver([sliceOf('a', RECORDS)])).toEqual({});
    expect(context.log.lines).toEqual([expect.objectContaining({ level: 'warn' })]);
  });
});

describe('forward: TLS', () => {
  it('with key and compression', async () => {
    const { receiver, deliver } = await open(
      {
        tls: 'on',
        'tls.ca_file': tlsFile('ca.pem'),
        'tls.vhost': 'localhost',
        shared_key: 'k',
        compress: 'gzip',
      },
      { certificate: 'server', sharedKey: 'k' },
    );
    expect(await deliver([sliceOf('a', RECORDS)])).toEqual({});
    expect(receiver.messages[0]?.mode).toBe('gzip');
  });
});

describe('forward: check', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    ['upstream', { upstream: 'nodes.conf' }, /^upstream is not there yet/],
    ['two keys', { shared_key: 'a', empty_shared_key: 'on' }, /^empty_shared_key and shared_key exclude/],
    ['an empty key', { shared_key: '' }, /^shared_key is empty/],
    ['a user without a key', { username: 'u' }, /^username has no effect without a handshake/],
    ['a password without a key', { password: 'p' }, /^password has no effect/],
    ['a name without a key', { self_hostname: 'h' }, /^self_hostname has no effect/],
    ['no time', { ack_response_timeout: '0' }, /^ack_response_timeout must be/],
    ['a template', { tag: '$TAG[x]' }, /^tag cannot be read/],
    ['a host', { host: 'a/b' }, /^host is not a host/],
  ])('%s', (_name, options, message) => {
    expect(problemsOf(forward, options)).toEqual([expect.stringMatching(message)]);
  });

  it('what is right is taken', () => {
    expect(problemsOf(forward, { shared_key: 'k', username: 'u', password: 'p', compress: 'gzip' })).toEqual(
      [],
    );
    expect(forward.traits?.({} as never)).toEqual({ workers: 2 });
  });
});
