/** Many datagrams by one system call: against Node.js's own sockets. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AddressReader, encodeAddress } from '../../../plugins/shared/native-datagrams/address.ts';
import { Drain } from '../../../plugins/shared/native-datagrams/drain.ts';
import { loadLibrary } from '../../../plugins/shared/native-datagrams/library.ts';
import { loadUdp } from '../../../plugins/shared/native-datagrams/udp.ts';
import type { UdpSocket } from '../../../plugins/shared/native-datagrams/udp.ts';
import { inputContext } from '../inputs/collecting.ts';

const MOST = 1000;
const MOST_BYTES = 1_000_000;
/** For what comes on a busy machine too. */
const PATIENT = { timeout: 15_000, interval: 10 };

async function bind(address: string): Promise<{ socket: UdpSocket; port: number }> {
  const open = await loadUdp();
  const socket = open({ address, port: 0, sharePort: false });
  onTestFinished(() => socket.close());
  // Node.js sends without a turn of the loop in which somebody could take.
  socket.setRecvBufferSize(1_000_000);
  return { socket, port: socket.address().port };
}

async function sender(kind: 'udp4' | 'udp6', address: string, port = 0): Promise<Socket> {
  const socket = createSocket(kind);
  onTestFinished(() => void socket.close());
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

async function send(socket: Socket, bytes: Buffer | string, port: number, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.send(bytes, port, address, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Takes so many datagrams, as soon as they are there; texts and who sent them. */
async function take(socket: UdpSocket, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    socket.receive(
      (bytes, { address, port }) => taken.push(`${bytes.toString('latin1')} ${address} ${port}`),
      MOST,
      MOST_BYTES,
    );
    await turn();
  }
  return taken;
}

describe('addresses', () => {
  const linkLocal = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.filter(({ address }) => address.startsWith('fe80:')).map(({ address }) => `${address}%${name}`),
  );

  it.each([
    '127.0.0.1',
    '255.255.255.255',
    '0.0.0.0',
    '::',
    '::1',
    '::ffff:192.0.2.1',
    '2001:db8::1',
    '2001:db8:0:1:1:1:1:1',
    'fe80::1%lo',
    ...linkLocal,
  ])('%s is written and read', async (address) => {
    const library = await loadLibrary();
    const reader = new AddressReader(library);
    for (const port of [1, 514, 65_535]) {
      const bytes = encodeAddress(library, { address, port });
      expect([reader.address(bytes), reader.port(bytes)]).toEqual([address, port]);
    }
  });

  it.each([
    ['127.0.0.1', 'udp4', '127.0.0.1'],
    ['0.0.0.0', 'udp4', '127.0.0.2'],
    ['::1', 'udp6', '::1'],
    ['::', 'udp6', '::1'],
    ['::', 'udp4', '127.0.0.1'],
  ] as const)('on %s, %s from %s: as Node.js says it', async (listen, kind, from) => {
    const { socket, port } = await bind(listen);
    const client = await sender(kind, from);
    const others = await sender(listen.includes(':') ? 'udp6' : 'udp4', listen);
    await send(client, 'x', port, from);
    const said = once(others, 'message');
    await send(client, 'x', others.address().port, from);
    const [, theirs] = (await said) as [Buffer, { address: string; port: number }];
    expect(await take(socket, 1)).toEqual([`x ${theirs.address} ${theirs.port}`]);
    expect(socket.address().address).toBe(others.address().address);
  });

  it('of two that send in turn each keeps its own', async () => {
    const { socket, port } = await bind('0.0.0.0');
    const clients = [await sender('udp4', '127.0.0.1'), await sender('udp4', '127.0.0.2')];
    const expected: string[] = [];
    for (let index = 0; index < 200; index++) {
      const client = clients[index % 2] as Socket;
      await send(client, String(index), port, '127.0.0.1');
      expected.push(`${index} ${client.address().address} ${client.address().port}`);
    }
    expect(await take(socket, 200)).toEqual(expected);
  });
});

describe('receiving', () => {
  it('takes empty and the longest datagrams as they are', async () => {
    const { socket, port } = await bind('::');
    const client = await sender('udp6', '::1');
    const longest = 65_507;
    for (const length of [0, longest, 0, 1, longest])
      await send(client, Buffer.alloc(length, length > 1 ? 'x' : 'y'), port, '::1');
    const lengths: number[] = [];
    while (lengths.length < 5) {
      socket.receive((bytes) => lengths.push(bytes.length), MOST, MOST_BYTES);
      await turn();
    }
    expect(lengths).toEqual([0, longest, 0, 1, longest]);
  });

  it('stops at its bounds, and goes on there', async () => {
    const { socket, port } = await bind('127.0.0.1');
    const client = await sender('udp4', '127.0.0.1');
    for (let index = 0; index < 10; index++) await send(client, `${index}`.repeat(100), port, '127.0.0.1');
    const taken: string[] = [];
    const receive = (most: number, mostBytes: number) =>
      socket.receive((bytes) => taken.push(bytes.toString('latin1', 0, 1)), most, mostBytes);
    expect(receive(3, 10_000)).toBe('more');
    expect(taken).toHaveLength(3);
    expect(receive(1000, 150)).toBe('more');
    expect(taken).toHaveLength(5);
    expect(receive(1000, 10_000)).toBe('all');
    expect(receive(1000, 10_000)).toBe('none');
    expect(taken.join('')).toBe('0123456789');
  });

  it('says by its code why a place cannot be had', async () => {
    const { port } = await bind('127.0.0.1');
    const open = await loadUdp();
    expect(() => open({ address: '127.0.0.1', port, sharePort: false })).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    );
    expect(() => open({ address: '192.0.2.1', port: 0, sharePort: false })).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    );
  });
});

describe('a drain', () => {
  /** One whose every datagram goes to `took`. */
  async function drain(took: (text: string) => void, { most = MOST, paceMs = 1 } = {}) {
    const { socket, port } = await bind('127.0.0.1');
    const context = inputContext();
    const looks = { count: 0 };
    const drained = new Drain(
      {
        socket,
        take() {
          looks.count++;
          return socket.receive((bytes) => took(bytes.toString()), most, MOST_BYTES);
        },
        flush: () => undefined,
        paceMs,
      },
      context,
    );
    onTestFinished(() => drained.close());
    drained.start();
    const client = await sender('udp4', '127.0.0.1');
    return { context, looks, drained, send: (text: string) => send(client, text, port, '127.0.0.1') };
  }

  it.each([0, 1, 5])(
    'takes all in order, whether it comes at once or after silence; pace %s',
    async (paceMs) => {
      const taken: number[] = [];
      const { send: one } = await drain((text) => taken.push(Number(text)), { paceMs });
      let sent = 0;
      for (const burst of [1, 300, 2, 1, 100]) {
        for (let index = 0; index < burst; index++) await one(String(sent++));
        await expect.poll(() => taken.length, PATIENT).toBe(sent);
      }
      expect(taken).toEqual(Array.from({ length: sent }, (_, index) => index));
    },
  );

  it('does not look when nothing comes', async () => {
    const taken: string[] = [];
    const { looks, send: one } = await drain((text) => taken.push(text));
    for (let index = 0; index < 300; index++) await one('x');
    await expect.poll(() => taken.length, PATIENT).toBe(300);
    await pause(50);
    const before = looks.count;
    await pause(200);
    // Those are of once in a second.
    expect(looks.count - before).toBeLessThanOrEqual(2);
  });

  it('what came in masses leaves others their turns: each takes a burst at most', async () => {
    const taken: string[] = [];
    const { send: one, drained } = await drain((text) => taken.push(text), { most: 10 });
    for (let index = 0; index < 100; index++) await one('x');
    for (let before = taken.length; taken.length < 100; before = taken.length) {
      await turn();
      expect(taken.length - before).toBeLessThanOrEqual(20);
    }
    drained.close();
    await one('late');
    await turn();
    expect(taken).toHaveLength(100);
  });

  it('what fails is said, and what comes behind it is taken all the same', async () => {
    const taken: string[] = [];
    const { context, send: one } = await drain((text) => {
      if (text === 'bad') throw new Error('no');
      taken.push(text);
    });
    for (const text of ['a', 'bad', 'b', 'c']) await one(text);
    await expect.poll(() => taken, PATIENT).toEqual(['a', 'b', 'c']);
    expect(context.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });
});
