import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetryableError } from '../../src/event/outcome.ts';
import { DatagramClient } from '../../src/net/datagram-client.ts';
import type { DatagramClientOptions } from '../../src/net/datagram-client.ts';
import { DatagramSink } from './sockets.ts';

const noAbort = new AbortController().signal;

describe('DatagramClient', () => {
  let cleanUps: (() => Promise<void>)[];

  beforeEach(() => {
    cleanUps = [];
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const sink = async (host?: string): Promise<DatagramSink> => {
    const opened = await new DatagramSink().open(host);
    cleanUps.push(() => opened.close());
    return opened;
  };
  const client = (options: Partial<DatagramClientOptions> & { port: number }): DatagramClient => {
    const created = new DatagramClient({ host: '127.0.0.1', connectTimeoutMs: 5000, ...options });
    cleanUps.push(() => created.close());
    return created;
  };
  const send = (to: DatagramClient, texts: readonly string[], signal = noAbort): Promise<number[]> => {
    let end = 0;
    const ends = texts.map((text) => (end += Buffer.byteLength(text)));
    return to.send(Buffer.from(texts.join('')), ends, signal);
  };
  const texts = (datagrams: readonly Buffer[]): string[] => datagrams.map((datagram) => datagram.toString());

  it('sends each by itself, in order, more than a window of them', async () => {
    const receiver = await sink();
    const many = Array.from({ length: 300 }, (_, n) => `datagram ${n}`);
    expect(await send(client({ port: receiver.port }), many)).toEqual([]);
    expect(texts(await receiver.received(300))).toEqual(many);
  });

  it('sends nothing as nothing', async () => {
    const receiver = await sink();
    expect(await send(client({ port: receiver.port }), ['', 'x'])).toEqual([]);
    expect(texts(await receiver.received(2))).toEqual(['', 'x']);
  });

  it('names those that are too large; the others go out', async () => {
    const receiver = await sink();
    const large = 'x'.repeat(65_507);
    expect(await send(client({ port: receiver.port }), ['a', `${large}x`, large, 'b'])).toEqual([1]);
    expect(texts(await receiver.received(3))).toEqual(['a', large, 'b']);
  });

  it('hears of a refusal, and sends again once somebody listens', async () => {
    const receiver = await sink();
    const to = client({ port: receiver.port });
    await receiver.close();
    const refused = await send(to, ['a', 'b']).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RetryableError);
    expect((refused as Error).message).toMatch(/^udp:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    await receiver.open();
    expect(await send(to, ['c'])).toEqual([]);
    expect(texts(await receiver.received(1))).toEqual(['c']);
  });

  it('several attempts share a socket, and fail by themselves', async () => {
    const receiver = await sink();
    const to = client({ port: receiver.port });
    await receiver.close();
    const attempts = await Promise.allSettled([send(to, ['a', 'b']), send(to, ['c', 'd']), send(to, ['e'])]);
    expect(attempts.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });

  it('names the host that nobody knows', async () => {
    await expect(send(client({ host: 'nowhere.invalid', port: 1 }), ['a'])).rejects.toThrow(
      /^udp:\/\/nowhere\.invalid:1: the host name/,
    );
  });

  it('sends by IPv6, and from the address that it is told', async () => {
    const six = await sink('::1');
    await send(client({ host: '::1', port: six.port }), ['six']);
    expect(texts(await six.received(1))).toEqual(['six']);
    const four = await sink();
    await send(client({ host: 'localhost', port: four.port, prefer: 'ipv4', sourceAddress: '127.0.0.2' }), [
      'four',
    ]);
    expect(texts(await four.received(1))).toEqual(['four']);
    await expect(send(client({ port: four.port, sourceAddress: '192.0.2.1' }), ['a'])).rejects.toThrow(
      /EADDRNOTAVAIL/,
    );
  });

  it('stops at an abort, and after it was closed', async () => {
    const receiver = await sink();
    const to = client({ port: receiver.port });
    await expect(send(to, ['a'], AbortSignal.abort(new Error('Before.')))).rejects.toThrow('Before.');
    await to.close();
    await to.close();
    await expect(send(to, ['a'])).rejects.toThrow(/the output is closed/);
  });
});
