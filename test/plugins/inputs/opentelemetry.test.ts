import { connect } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import opentelemetry from '../../../plugins/inputs/opentelemetry.ts';
import { encodeProtoLogs } from '../../../src/codec/otlp/encode-proto.ts';
import type { OutgoingRecord } from '../../../src/codec/otlp/model.ts';
import { decodeProtoStatus } from '../../../src/codec/otlp/response.ts';
import { optionsOf } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { dial, open as openInput, send as post } from './http/harness.ts';
import type { Answer, Opened, OpenOptions, Post } from './http/harness.ts';
import { readFileSync } from 'node:fs';

const open = (options: OpenOptions = {}): Promise<Opened> =>
  openInput({
    ...options,
    create: (written, context) => opentelemetry.create(optionsOf(opentelemetry.options, written), context),
  });

const send = (port: number, options: Post): Promise<Answer> => post(port, { path: '/v1/logs', ...options });

const PROTOBUF = 'application/x-protobuf';
const LOGS = '/opentelemetry.proto.collector.logs.v1.LogsService/Export';

const record = (more: Partial<OutgoingRecord>): OutgoingRecord => ({
  time: 0n,
  observedTime: 0n,
  severityNumber: 0,
  severityText: '',
  body: null,
  attributes: [],
  droppedAttributesCount: 0,
  flags: 0,
  traceId: '',
  spanId: '',
  eventName: '',
  ...more,
});

const request = (...records: Partial<OutgoingRecord>[]): Buffer =>
  encodeProtoLogs([{ resource: {}, scopes: [{ scope: {}, records: records.map(record) }] }]);

const json = (...logRecords: unknown[]): string =>
  JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });

describe('options', () => {
  const problems = (written: Record<string, string>): string[] =>
    (opentelemetry.check?.(optionsOf(opentelemetry.options, written), []) ?? []).map(
      ({ key, message }) => `${key} ${message}`,
    );

  it('are fine as they are', () => {
    expect(problems({})).toEqual([]);
    expect(optionsOf(opentelemetry.options, {})).toMatchObject({
      port: 4318,
      listen: '127.0.0.1',
      http2: true,
    });
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ successful_response_code: '202' }, /none of 200, 201, 204/],
    [{ tag_key: '$a.b' }, /tag_key cannot be read/],
    [{ http_user: 'u' }, /http_user stands alone/],
    [{ 'oauth2.*': 'validate on' }, /oauth2.*not there yet/],
  ])('refuse %j', (written, message) => {
    expect(problems(written)).toEqual([expect.stringMatching(message)]);
  });

  it('say which tags can come', () => {
    const tags = (written: Record<string, string>, tag: string) =>
      opentelemetry.tags?.(optionsOf(opentelemetry.options, written), tag);
    expect(tags({}, 'opentelemetry.0')).toEqual(['v1_logs']);
    expect(tags({ tag_from_uri: 'off' }, 'opentelemetry.0')).toEqual(['opentelemetry.0']);
    expect(tags({ tag: 'app' }, 'app')).toEqual(['app']);
    expect(tags({ tag_key: 'k' }, 'app')).toBe('any');
  });
});

describe('events', () => {
  it('are the maps of bodies, and other bodies under log', async () => {
    const { port, collector } = await open();
    const body = request(
      { body: { a: 1, b: [null] } },
      { body: 'text' },
      { body: 5n },
      {},
      { body: { log: 1 } },
    );
    expect((await send(port, { type: PROTOBUF, body })).status).toBe(201);
    expect(collector.records).toEqual([
      { a: 1, b: [null] },
      { log: 'text' },
      { log: 5 },
      { log: null },
      { log: 1 },
    ]);
    expect(collector.events.map(({ tag }) => tag)).toEqual(Array(5).fill('v1_logs'));
    expect(collector.events[4]?.metadata).toEqual({ otlp: { body_type: 'map' } });
  });

  it('have every body under logs_body_key', async () => {
    const { port, collector } = await open({
      options: { logs_body_key: 'the "body"', logs_metadata_key: 'meta' },
    });
    await send(port, { type: PROTOBUF, body: request({ body: { a: 1 } }, { body: 'x', severityNumber: 9 }) });
    expect(collector.records).toEqual([{ 'the "body"': { a: 1 } }, { 'the "body"': 'x' }]);
    expect(collector.events[1]?.metadata).toEqual({ meta: { severity_number: 9 } });
  });

  it('have time, metadata, resource and scope', async () => {
    const { port, collector } = await open();
    const body = JSON.stringify({
      resourceLogs: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
          schemaUrl: 'r',
          scopeLogs: [
            {
              scope: { name: 'lib', version: '1' },
              logRecords: [
                {
                  timeUnixNano: '1700000000123456789',
                  severityText: 'WARN',
                  attributes: [{ key: 'a', value: { intValue: '1' } }],
                  traceId: '5B8EFFF798038103D269B633813FC60C',
                  body: { stringValue: 'x' },
                },
                { observedTimeUnixNano: '1700000001000000000' },
              ],
            },
          ],
        },
      ],
    });
    expect(await send(port, { body })).toMatchObject({ status: 201, body: '{}' });
    const resource = { attributes: { 'service.name': 'shop' }, schema_url: 'r' };
    const scope = { name: 'lib', version: '1' };
    const [first, second] = collector.events;
    expect(first).toMatchObject({ seconds: 1_700_000_000, nanos: 123_456_789, record: { log: 'x' } });
    expect(first?.metadata).toEqual({
      otlp: {
        timestamp: 1_700_000_000_123_456_789n,
        severity_text: 'WARN',
        attributes: { a: 1 },
        trace_id: '5b8efff798038103d269b633813fc60c',
      },
      resource,
      scope,
    });
    expect(second).toMatchObject({ seconds: 1_700_000_001, nanos: 0, record: { log: null } });
    expect(second?.metadata?.['resource']).toBe(first?.metadata?.['resource']);
  });

  it('have the time of arrival where there is none', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { port, collector } = await open();
    await send(port, { body: json({ body: { stringValue: 'x' } }) });
    expect(collector.events[0]?.seconds).toBeGreaterThanOrEqual(before);
  });

  it('have the tag of tag, of the path, or of a key', async () => {
    for (const [options, tags] of [
      [{ tag: 'app' }, ['app', 'app']],
      [{ tag_from_uri: 'off' }, ['test', 'test']],
      [{ tag_key: 'tag' }, ['mine', 'v1_logs']],
    ] as const) {
      const { port, collector } = await open({ options });
      await send(port, { type: PROTOBUF, body: request({ body: { tag: 'mine' } }, { body: 'x' }) });
      expect(collector.events.map(({ tag }) => tag)).toEqual(tags);
    }
  });
});

describe('answers by HTTP', () => {
  it('come when the records are safe', async () => {
    const { port, receipts, emitted, answered } = await open({ hold: true });
    const answer = send(port, { body: json({}) });
    await emitted(1);
    expect(answered(201)).toBe(0);
    receipts[0]?.release();
    expect((await answer).status).toBe(201);
  });

  it('are in the encoding of the request', async () => {
    const { port } = await open({ options: { successful_response_code: '200' } });
    const proto = await send(port, { type: PROTOBUF, body: request({}) });
    expect([proto.status, proto.headers['content-type'], proto.body]).toEqual([200, PROTOBUF, '']);
    const refused = await send(port, { type: PROTOBUF, body: Buffer.from([1, 2, 3]) });
    expect([refused.status, refused.headers['content-type']]).toEqual([400, PROTOBUF]);
    expect(decodeProtoStatus(Buffer.from(refused.body))).toMatchObject({
      code: 3,
      message: expect.stringMatching(/^The request is no valid protobuf/),
    });
    const text = await send(port, { body: '{}' });
    expect([text.status, JSON.parse(text.body)]).toEqual([
      400,
      { code: 3, message: 'The request has no resourceLogs.' },
    ]);
    const empty = await send(port, { type: PROTOBUF, body: Buffer.alloc(0) });
    expect(empty.status).toBe(200);
  });

  it.each<[string, Post, number, RegExp]>([
    ['metrics', { path: '/v1/metrics' }, 501, /Only logs are taken here, no metrics/],
    ['traces', { path: '/v1/traces?x=1' }, 501, /no traces/],
    ['profiles', { path: '/v1development/profiles' }, 501, /no profiles/],
    ['another path', { path: '/' }, 404, /logs go to \/v1\/logs/],
    ['another method', { method: 'GET' }, 405, /Only POST/],
    ['another type', { type: 'text/plain' }, 415, /Content-Type must be/],
    [
      'an unknown encoding',
      { headers: { 'content-encoding': 'br' }, body: brotliCompressSync('{}') },
      415,
      /Content-Encoding/,
    ],
    ['broken JSON', { body: '{"resourceLogs":[]' }, 400, /no valid JSON/],
    ['what is too large', { body: 'x'.repeat(5_000_000) }, 413, /buffer_max_size/],
  ])('refuse %s', async (_name, options, status, message) => {
    const { port, collector, answered } = await open();
    const answer = await send(port, options);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(message);
    expect(answered(status)).toBe(1);
    expect(collector.events).toEqual([]);
  });

  it('take compressed bodies, within the limit', async () => {
    const { port, collector } = await open({ options: { buffer_max_size: '10k' } });
    const body = request({ body: 'x'.repeat(5000) });
    for (const [encoding, compressed] of [
      ['gzip', gzipSync(body)],
      ['zstd', zstdCompressSync(body)],
    ] as const) {
      const headers = { 'content-encoding': encoding };
      expect((await send(port, { type: PROTOBUF, headers, body: compressed })).status).toBe(201);
      const bomb = gzipSync(Buffer.alloc(1_000_000));
      expect(
        (await send(port, { type: PROTOBUF, headers: { 'content-encoding': 'gzip' }, body: bomb })).status,
      ).toBe(413);
    }
    expect(collector.events).toHaveLength(2);
  });

  it('are 401 without the credentials, and 429 without room', async () => {
    const { port } = await open({ options: { token: 'secret' }, room: 20 });
    const denied = await send(port, { type: PROTOBUF, body: request({ body: 'x' }) });
    expect([denied.status, decodeProtoStatus(Buffer.from(denied.body))?.code]).toEqual([401, 16]);
    const headers = { authorization: 'Bearer secret' };
    const full = await send(port, { type: PROTOBUF, headers, body: request({ body: 'x'.repeat(50) }) });
    expect([full.status, full.headers['retry-after']]).toEqual([429, '1']);
  });
});

interface Reply {
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  body: Buffer;
}

const session = (port: number, secure = false): ClientHttp2Session => {
  const to = secure
    ? connect(`https://localhost:${port}`, { ca: readFileSync(tlsFile('ca.pem')) })
    : connect(`http://127.0.0.1:${port}`);
  to.on('error', () => {});
  onTestFinished(() => to.destroy());
  return to;
};

const frame = (message: Buffer, compressed = 0): Buffer => {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

function call(to: ClientHttp2Session, body: Buffer, headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const stream = to.request({
      ':method': 'POST',
      ':path': LOGS,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const reply: Reply = { headers: {}, trailers: {}, body: Buffer.alloc(0) };
    stream.on('response', (got) => (reply.headers = got));
    stream.on('trailers', (got) => (reply.trailers = got));
    stream.on('data', (piece: Buffer) => (reply.body = Buffer.concat([reply.body, piece])));
    stream.on('end', () => resolve(reply));
    stream.on('error', reject);
    stream.end(body);
  });
}

const status = ({ trailers }: Reply): [string, string] => [
  String(trailers['grpc-status']),
  decodeURIComponent(String(trailers['grpc-message'] ?? '')),
];

describe('gRPC', () => {
  it('is taken on the same port as HTTP/1.1, many calls on a connection', async () => {
    const { port, collector, answered } = await open();
    const to = session(port);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) => call(to, frame(request({ body: { n } })))),
    );
    for (const reply of replies) {
      expect(reply.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' });
      expect(reply.body).toEqual(Buffer.alloc(5));
      expect(status(reply)).toEqual(['0', '']);
    }
    expect((await send(port, { body: json({}) })).status).toBe(201);
    expect(collector.records.slice(0, 20).map((each) => (each as { n: number }).n)).toEqual(
      expect.arrayContaining(Array.from({ length: 20 }, (_, n) => n)),
    );
    expect([answered(200), answered(201)]).toEqual([20, 1]);
  });

  it('is taken by TLS, beside HTTP/1.1', async () => {
    const { port, collector } = await open({
      options: { tls: 'on', 'tls.crt_file': tlsFile('server.pem'), 'tls.key_file': tlsFile('server.key') },
    });
    expect(status(await call(session(port, true), frame(request({ body: 'tls' }))))).toEqual(['0', '']);
    const answer = await fetchTls(port, request({ body: 'old' }));
    expect(answer).toBe(201);
    expect(collector.records).toEqual([{ log: 'tls' }, { log: 'old' }]);
  });

  it('takes large messages, by both protocols', async () => {
    const { port, collector } = await open();
    const body = request({ body: 'x'.repeat(3_000_000) });
    expect((await send(port, { type: PROTOBUF, body })).status).toBe(201);
    expect(status(await call(session(port), frame(body)))[0]).toBe('0');
    for (const { record: got } of collector.events)
      expect((got as { log: string }).log).toHaveLength(3_000_000);
  });

  it('takes compressed messages, within the limit', async () => {
    const { port, collector, reserved } = await open({ options: { buffer_max_size: '10k' } });
    const to = session(port);
    const message = request({ body: 'x'.repeat(5000) });
    for (const [encoding, compressed] of [
      ['gzip', gzipSync(message)],
      ['zstd', zstdCompressSync(message)],
    ] as const)
      expect(status(await call(to, frame(compressed, 1), { 'grpc-encoding': encoding }))[0]).toBe('0');
    expect(collector.events).toHaveLength(2);
    const bomb = await call(to, frame(gzipSync(Buffer.alloc(1_000_000)), 1), { 'grpc-encoding': 'gzip' });
    expect(status(bomb)).toEqual(['8', expect.stringMatching(/larger than buffer_max_size/)]);
    expect(status(await call(to, frame(message, 1), { 'grpc-encoding': 'gzip' }))[0]).toBe('3');
    expect(status(await call(to, frame(message, 1), { 'grpc-encoding': 'br' }))[0]).toBe('12');
    expect(reserved()).toBe(0);
  });

  it('refuses by its own status', async () => {
    const { port, collector, answered } = await open({ options: { token: 'secret' }, room: 100_000 });
    const to = session(port);
    const granted = { authorization: 'Bearer secret' };
    expect(status(await call(to, frame(request({}))))).toEqual([
      '16',
      expect.stringMatching(/Authorization/),
    ]);
    expect(status(await call(to, frame(Buffer.from([1, 2])), granted))[0]).toBe('3');
    expect(status(await call(to, Buffer.from([0, 0, 0, 0, 9, 1]), granted))).toEqual([
      '3',
      'The request is not one message of gRPC.',
    ]);
    expect(status(await call(to, frame(Buffer.alloc(200_000)), granted))[0]).toBe('14');
    for (const [path, message] of [
      ['/opentelemetry.proto.collector.metrics.v1.MetricsService/Export', /no metrics/],
      ['/opentelemetry.proto.collector.trace.v1.TraceService/Export', /no trace/],
      ['/x.Y/Z', /Nothing is taken here/],
    ] as const)
      expect(status(await call(to, frame(request({})), { ...granted, ':path': path }))).toEqual([
        '12',
        expect.stringMatching(message),
      ]);
    expect([answered(401), answered(400), answered(429), answered(501)]).toEqual([1, 2, 1, 3]);
    expect(collector.events).toEqual([]);
    const plain = await send(port, { type: 'application/grpc', path: LOGS, headers: granted });
    expect(plain.status).toBe(505);
  });

  it('answers when the records are safe, or not in time', async () => {
    const { port, receipts, emitted, answered } = await open({
      hold: true,
      options: { ack_timeout: '50ms' },
    });
    const to = session(port);
    const late = await call(to, frame(request({ body: 'late' })));
    expect(status(late)).toEqual(['14', expect.stringMatching(/not safe yet/)]);
    const given = call(to, frame(request({ body: 'up' })));
    await emitted(2);
    receipts[1]?.giveUp();
    receipts[1]?.release();
    expect(status(await given)[0]).toBe('14');
    expect(answered(503)).toBe(2);
  });

  it('is cut off within a message without harm to others of its connection', async () => {
    const { port, collector, answered } = await open();
    const to = session(port);
    const cut = to.request({ ':method': 'POST', ':path': LOGS, 'content-type': 'application/grpc' });
    cut.on('error', () => {});
    cut.write(frame(Buffer.alloc(100)).subarray(0, 50));
    expect(status(await call(to, frame(request({ body: 'other' }))))[0]).toBe('0');
    cut.destroy(new Error('The test cuts it off.'));
    await expect.poll(() => answered('aborted')).toBe(1);
    expect(collector.events).toHaveLength(1);
  });

  it('waits for a body only so long, and ends the call with its answer', async () => {
    for (const options of [
      { 'net.io_timeout': '50ms' },
      { request_timeout: '50ms', 'http_server.idle_timeout': '200ms' },
    ]) {
      const { port, answered } = await open({ options });
      const slow = session(port).request({
        ':method': 'POST',
        ':path': LOGS,
        'content-type': 'application/grpc',
      });
      slow.on('error', () => {});
      let trailers: IncomingHttpHeaders = {};
      slow.on('trailers', (got) => (trailers = got));
      slow.write(Buffer.alloc(3));
      slow.resume();
      await new Promise((resolve) => {
        slow.once('close', resolve);
      });
      expect(trailers['grpc-status']).toBe('4');
      expect(answered(408)).toBe(1);
    }
  });

  it('is off where that is said', async () => {
    const { port } = await open({ options: { http2: 'off' } });
    await expect(call(session(port), frame(request({})))).rejects.toThrow(/./);
    expect((await send(port, { body: json({}) })).status).toBe(201);
  });

  it('lets calls end at a stop, and connections with it', async () => {
    const { port, input, receipts, emitted } = await open({ hold: true });
    const to = session(port);
    const waiting = call(to, frame(request({ body: 'x' })));
    await emitted(1);
    const closed = new Promise((resolve) => {
      to.once('close', resolve);
    });
    await input.stop();
    receipts[0]?.release();
    expect(status(await waiting)[0]).toBe('0');
    await closed;
    const second = await open({ hold: true });
    const cut = call(session(second.port), frame(request({ body: 'x' })));
    await second.emitted(1);
    await second.input.stop();
    await second.input.close?.();
    expect(status(await cut)).toEqual(['14', expect.stringMatching(/stopped before the records were safe/)]);
  });
});

describe('first bytes', () => {
  const get =
    'POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ';

  it('decide what is spoken, however slowly they come', async () => {
    const { port, collector } = await open();
    const body = json({ body: { stringValue: 'slow' } });
    const { socket, closed } = dial(port);
    socket.setNoDelay(true);
    for (const character of `${get}${body.length}\r\n\r\n`.slice(0, 6)) {
      socket.write(character);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    socket.write(`${`${get}${body.length}\r\n\r\n`.slice(6)}${body}`);
    expect(await closed).toMatch(/^HTTP\/1\.1 201/);
    expect(collector.records).toEqual([{ log: 'slow' }]);
  });

  it('that begin as HTTP/2 and are none end the connection', async () => {
    const { port } = await open();
    const { socket, closed } = dial(port);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense that is no frame at all, long enough to be read');
    await closed;
    expect((await send(port, { body: json({}) })).status).toBe(201);
  });

  it('that do not come in time end it too', async () => {
    const { port, context } = await open({ options: { 'net.accept_timeout': '50ms' } });
    const socket = connectTcp(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.resume();
    await new Promise((resolve) => {
      socket.once('close', resolve);
    });
    expect(
      context.metrics.counter('tailrace_input_connections_failed_total', '').sum({ name: 'input.0' }),
    ).toBe(1);
  });
});

async function fetchTls(port: number, body: Buffer): Promise<number> {
  const { request: httpsRequest } = await import('node:https');
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: 'localhost',
        port,
        path: '/v1/logs',
        method: 'POST',
        ca: readFileSync(tlsFile('ca.pem')),
        headers: { 'content-type': PROTOBUF, 'content-length': body.length },
        agent: false,
      },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
