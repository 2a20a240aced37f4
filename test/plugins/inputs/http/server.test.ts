import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import http from '../../../../plugins/inputs/http.ts';
import { ByteSink } from '../../../../src/codec/bytes.ts';
import { compressSnappy } from '../../../../src/codec/snappy.ts';
import { optionsOf } from '../../../contract/support.ts';
import { tlsFile } from '../../../net/servers.ts';
import { inputContext } from '../collecting.ts';
import { dial, open, send } from './harness.ts';
import type { Answer } from './harness.ts';

const errorOf = ({ body }: Answer): string => (JSON.parse(body) as { error: string }).error;

describe('answers', () => {
  it('come when the records are safe, and not before', async () => {
    const { port, receipts, emitted, answered, reserved } = await open({ hold: true });
    const answer = send(port, { body: '{"a":1}' });
    await emitted(1);
    expect(answered(201)).toBe(0);
    expect(reserved()).toBe(0);
    receipts[0]?.release();
    expect((await answer).status).toBe(201);
    expect(answered(201)).toBe(1);
  });

  it('are 503 when records were given up', async () => {
    const { port, receipts, emitted } = await open({ hold: true });
    const answer = send(port, { body: '{"a":1}' });
    await emitted(1);
    receipts[0]?.giveUp();
    receipts[0]?.release();
    const got = await answer;
    expect([got.status, got.headers['retry-after']]).toEqual([503, '1']);
    expect(errorOf(got)).toMatch(/given up/);
  });

  it('are 503 when it takes too long, and what settles later changes nothing', async () => {
    const { port, receipts, answered } = await open({ hold: true, options: { ack_timeout: '20ms' } });
    const got = await send(port, { body: '{"a":1}' });
    expect([got.status, got.headers['retry-after']]).toEqual([503, '1']);
    receipts[0]?.release();
    expect([answered(503), answered(201)]).toEqual([1, 0]);
  });

  it('are counted as aborted when the client does not wait', async () => {
    const { port, receipts, emitted, answered } = await open({ hold: true });
    const { socket, closed } = dial(port);
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
    );
    await emitted(1);
    socket.destroy();
    await closed;
    await expect.poll(() => answered('aborted')).toBe(1);
    receipts[0]?.release();
    expect(answered(201)).toBe(0);
  });

  it('come on one connection for many requests, pipelined ones in order', async () => {
    const { port, collector } = await open();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const ports = new Set<number | undefined>();
    agent.on('free', (socket: { localPort?: number }) => ports.add(socket.localPort));
    for (let n = 0; n < 50; n++) expect((await send(port, { body: `{"n":${n}}`, agent })).status).toBe(201);
    expect(ports.size).toBe(1);
    const { socket, closed } = dial(port);
    const one = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n';
    socket.write(`${one}\r\n{}${one}\r\n[}${one}connection: close\r\n\r\n{}`);
    expect((await closed).match(/^HTTP\/1\.1 \d+/gm)).toEqual([
      'HTTP/1.1 201',
      'HTTP/1.1 400',
      'HTTP/1.1 201',
    ]);
    expect(collector.events).toHaveLength(52);
  });

  it('close the connection where net.keepalive is off', async () => {
    const { port } = await open({ options: { 'net.keepalive': 'off' } });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    expect((await send(port, { body: '{}', agent })).headers.connection).toBe('close');
  });
});

describe('room', () => {
  it('is wanting: 429 before the body is asked for', async () => {
    const { port, collector, answered } = await open({ room: 10 });
    const { socket, closed } = dial(port);
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 11\r\n\r\n',
    );
    const text = await closed;
    expect(text).toMatch(/^HTTP\/1\.1 429 /);
    expect(text).toMatch(/retry-after: 1\r\n/i);
    expect((await send(port, { body: '{"a":12345}' })).status).toBe(429);
    expect((await send(port, { body: '{"a":1234}' })).status).toBe(201);
    expect(answered(429)).toBe(2);
    expect(collector.events).toHaveLength(1);
  });

  it('is reserved from before the body until the records are handed over', async () => {
    const { port, reserved, emitted } = await open();
    const { socket } = dial(port);
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n',
    );
    expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 100 /);
    expect(reserved()).toBe(7);
    socket.write('{"a":1}');
    await emitted(1);
    expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 201 /);
    expect(reserved()).toBe(0);
  });

  it('is taken in steps for chunked and compressed bodies, and given back when it ends', async () => {
    const { port, reserved, context } = await open({ room: 100_000 });
    const large = JSON.stringify({ a: 'x'.repeat(150_000) });
    expect((await send(port, { chunked: true, body: large })).status).toBe(429);
    expect(
      (
        await send(port, {
          headers: { 'content-encoding': 'gzip' },
          body: gzipSync(large),
        })
      ).status,
    ).toBe(429);
    expect((await send(port, { chunked: true, body: '{}' })).status).toBe(201);
    expect(reserved()).toBe(0);
    expect(context.log.lines.some(({ level }) => level === 'error')).toBe(false);
  });

  it('is given back when the client goes away within the body', async () => {
    const { port, reserved, answered } = await open();
    const { socket, closed } = dial(port);
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n',
    );
    await once(socket, 'data');
    expect(reserved()).toBe(7);
    socket.destroy();
    await closed;
    await expect.poll(() => [reserved(), answered('aborted')]).toEqual([0, 1]);
  });
});

function snappy(text: string): Buffer {
  const sink = new ByteSink();
  compressSnappy(Buffer.from(text), sink);
  return Buffer.from(sink.bytes);
}

describe('compression', () => {
  const body = JSON.stringify([{ a: 'é'.repeat(10_000) }, { n: 1 }]);

  it.each([
    ['gzip', gzipSync(body)],
    ['x-gzip', Buffer.concat([gzipSync(body.slice(0, 5000)), gzipSync(body.slice(5000))])],
    ['deflate', deflateSync(body)],
    ['zstd', zstdCompressSync(body)],
    ['snappy', snappy(body)],
    ['identity', Buffer.from(body)],
  ])('%s is taken', async (encoding, bytes) => {
    const { port, collector } = await open();
    expect(
      (
        await send(port, {
          body: bytes,
          headers: { 'content-encoding': encoding },
        })
      ).status,
    ).toBe(201);
    expect(collector.records).toEqual(JSON.parse(body));
  });

  it.each([
    ['gzip', gzipSync(Buffer.alloc(50_000_000))],
    ['deflate', deflateSync(Buffer.alloc(50_000_000))],
    ['zstd', zstdCompressSync(Buffer.alloc(50_000_000))],
    // What it says to be is believed before anything is allocated.
    ['snappy', Buffer.from([0x80, 0xe1, 0xeb, 0x17, 0, 97])],
  ])('a bomb of %s is 413', async (encoding, bytes) => {
    const { port, reserved } = await open({ room: 10_000_000 });
    const got = await send(port, {
      body: bytes,
      headers: { 'content-encoding': encoding },
    });
    expect([got.status, errorOf(got)]).toEqual([
      413,
      expect.stringMatching(/larger than buffer_max_size, 4000000 bytes|more than 1000 times its size/),
    ]);
    expect(reserved()).toBe(0);
  });

  it('is refused when it is broken, cut or unknown', async () => {
    const { port } = await open();
    const status = async (encoding: string, bytes: Buffer): Promise<number> =>
      (
        await send(port, {
          body: bytes,
          headers: { 'content-encoding': encoding },
        })
      ).status;
    expect(await status('gzip', Buffer.from(body))).toBe(400);
    expect(await status('gzip', gzipSync(body).subarray(0, -4))).toBe(400);
    expect(await status('zstd', zstdCompressSync(body).subarray(0, -4))).toBe(400);
    // A frame that claims a window of 128 MB.
    expect(await status('zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00]))).toBe(
      400,
    );
    expect(await status('snappy', Buffer.from(body))).toBe(400);
    expect(await status('snappy', snappy(body).subarray(0, -4))).toBe(400);
    expect(await status('snappy', Buffer.alloc(0))).toBe(400);
    expect(await status('br', Buffer.from(body))).toBe(415);
    expect(await status('gzip, gzip', Buffer.from(body))).toBe(415);
  });
});

describe('limits', () => {
  it('a body that expands to more than a thousand times its size is 413, also below the limit', async () => {
    const { port, collector, reserved } = await open();
    const ask = async (length: number) => {
      const body = zstdCompressSync(JSON.stringify({ a: 'x'.repeat(length) }));
      const { status, body: said } = await send(port, { body, headers: { 'content-encoding': 'zstd' } });
      return [status, said];
    };
    expect(await ask(3_000_000)).toEqual([413, expect.stringMatching(/more than 1000 times its size/)]);
    expect(reserved()).toBe(0);
    // A small one does no harm.
    expect((await ask(200_000))[0]).toBe(201);
    expect(collector.events).toHaveLength(1);
  });

  it('too large bodies are 413, announced or not', async () => {
    const { port, collector } = await open({ options: { buffer_max_size: '1k' } });
    const body = JSON.stringify({ a: 'x'.repeat(1000) });
    expect((await send(port, { body })).status).toBe(413);
    expect(
      (
        await send(port, {
          body,
          chunked: true,
        })
      ).status,
    ).toBe(413);
    expect((await send(port, { body: JSON.stringify({ a: 'x'.repeat(992) }) })).status).toBe(201);
    expect(collector.events).toHaveLength(1);
  });

  it('a client that does not stop behind its 413 is cut off', async () => {
    const { port } = await open({ options: { buffer_max_size: '1k' } });
    const { socket, closed } = dial(port);
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000000\r\n\r\n',
    );
    await once(socket, 'data');
    const flood = setInterval(() => socket.write('x'.repeat(500)), 1);
    onTestFinished(() => clearInterval(flood));
    await closed;
  });

  it('slow heads, bodies and requests are cut off', async () => {
    const { port, answered, reserved } = await open({
      options: { 'net.accept_timeout': '100ms', 'net.io_timeout': '50ms', request_timeout: '400ms' },
    });
    const slowHead = dial(port);
    slowHead.socket.write('POST / HTTP/1.1\r\nhost: x\r\n');
    const silent = dial(port);
    const slowBody = dial(port);
    const head =
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n';
    slowBody.socket.write(`${head}{`);
    const slowRequest = dial(port);
    slowRequest.socket.write(head);
    const drip = setInterval(() => slowRequest.socket.write(' '), 10);
    onTestFinished(() => clearInterval(drip));
    for (const { closed } of [slowHead, slowBody, slowRequest])
      expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
    await silent.closed;
    expect(answered(408)).toBeGreaterThanOrEqual(3);
    await expect.poll(reserved).toBe(0);
  });

  it('heads are bounded', async () => {
    const { port, answered } = await open();
    const { socket, closed } = dial(port);
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\nbig: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(await closed).toMatch(/^HTTP\/1\.1 431 /);
    expect(answered(431)).toBe(1);
  });

  it('connections are bounded, and refused ones counted', async () => {
    const { port, context } = await open({ options: { max_connections: '1' } });
    const first = dial(port);
    await once(first.socket, 'connect');
    const second = dial(port);
    expect(await second.closed).toBe('');
    const refused = context.metrics.counter('tailrace_input_connections_refused_total', '');
    expect(refused.sum({ name: 'input.0' })).toBe(1);
  });

  it('idle connections are closed', async () => {
    const { port } = await open({ options: { 'http_server.idle_timeout': '50ms' } });
    const { socket, closed } = dial(port);
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
    );
    expect(await closed).toMatch(/^HTTP\/1\.1 201 /);
  });
});

describe('refusals', () => {
  it('name what is wrong', async () => {
    const { port, context } = await open();
    expect(await send(port, { method: 'GET' })).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect((await send(port, { type: 'text/plain', body: 'x' })).status).toBe(415);
    const got = await send(port, { body: '{"a":' });
    expect([got.status, errorOf(got)]).toEqual([400, expect.stringMatching(/no valid JSON/)]);
    expect(context.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(3);
  });

  it('are told once of each kind, however many there are', async () => {
    const { port, context, answered } = await open();
    for (let n = 0; n < 5; n++) await send(port, { body: '{"a":' });
    await send(port, { type: 'text/plain', body: 'x' });
    expect([answered(400), answered(415)]).toEqual([5, 1]);
    const told = context.log.lines.filter(({ message }) => message === 'A request was not taken');
    expect(told.map(({ fields }) => [fields['status'], fields['requests']])).toEqual([
      [400, 1],
      [415, 1],
    ]);
  });

  it('credentials: bearer, basic, or either', async () => {
    const body = '{}';
    const token = await open({ options: { token: 'se cret' } });
    const without = await send(token.port, { body });
    expect([without.status, without.headers['www-authenticate']]).toEqual([401, 'Bearer realm="tailrace"']);
    expect((await send(token.port, { body, headers: { authorization: 'Bearer other' } })).status).toBe(401);
    expect((await send(token.port, { body, headers: { authorization: 'Bearer se cret' } })).status).toBe(201);
    const both = await open({ options: { token: 't', http_user: 'u', http_passwd: 'p' } });
    expect((await send(both.port, { body, auth: 'u:p' })).status).toBe(201);
    expect((await send(both.port, { body, auth: 'u:q' })).status).toBe(401);
    expect((await send(both.port, { body, headers: { authorization: 'Bearer t' } })).status).toBe(201);
    const said = JSON.stringify([token.context.log.lines, both.context.log.lines, without.body]);
    expect(said).not.toMatch(/se cret|Bearer other/);
  });

  it('a port that is taken fails the start with a sentence', async () => {
    const { port } = await open();
    const input = await http.create(optionsOf(http.options, { port: String(port) }), inputContext());
    await expect(input.start(() => undefined)).rejects.toThrow(
      `input.0: listening on 127.0.0.1:${port}: port ${port} is taken`,
    );
  });
});

describe('the end', () => {
  it('stop answers what is being read with 503 and waits for what is not settled', async () => {
    const { port, input, receipts, emitted } = await open({ hold: true });
    const waiting = send(port, { body: '{}' });
    await emitted(1);
    const reading = dial(port);
    reading.socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n',
    );
    await once(reading.socket, 'data');
    await input.stop();
    expect(await reading.closed).toMatch(/HTTP\/1\.1 503 /);
    await expect(send(port, { body: '{}' })).rejects.toThrow(/ECONNREFUSED/);
    receipts[0]?.release();
    expect(await waiting).toMatchObject({ status: 201, headers: { connection: 'close' } });
  });

  it('close answers the rest with 503', async () => {
    const { port, input, emitted } = await open({ hold: true });
    const waiting = send(port, { body: '{}' });
    await emitted(1);
    await input.stop();
    await input.close?.();
    expect((await waiting).status).toBe(503);
  });

  it('comes before the start, too', async () => {
    const input = await http.create(optionsOf(http.options, { port: '0' }), inputContext());
    await input.stop();
    await input.close?.();
  });
});

describe('TLS', () => {
  const files = { tls: 'on', 'tls.crt_file': tlsFile('server.pem'), 'tls.key_file': tlsFile('server.key') };

  function sendTls(port: number, more: object = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        {
          host: 'localhost',
          port,
          method: 'POST',
          agent: false,
          ca: readFileSync(tlsFile('ca.pem')),
          headers: { 'content-type': 'application/json' },
          ...more,
        },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      request.on('error', reject);
      request.end('{"a":1}');
    });
  }

  it('takes encrypted requests alone', async () => {
    const { port, collector, context } = await open({ options: files });
    expect(await sendTls(port)).toBe(201);
    await expect(send(port, { body: '{}' })).rejects.toThrow(/hang up|ECONNRESET/);
    expect(collector.records).toEqual([{ a: 1 }]);
    await expect(sendTls(port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow(
      /protocol|alert|version/i,
    );
    expect(
      context.metrics.counter('tailrace_input_connections_failed_total', '').sum({ name: 'input.0' }),
    ).toBeGreaterThan(0);
  });

  it('asks for certificates of clients', async () => {
    const { port, collector } = await open({
      options: { ...files, 'tls.verify_client_cert': 'on', 'tls.ca_file': tlsFile('ca.pem') },
    });
    await expect(sendTls(port)).rejects.toThrow(/certificate required|ECONNRESET|EPIPE/);
    const cert = readFileSync(tlsFile('client.pem'));
    const key = readFileSync(tlsFile('client-encrypted.key'));
    expect(await sendTls(port, { cert, key, passphrase: 'secret' })).toBe(201);
    expect(collector.records).toEqual([{ a: 1 }]);
  });

  it('takes a renewed certificate', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tailrace-http-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const [crt, key] = [join(directory, 'crt.pem'), join(directory, 'key.pem')];
    copyFileSync(tlsFile('server.pem'), crt);
    copyFileSync(tlsFile('server.key'), key);
    const { port } = await open({ options: { tls: 'on', 'tls.crt_file': crt, 'tls.key_file': key } });
    expect(await sendTls(port)).toBe(201);
    copyFileSync(tlsFile('other.pem'), crt);
    copyFileSync(tlsFile('other.key'), key);
    // Files are looked at once a second, with a connection.
    await expect
      .poll(() => sendTls(port, { servername: 'other.example' }).catch(() => 0), { timeout: 5000 })
      .toBe(201);
  });
});

describe('anything', () => {
  it('as body ends in an answer of ours', async () => {
    const { port, collector, context, reserved } = await open();
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const types = [
      'application/json',
      'application/x-ndjson',
      'application/msgpack',
      'application/x-www-form-urlencoded',
      'x',
    ];
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.array(fc.json(), { maxLength: 5 }).map((texts) => Buffer.from(texts.join('\n'))),
      fc
        .string({ unit: fc.constantFrom(...'{ } [ ] " , : 0 \\ \n & = %'.split(' ')) })
        .map((text) => Buffer.from(text)),
    );
    const encoding = fc.constantFrom('', '', 'gzip', 'deflate', 'zstd');
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.constantFrom(...types),
        encoding,
        fc.webPath(),
        async (bytes, type, name, path) => {
          const headers = { 'content-length': bytes.length, 'content-encoding': name };
          const { status } = await send(port, {
            body: bytes,
            type,
            headers,
            agent,
            path: path === '' ? '/' : path,
          });
          expect([201, 400, 415]).toContain(status);
        },
      ),
      { numRuns: 500 },
    );
    expect(reserved()).toBe(0);
    expect(collector.records.every((record) => typeof record === 'object')).toBe(true);
    expect(context.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('as a request leaves the listener alive', async () => {
    const { port, context } = await open({
      options: { 'net.accept_timeout': '50ms', 'net.io_timeout': '50ms', request_timeout: '100ms' },
    });
    const line = fc.constantFrom(
      'POST / HTTP/1.1\r\n',
      'host: x\r\n',
      'content-length: 5\r\n',
      'content-length: -1\r\n',
      'transfer-encoding: chunked\r\n',
      'content-type: application/json\r\n',
      'expect: 100-continue\r\n',
      'upgrade: h2c\r\nconnection: upgrade\r\n',
      '\r\n',
      '2\r\n{}\r\n0\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'CONNECT x:1 HTTP/1.1\r\n',
      '{"a":',
    );
    const bytes = fc.array(fc.oneof(line, fc.string({ unit: 'binary', maxLength: 20 })), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(bytes, async (pieces) => {
        const { socket, closed } = dial(port);
        socket.end(pieces.join(''), 'latin1');
        await closed;
      }),
      { numRuns: 60 },
    );
    expect((await send(port, { body: '{}' })).status).toBe(201);
    expect(context.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

it('a client that asks before it sends gets its word', async () => {
  const { port } = await open();
  const request = httpRequest({
    port,
    host: '127.0.0.1',
    method: 'POST',
    headers: { expect: '100-continue', 'content-type': 'application/json', 'content-length': 2 },
  });
  request.flushHeaders();
  await once(request, 'continue');
  request.end('{}');
  const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  expect(response.statusCode).toBe(201);
});
