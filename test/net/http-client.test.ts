import { copyFileSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createSecureServer as createHttp2TlsServer, createServer as createHttp2Server } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RetryableError } from '../../src/event/outcome.ts';
import { HttpClient } from '../../src/net/http-client.ts';
import type { HttpClientOptions, HttpResponse } from '../../src/net/http-client.ts';
import type { TlsSettings } from '../../src/net/tls.ts';
import { startProxy, startServer, tlsFile } from './servers.ts';
import type { Answer, ServerOptions, TestServer } from './servers.ts';

const BASE: Omit<HttpClientOptions, 'port'> = {
  host: '127.0.0.1',
  connectTimeoutMs: 5000,
  responseTimeoutMs: 10_000,
  readIdleTimeoutMs: 0,
  keepAlive: true,
  keepAliveIdleMs: 30_000,
  maxRequestsPerConnection: 0,
  maxConnections: 0,
  ignoreProxyEnvironment: true,
};

const VERIFY: TlsSettings = { verify: true, verifyHostname: true, caFile: tlsFile('ca.pem') };

describe('HttpClient', () => {
  let cleanUps: (() => Promise<void> | void)[];

  beforeEach(() => {
    cleanUps = [];
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const server = async (answer?: Answer, options?: ServerOptions): Promise<TestServer> => {
    const started = await startServer(answer, options);
    cleanUps.push(() => started.close());
    return started;
  };
  const client = async (options: Partial<HttpClientOptions> & { port: number }): Promise<HttpClient> => {
    const created = await HttpClient.create({ ...BASE, ...options });
    cleanUps.push(() => created.close());
    return created;
  };
  const post = (to: HttpClient, signal = new AbortController().signal): Promise<HttpResponse> =>
    to.request({
      method: 'POST',
      path: '/in?x=1',
      headers: { 'x-test': ['a', 'b'] },
      body: Buffer.from('body'),
      signal,
    });

  it('speaks HTTP/2, unencrypted or as TLS agrees, and gives trailers out', async () => {
    const answer = (stream: ServerHttp2Stream): void => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-behind': 'yes' }));
      stream.end('h2');
    };
    const tls = { cert: readFileSync(tlsFile('server.pem')), key: readFileSync(tlsFile('server.key')) };
    for (const [h2, options] of [
      [createHttp2Server(), { http2: 'only' }],
      [createHttp2TlsServer(tls), { http2: 'offer', tls: VERIFY, host: 'localhost' }],
      [createHttp2TlsServer(tls), { http2: 'only', tls: VERIFY, host: 'localhost' }],
    ] as const) {
      h2.on('stream', answer);
      await new Promise<void>((resolve) => {
        h2.listen(0, 'localhost', resolve);
      });
      cleanUps.push(() => void h2.close());
      const to = await client({ host: 'localhost', ...options, port: (h2.address() as AddressInfo).port });
      expect(await post(to)).toMatchObject({ status: 200, text: 'h2', trailers: { 'x-behind': 'yes' } });
      expect((await post(to)).text).toBe('h2');
    }
    const old = await server();
    expect((await post(await client({ port: old.port, http2: 'offer' }))).status).toBe(200);
    await expect(post(await client({ port: old.port, http2: 'only' }))).rejects.toThrow(
      /the answer is not HTTP\/2: is the port right.*ERR_HTTP2_ERROR/,
    );
  });

  it('sends a request and returns status, headers and text', async () => {
    const { port, requests } = await server((_request, response) => {
      response.writeHead(202, { 'x-answer': 'yes' }).end('taken');
    });
    const response = await post(await client({ port }));
    expect(response).toMatchObject({ status: 202, text: 'taken', headers: { 'x-answer': 'yes' } });
    expect(requests[0]).toMatchObject({ method: 'POST', url: '/in?x=1', body: Buffer.from('body') });
    expect(requests[0]?.headers).toMatchObject({ host: `127.0.0.1:${port}`, 'content-length': '4' });
    expect(requests[0]?.rawHeaders.filter((text) => text === 'x-test')).toHaveLength(2);
  });

  it('uses a connection again, or not where keep-alive is off', async () => {
    const kept = await server();
    const keeping = await client({ port: kept.port });
    for (let n = 0; n < 10; n++) await post(keeping);
    // The pool may open a second one while the first has not quite finished.
    expect(kept.connections).toBeLessThan(3);

    const closed = await server();
    const closing = await client({ port: closed.port, keepAlive: false });
    for (let n = 0; n < 3; n++) await post(closing);
    expect(closed.connections).toBe(3);
  });

  it('takes a new connection after the given number of requests', async () => {
    const started = await server();
    const to = await client({ port: started.port, maxRequestsPerConnection: 2, maxConnections: 1 });
    for (let n = 0; n < 4; n++) await post(to);
    expect(started.connections).toBe(2);
  });

  it('reaches an IPv6 address', async (test) => {
    let started: TestServer;
    try {
      started = await server(undefined, { host: '::1' });
    } catch {
      test.skip('there is no IPv6 here');
      return;
    }
    await post(await client({ port: started.port, host: '::1' }));
    expect(started.requests[0]?.headers.host).toBe(`[::1]:${started.port}`);
  });

  it('follows no redirect', async () => {
    const { port, requests } = await server((_request, response) => {
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect((await post(await client({ port }))).status).toBe(307);
    expect(requests).toHaveLength(1);
  });

  it('keeps the first 64 KiB of an answer and the connection', async () => {
    const started = await server((_request, response) => {
      response.end('x'.repeat(200_000));
    });
    const to = await client({ port: started.port, maxConnections: 1 });
    expect((await post(to)).text).toHaveLength(65_536);
    await post(to);
    expect(started.connections).toBe(1);
  });

  it('ends an endless answer', async () => {
    const { port } = await server((_request, response) => {
      const pour = (): void => {
        while (response.write('x'.repeat(65_536)));
      };
      response.on('drain', pour);
      response.on('error', () => {});
      pour();
    });
    const response = await post(await client({ port }));
    expect(response.status).toBe(200);
    expect(response.text).toHaveLength(65_536);
  });

  describe('failures', () => {
    const failureOf = async (request: Promise<unknown>): Promise<RetryableError> => {
      const error = await request.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(RetryableError);
      return error as RetryableError;
    };

    it('says that nobody listens', async () => {
      const started = await server();
      const { port } = started;
      await started.close();
      cleanUps.pop();
      const { message } = await failureOf(post(await client({ port })));
      expect(message).toBe(
        `http://127.0.0.1:${port}: the connection was refused: is it running, and is the port right? (ECONNREFUSED)`,
      );
    });

    it('says that the name is unknown', async () => {
      const { message } = await failureOf(post(await client({ port: 80, host: 'does-not-exist.invalid' })));
      expect(message).toMatch(
        /^http:\/\/does-not-exist\.invalid: the host name (is unknown|cannot be looked up)/,
      );
    });

    it('says that the connection was cut', async () => {
      const { port } = await server((_request, response) => response.destroy());
      expect((await failureOf(post(await client({ port })))).message).toMatch(
        /was closed before an answer came|was cut off/,
      );
    });

    it('gives up on an answer that never comes', async () => {
      const { port } = await server(() => {});
      const { message } = await failureOf(post(await client({ port, responseTimeoutMs: 50 })));
      expect(message).toMatch(/no whole answer within 0\.05 s/);
    });

    it('gives up on an answer that drips', async () => {
      const { port } = await server((_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write('.'), 10);
        response.on('close', () => clearInterval(timer));
      });
      expect((await failureOf(post(await client({ port, responseTimeoutMs: 100 })))).message).toMatch(
        /no whole answer/,
      );
    });

    it('gives up on an answer that stalls', async () => {
      const { port } = await server((_request, response) => {
        response.writeHead(200);
        response.write('.');
      });
      expect((await failureOf(post(await client({ port, readIdleTimeoutMs: 50 })))).message).toMatch(
        /stalled/,
      );
    });

    it('stops at once when the signal fires, with its reason', async () => {
      const stop = new AbortController();
      const reason = new Error('The test stops.');
      const { port } = await server(() => stop.abort(reason));
      await expect(post(await client({ port }), stop.signal)).rejects.toBe(reason);
    });

    it('says that it is no HTTP', async () => {
      const odd = createServer((socket) => socket.resume().end('220 mail.example.com ESMTP\r\n'));
      odd.listen(0, '127.0.0.1');
      await new Promise((resolve) => odd.once('listening', resolve));
      cleanUps.push(() => new Promise((resolve) => odd.close(() => resolve())));
      const { message } = await failureOf(post(await client({ port: (odd.address() as AddressInfo).port })));
      expect(message).toMatch(/^http:\/\/127/);
    });
  });

  describe('TLS', () => {
    const failure = async (
      tls: TlsSettings,
      certificate: string,
      options: Partial<HttpClientOptions> = {},
    ): Promise<string> => {
      const { port } = await server(undefined, { tls: { certificate } });
      const error: unknown = await post(await client({ port, tls, ...options })).catch(
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(RetryableError);
      return (error as Error).message;
    };

    it('verifies certificate and host name', async () => {
      const { port } = await server(undefined, { tls: { certificate: 'server' } });
      expect((await post(await client({ port, tls: VERIFY }))).status).toBe(200);
      expect((await post(await client({ port, tls: VERIFY, host: 'localhost' }))).status).toBe(200);
    });

    it('refuses an unknown authority', async () => {
      expect(await failure({ verify: true, verifyHostname: true }, 'server')).toMatch(
        /unknown authority: set tls\.ca_file/,
      );
    });

    it('refuses a certificate for another name', async () => {
      expect(await failure(VERIFY, 'other')).toMatch(/another host name: set tls\.vhost/);
    });

    it('checks against vhost, or not at all, where that is written', async () => {
      const { port } = await server(undefined, { tls: { certificate: 'other' } });
      expect((await post(await client({ port, tls: { ...VERIFY, vhost: 'other.example' } }))).status).toBe(
        200,
      );
      expect((await post(await client({ port, tls: { ...VERIFY, verifyHostname: false } }))).status).toBe(
        200,
      );
      expect((await post(await client({ port, tls: { verify: false, verifyHostname: false } }))).status).toBe(
        200,
      );
    });

    it('shows its own certificate', async () => {
      const { port } = await server(undefined, { tls: { certificate: 'server', clientCertificate: true } });
      const own = {
        ...VERIFY,
        crtFile: tlsFile('client.pem'),
        keyFile: tlsFile('client-encrypted.key'),
        keyPasswd: 'secret',
      };
      expect((await post(await client({ port, tls: own }))).status).toBe(200);
      await expect(post(await client({ port, tls: VERIFY }))).rejects.toThrow(RetryableError);
    });

    it('says that the other side speaks no TLS', async () => {
      const { port } = await server();
      const error: unknown = await post(await client({ port, tls: VERIFY })).catch(
        (reason: unknown) => reason,
      );
      expect((error as Error).message).toMatch(/does not speak TLS/);
    });

    it('holds to the versions', async () => {
      expect(await failure({ ...VERIFY, maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }, 'server')).toMatch(
        /^https:/,
      );
    });

    it('names a file that cannot be used', async () => {
      await expect(client({ port: 1, tls: { ...VERIFY, caFile: '/does/not/exist.pem' } })).rejects.toThrow(
        /tls\.ca_file \/does\/not\/exist\.pem/,
      );
      const own = { ...VERIFY, crtFile: tlsFile('client.pem'), keyFile: tlsFile('server.key') };
      await expect(client({ port: 1, tls: own })).rejects.toThrow(
        /Setting up TLS with .*client\.pem.*belong together/,
      );
    });

    it('reads changed files again', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'tailrace-tls-'));
      cleanUps.push(() => rmSync(directory, { recursive: true }));
      const caFile = join(directory, 'ca.pem');
      copyFileSync(tlsFile('other.pem'), caFile);
      const { port } = await server(undefined, { tls: { certificate: 'server' } });
      const to = await client({ port, tls: { ...VERIFY, caFile } });
      await expect(post(to)).rejects.toThrow(/unknown authority/);
      copyFileSync(tlsFile('ca.pem'), caFile);
      utimesSync(caFile, 1, 1);
      expect((await post(to)).status).toBe(200);
      writeFileSync(caFile, 'not PEM');
      await expect(post(to)).rejects.toThrow(/Reading tls\.ca_file .*ca\.pem: it holds no certificate/);
    });
  });

  describe('proxies', () => {
    it('goes through an HTTP proxy, with its credentials', async () => {
      const { port } = await server();
      const proxy = await startProxy('user:pa ss');
      cleanUps.push(() => proxy.close());
      const to = await client({ port, proxy: `http://user:pa%20ss@127.0.0.1:${proxy.port}` });
      expect((await post(to)).status).toBe(200);
      expect(proxy.requests[0]).toMatchObject({
        url: `http://127.0.0.1:${port}/in?x=1`,
        body: Buffer.from('body'),
      });
      expect(to.place).toBe(`http://127.0.0.1:${port} (through http://127.0.0.1:${proxy.port})`);
    });

    it('tunnels TLS through the proxy', async () => {
      const { port, requests } = await server(undefined, { tls: { certificate: 'server' } });
      const proxy = await startProxy();
      cleanUps.push(() => proxy.close());
      const to = await client({ port, tls: VERIFY, proxy: `http://127.0.0.1:${proxy.port}` });
      expect((await post(to)).status).toBe(200);
      expect(proxy.tunnels).toEqual([`127.0.0.1:${port}`]);
      expect(requests).toHaveLength(1);
    });

    it('reaches the proxy by TLS, and verifies it by itself', async () => {
      const { port, requests } = await server();
      const behind = await server(undefined, { tls: { certificate: 'server' } });
      const proxy = await startProxy(undefined, 'server');
      cleanUps.push(() => proxy.close());
      const through = { proxy: `https://localhost:${proxy.port}`, ignoreProxyEnvironment: true };
      await expect(post(await client({ port, ...through }))).rejects.toThrow(/unknown authority/);
      const off = { verify: false, verifyHostname: false };
      expect((await post(await client({ port, ...through, proxyTls: off }))).status).toBe(200);
      expect((await post(await client({ port, ...through, proxyTls: VERIFY }))).status).toBe(200);
      expect([proxy.requests.length, requests.length]).toEqual([2, 0]);
      const tunnelled = await client({ port: behind.port, ...through, tls: VERIFY, proxyTls: VERIFY });
      expect((await post(tunnelled)).status).toBe(200);
      expect([proxy.tunnels, behind.requests.length]).toEqual([[`127.0.0.1:${behind.port}`], 1]);
      await expect(
        client({ port, ...through, proxyTls: { ...VERIFY, keyPrefix: 'tls.proxy.', caFile: '/none' } }),
      ).rejects.toThrow(/tls\.proxy\.ca_file/);
    });

    it('says what the proxy wants', async () => {
      const { port } = await server(undefined, { tls: { certificate: 'server' } });
      const proxy = await startProxy('user:password');
      cleanUps.push(() => proxy.close());
      const wrong = `http://user:wrong@127.0.0.1:${proxy.port}`;
      const error: unknown = await post(await client({ port, tls: VERIFY, proxy: wrong })).catch(
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(RetryableError);
      expect((error as Error).message).toMatch(/the proxy wants credentials.*\(407\)/);
      expect((error as Error).message).not.toContain('wrong');
      await expect(post(await client({ port, proxy: wrong }))).rejects.toThrow(/the proxy wants credentials/);
    });

    it('takes the proxy of the environment, less its exceptions', async () => {
      const { port, requests } = await server();
      const proxy = await startProxy();
      cleanUps.push(() => proxy.close());
      vi.stubEnv('http_proxy', '');
      vi.stubEnv('no_proxy', '');
      vi.stubEnv('NO_PROXY', '');
      vi.stubEnv('HTTP_PROXY', `127.0.0.1:${proxy.port}`);
      await post(await client({ port, ignoreProxyEnvironment: false }));
      expect([proxy.requests.length, requests.length]).toEqual([1, 0]);
      await post(await client({ port, ignoreProxyEnvironment: true }));
      vi.stubEnv('NO_PROXY', 'example.com, 127.0.0.1');
      await post(await client({ port, ignoreProxyEnvironment: false }));
      expect([proxy.requests.length, requests.length]).toEqual([1, 2]);
    });
  });
});
