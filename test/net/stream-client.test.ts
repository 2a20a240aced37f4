import { constants } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetryableError } from '../../src/event/outcome.ts';
import { StreamClient } from '../../src/net/stream-client.ts';
import type { StreamClientOptions } from '../../src/net/stream-client.ts';
import type { StreamConnection } from '../../src/net/stream-connection.ts';
import { tlsFile } from './servers.ts';

const BASE: Omit<StreamClientOptions, 'to'> = {
  connectTimeoutMs: 5000,
  ioTimeoutMs: 0,
  keepAlive: true,
  keepAliveIdleMs: 30_000,
  maxUses: 0,
};
const TLS = { verify: true, verifyHostname: true, caFile: tlsFile('ca.pem'), vhost: 'localhost' };
const noAbort = new AbortController().signal;

/** Answers each line with the same in capitals; `quit` closes the connection. */
function echo(socket: Socket): void {
  socket.on('error', () => {});
  socket.setEncoding('utf8').on('data', (text: string) => {
    if (text.startsWith('quit')) socket.end();
    else if (!text.startsWith('silence')) socket.write(text.toUpperCase());
  });
}

describe('StreamClient', () => {
  let cleanUps: (() => Promise<unknown> | void)[];
  let sockets: Socket[];

  beforeEach(() => {
    cleanUps = [];
    sockets = [];
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const listen = async (
    server: Server,
    to: { path: string } | { port: 0; host: string },
  ): Promise<Server> => {
    server.on('connection', (socket: Socket) => sockets.push(socket));
    server.listen(to);
    await once(server, 'listening');
    cleanUps.push(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    });
    return server;
  };
  const onPort = async (server: Server): Promise<{ host: string; port: number }> => {
    const { port } = (await listen(server, { host: '127.0.0.1', port: 0 })).address() as AddressInfo;
    return { host: '127.0.0.1', port };
  };
  const client = (options: Partial<StreamClientOptions> & Pick<StreamClientOptions, 'to'>): StreamClient => {
    const created = new StreamClient({ ...BASE, ...options });
    cleanUps.push(() => created.close());
    return created;
  };
  const ask = (to: StreamClient, text: string, signal = noAbort): Promise<string> =>
    to.use(signal, async (connection) => {
      await connection.write(text);
      return (await connection.read()).toString();
    });

  it('writes, reads answers, and uses a connection again', async () => {
    const to = client({ to: await onPort(createServer(echo)) });
    expect(await ask(to, 'a')).toBe('A');
    expect(await ask(to, 'b')).toBe('B');
    expect(sockets).toHaveLength(1);
  });

  it('takes a connection per attempt that is under way, and no more than keepalive allows again', async () => {
    const to = client({ to: await onPort(createServer(echo)), maxUses: 2 });
    expect(await Promise.all([ask(to, 'a'), ask(to, 'b')])).toEqual(['A', 'B']);
    expect(sockets).toHaveLength(2);
    expect(await ask(to, 'c')).toBe('C');
    expect(await ask(to, 'd')).toBe('D');
    expect(sockets).toHaveLength(2);
    expect(await ask(to, 'e')).toBe('E');
    expect(sockets).toHaveLength(3);
  });

  it('keeps to the number of connections that it may have at once, first come first served', async () => {
    const to = client({ to: await onPort(createServer(echo)), maxConnections: 1 });
    expect(await Promise.all(['a', 'b', 'c'].map((text) => ask(to, text)))).toEqual(['A', 'B', 'C']);
    expect(sockets).toHaveLength(1);
    const controller = new AbortController();
    const silent = ask(to, 'silence', controller.signal);
    const impatient = new AbortController();
    const waiting = ask(to, 'd', impatient.signal);
    const behind = ask(to, 'e');
    impatient.abort(new Error('No time.'));
    await expect(waiting).rejects.toThrow('No time.');
    controller.abort(new Error('Enough.'));
    await expect(silent).rejects.toThrow('Enough.');
    expect(await behind).toBe('E');
  });

  it('hears that a connection was cut off where the protocol has no answers', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.resetAndDestroy());
    });
    const to = client({ to: await onPort(server), unanswered: true });
    const write = (): Promise<void> =>
      to.use(noAbort, (used) => used.writeUnanswered(Buffer.alloc(10_000_000)));
    await expect(write()).rejects.toThrow(/^tcp:\/\/127\.0\.0\.1:\d+: the connection was cut off/);
  });

  it('connects anew every time without keepalive', async () => {
    const to = client({ to: await onPort(createServer(echo)), keepAlive: false });
    await ask(to, 'a');
    await ask(to, 'b');
    expect(sockets).toHaveLength(2);
  });

  it('does not use an idle connection that the other side has closed', async () => {
    const to = client({ to: await onPort(createServer(echo)) });
    const connection = await to.use(noAbort, async (used) => {
      await used.write('a');
      await used.read();
      return used;
    });
    sockets[0]?.destroy();
    await connection.gone;
    expect(await ask(to, 'b')).toBe('B');
    expect(sockets).toHaveLength(2);
  });

  it('fails with a sentence that names host and cause', async () => {
    const server = createServer(echo);
    const to = await onPort(server);
    await expect(ask(client({ to }), 'quit')).rejects.toThrow(
      new RetryableError(`tcp://127.0.0.1:${to.port}: the other side closed the connection`),
    );
    await cleanUps.shift()?.();
    await expect(ask(client({ to }), 'a')).rejects.toThrow(/^tcp:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    await expect(ask(client({ to: { host: 'nowhere.invalid', port: 1 } }), 'a')).rejects.toThrow(
      /^tcp:\/\/nowhere\.invalid:1: the host name/,
    );
  });

  it('gives up at once on abort, and closes the connection', async () => {
    const to = client({ to: await onPort(createServer(echo)) });
    const controller = new AbortController();
    const asked = to.use(controller.signal, async (connection) => {
      await connection.write('silence');
      const answer = connection.read();
      controller.abort(new Error('The test stops.'));
      return answer;
    });
    await expect(asked).rejects.toThrow('The test stops.');
    const [first] = sockets as [Socket];
    if (!first.destroyed) await once(first, 'close');
    await expect(ask(to, 'a', AbortSignal.abort(new Error('Before.')))).rejects.toThrow('Before.');
  });

  it('gives up a connection on which nothing moves for net.io_timeout', async () => {
    const to = client({ to: await onPort(createServer(echo)), ioTimeoutMs: 50 });
    await expect(ask(to, 'silence')).rejects.toThrow(/nothing moved for net.io_timeout/);
  });

  it('greets on a new connection alone; a throw there fails the attempt', async () => {
    const greeted: string[] = [];
    const greet = async (connection: StreamConnection): Promise<void> => {
      await connection.write('hello');
      greeted.push((await connection.read()).toString());
    };
    const to = await onPort(createServer(echo));
    const polite = client({ to, greet });
    await ask(polite, 'a');
    await ask(polite, 'b');
    expect(greeted).toEqual(['HELLO']);
    const refused = client({
      to,
      greet: async () => {
        throw new RetryableError('it knows us not');
      },
    });
    await expect(ask(refused, 'a')).rejects.toThrow('it knows us not');
  });

  it('says of a handshake that does not end that it is one', async () => {
    const greet = async (connection: StreamConnection): Promise<void> => void (await connection.read());
    const to = client({ to: await onPort(createServer(echo)), greet, connectTimeoutMs: 50 });
    await expect(ask(to, 'a')).rejects.toThrow(/it did not end the handshake within net.connect_timeout/);
  });

  it('writes to a unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tailrace-stream-'));
    cleanUps.push(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'socket');
    await listen(createServer(echo), { path });
    const to = client({ to: { path } });
    expect(to.place).toBe(`unix:${path}`);
    expect(await ask(to, 'a')).toBe('A');
  });

  const secure = (): Server =>
    createTlsServer(
      { cert: readFileSync(tlsFile('server.pem')), key: readFileSync(tlsFile('server.key')) },
      echo,
    );

  it('speaks TLS and checks who is there', async () => {
    const to = await onPort(secure());
    expect(await ask(client({ to, tls: TLS }), 'a')).toBe('A');
    await expect(ask(client({ to, tls: { ...TLS, vhost: 'other.example' } }), 'a')).rejects.toThrow(
      /its certificate is for another host name/,
    );
    await expect(ask(client({ to, tls: { ...TLS, caFile: tlsFile('other.pem') } }), 'a')).rejects.toThrow(
      /^tls:\/\/127\.0\.0\.1:\d+: its certificate/,
    );
  });

  it('by TLS 1.3, where nobody answers, waits for the ticket of the server; a while where it sends none', async () => {
    const certificate = {
      cert: readFileSync(tlsFile('server.pem')),
      key: readFileSync(tlsFile('server.key')),
    };
    for (const options of [{}, { secureOptions: constants.SSL_OP_NO_TICKET }]) {
      const received: string[] = [];
      const server = createTlsServer({ ...certificate, ...options }, (socket) => {
        socket.setEncoding('utf8').on('data', (text: string) => received.push(text));
      });
      const to = client({ to: await onPort(server), tls: TLS, unanswered: true });
      await to.use(noAbort, (used) => used.writeUnanswered('x'));
      await expect.poll(() => received).toEqual(['x']);
    }
  });

  it('closes a connection at rest in order', async () => {
    const seen: string[] = [];
    const server = createTlsServer(
      { cert: readFileSync(tlsFile('server.pem')), key: readFileSync(tlsFile('server.key')) },
      (socket) => {
        for (const event of ['data', 'end', 'error', 'close'])
          socket.on(event, (value: unknown) => seen.push(event === 'data' ? String(value) : event));
      },
    );
    const to = client({ to: await onPort(server), tls: TLS, unanswered: true });
    await to.use(noAbort, (used) => used.writeUnanswered('last words'));
    await to.close();
    await expect.poll(() => seen.at(-1)).toBe('close');
    expect(seen).toEqual(['last words', 'end', 'close']);
  });

  it('does not wait for a handshake for ever', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    const to = client({ to: await onPort(silent), tls: TLS, connectTimeoutMs: 50 });
    await expect(ask(to, 'a')).rejects.toThrow(/no connection within net.connect_timeout/);
  });

  it('carries more than a socket buffer, byte for byte', async () => {
    let received = 0;
    const counting = createServer((socket) => {
      socket.on('data', (piece: Buffer) => {
        received += piece.length;
        if (received === 20_000_000) socket.write('all');
      });
    });
    const to = client({ to: await onPort(counting) });
    const answer = await to.use(noAbort, async (connection) => {
      await connection.write(Buffer.alloc(20_000_000, 120));
      return (await connection.read()).toString();
    });
    expect(answer).toBe('all');
  });
});
