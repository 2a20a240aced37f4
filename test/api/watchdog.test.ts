/** The thread that serves, with an API behind it that is scripted; a main loop that stands still is in test/faults/stall.test.ts. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { FrontError, Watchdog } from '../../src/api/watchdog.ts';
import type { WatchdogSite } from '../../src/api/watchdog.ts';
import type { FrontRequest } from '../../src/api/watchdog-messages.ts';
import type { Logger } from '../../src/telemetry/log.ts';

const open: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent };

async function start(site: Partial<WatchdogSite> = {}): Promise<{ watchdog: Watchdog; url: string }> {
  const watchdog = await Watchdog.start({
    timeout: 0,
    target: { level: 'off', file: undefined, pretty: false, color: false },
    log: silent,
    site: {
      host: '127.0.0.1',
      port: 0,
      ready: () => ({ ready: true, reasons: [] }),
      answer: () => Promise.resolve({ status: 200, headers: {}, body: 'answered' }),
      ...site,
    },
  });
  open.push(watchdog);
  return { watchdog, url: `http://127.0.0.1:${watchdog.port}` };
}

/** A site that answers with what it was asked. */
function echo(): { site: Partial<WatchdogSite>; asked: FrontRequest[] } {
  const asked: FrontRequest[] = [];
  const site: Partial<WatchdogSite> = {
    answer(request) {
      asked.push(request);
      return Promise.resolve({
        status: 202,
        headers: { 'content-type': 'text/x', 'x-one': 'two', connection: 'close' },
        body: new Uint8Array([104, 105]),
      });
    },
  };
  return { site, asked };
}

describe('requests', () => {
  it('go to the main thread as they came, and its answers back', async () => {
    const { site, asked } = echo();
    const { url } = await start(site);
    const response = await fetch(`${url}/a/b?c=d%20e`, {
      method: 'PUT',
      body: 'körper',
      headers: { 'x-a': 'b' },
    });
    expect([response.status, await response.text()]).toEqual([202, 'hi']);
    expect(response.headers.get('content-type')).toBe('text/x');
    expect(response.headers.get('x-one')).toBe('two');
    // The connection is the thread's own affair.
    expect(response.headers.get('connection')).toBe('keep-alive');
    const [request] = asked;
    expect(request).toMatchObject({ method: 'PUT', url: '/a/b?c=d%20e', address: '127.0.0.1' });
    expect(request?.headers).toMatchObject({ 'x-a': 'b', host: expect.stringContaining('127.0.0.1') });
    expect(Buffer.from(request?.body ?? []).toString()).toBe('körper');
  });

  it('bring the address of the socket, whatever they claim', async () => {
    const { site, asked } = echo();
    const { url } = await start(site);
    const headers = {
      'x-forwarded-for': '10.9.9.9',
      'x-real-ip': '10.9.9.9',
      forwarded: 'for=10.9.9.9',
      'remote-address': '10.9.9.9',
      address: '10.9.9.9',
    };
    await (await fetch(`${url}/`, { headers })).text();
    expect(asked.map(({ address }) => address)).toEqual(['127.0.0.1']);
  });

  it('with more than 64 KB are refused, and never get there', async () => {
    const { site, asked } = echo();
    const { url } = await start(site);
    const post = (size: number) => fetch(`${url}/`, { method: 'POST', body: 'x'.repeat(size) });
    expect((await post(64 * 1024)).status).toBe(202);
    expect((await post(64 * 1024 + 1)).status).toBe(413);
    expect(asked).toHaveLength(1);
  });

  it('that break the protocol are refused', async () => {
    const { url } = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket
      .setEncoding('utf8')
      .write('GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
    let answer = '';
    socket.on('data', (text: string) => {
      answer += text;
    });
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('whose caller has gone are forgotten', async () => {
    let release: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { url } = await start({
      async answer({ url: path }) {
        if (path === '/slow') await gone;
        return { status: 200, headers: {}, body: path };
      },
    });
    const slow = httpRequest(`${url}/slow`).on('error', () => {});
    slow.end();
    await once(slow, 'socket');
    expect(await (await fetch(`${url}/one`)).text()).toBe('/one');
    slow.destroy();
    release();
    expect(await (await fetch(`${url}/two`)).text()).toBe('/two');
  });
});

describe('/ready', () => {
  it('is what the main thread says, and what it said last where it does not answer in time', async () => {
    const never = new Promise<never>(() => undefined);
    let ready = true;
    const { url } = await start({
      ready: () => (ready ? { ready: true, reasons: [] } : { ready: false, reasons: ['es: down'] }),
      answer: () => never,
    });
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    ready = false;
    let response = await fetch(`${url}/ready?x`);
    while (response.status === 200) response = await fetch(`${url}/ready/`);
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'not ready', reasons: ['es: down'] },
    ]);
  });
});

describe('the thread', () => {
  it('says that its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    open.push({ close: () => void other.close() });
    const { port } = other.address() as AddressInfo;
    const failure = await start({ port }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(FrontError);
    expect((failure as FrontError).code).toBe('EADDRINUSE');
  });

  it('frees its port when it is closed', async () => {
    const { watchdog } = await start();
    const { port } = watchdog;
    await watchdog.close();
    await start({ port: port ?? 0 });
  });

  it('is replaced when it dies, on the same port', async () => {
    const { watchdog, url } = await start();
    await watchdog['worker']?.terminate();
    const again = async (): Promise<string> => (await fetch(`${url}/`)).text();
    let text: string | undefined;
    while (text === undefined) text = await again().catch(() => undefined);
    expect(text).toBe('answered');
  });

  it('without a site has no port', async () => {
    const watchdog = await Watchdog.start({
      timeout: 60,
      target: { level: 'off', file: undefined, pretty: false, color: false },
      log: silent,
    });
    open.push(watchdog);
    expect(watchdog.port).toBeUndefined();
  });
});
