import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadUnixDatagrams } from '../../../../plugins/shared/unix-datagrams/native.ts';
import { DATAGRAM_WAYS, useDatagramWay } from '../../../support/koffi.ts';
import { unixSender } from '../../../support/unix-datagram-sender.ts';
import { open } from './opening.ts';

const RECORD = { pri: '13', facility: 'user', severity: 'notice' };

async function udpSender(port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

function isSocket(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:');
  } catch {
    // Closed since the directory was read.
    return false;
  }
}

/** Bytes that the kernel has for the socket of a port. */
function unread(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/self/net/udp', 'latin1').split('\n').slice(1);
  const row = rows.map((line) => line.trim().split(/\s+/)).find((columns) => columns[1]?.endsWith(suffix));
  return Number.parseInt(row?.[4]?.split(':')[1] ?? '', 16);
}

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'syslog-input-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'log');
}

describe.each(DATAGRAM_WAYS)('UDP, %s', (way) => {
  useDatagramWay(way);

  it('is said when it is the slow way', async () => {
    const { context } = await open({ mode: 'udp' });
    expect(context.log.lines.filter(({ message }) => message.includes('one by one'))).toHaveLength(
      way === 'one by one' ? 1 : 0,
    );
  });

  it('each datagram is a message, whatever it ends in and whatever is in it', async () => {
    const { collector, port } = await open({
      mode: 'udp',
      parser: 'syslog',
      raw_message_key: 'raw',
      source_address_key: 'from',
    });
    const socket = await udpSender(port);
    for (const text of [
      '',
      '\n',
      '<13>one',
      '<13>two\n\0',
      '<13>three\n  and more',
      '8 <13>four',
      '<13>\xe4',
    ])
      socket.send(Buffer.from(text, 'latin1'));
    await collector.reached(5);
    const from = `udp://127.0.0.1:${socket.address().port}`;
    expect(collector.records).toEqual([
      { ...RECORD, message: 'one', raw: '<13>one', from },
      { ...RECORD, message: 'two', raw: '<13>two\n\0', from },
      { ...RECORD, message: 'three\n  and more', raw: '<13>three\n  and more', from },
      { log: '8 <13>four', raw: '8 <13>four', from },
      { ...RECORD, message: '\uFFFD', raw: '<13>\uFFFD', from },
    ]);
  });

  it('a port that is taken leaves no socket behind', async () => {
    const taken = createSocket('udp4');
    onTestFinished(() => void taken.close());
    taken.bind(0, '127.0.0.1');
    await once(taken, 'listening');
    const sockets = (): number => readdirSync('/proc/self/fd').filter(isSocket).length;
    const before = sockets();
    for (let n = 0; n < 3; n++) {
      const opening = open({ mode: 'udp', parser: 'syslog', port: String(taken.address().port) });
      await expect(opening).rejects.toThrow('port');
    }
    expect(sockets()).toBe(before);
  });

  it('the largest datagram is whole; one over the limit is cut, flagged and counted', async () => {
    const { collector, port, count } = await open({ mode: 'udp', parser: 'syslog' });
    (await udpSender(port)).send(`<13>${'x'.repeat(65_000)}`);
    await collector.reached(1);
    expect(collector.events[0]).toMatchObject({
      record: { message: 'x'.repeat(65_000) },
      metadata: undefined,
    });
    const small = await open({ mode: 'udp', parser: 'syslog', buffer_max_size: '500' });
    (await udpSender(small.port)).send(`<13>${'ä'.repeat(600)}`);
    await small.collector.reached(1);
    expect(small.collector.events[0]).toMatchObject({
      record: { message: 'ä'.repeat(248) },
      metadata: { truncated: true },
    });
    expect(small.count('long_lines_total')).toBe(1);
    expect(count('long_lines_total')).toBe(0);
  });

  it('while there is no room, some are kept, and what is more is dropped and counted', async () => {
    const { collector, port, dropped, warnings, input } = await open({ mode: 'udp', parser: 'syslog' });
    const socket = await udpSender(port);
    collector.fill();
    socket.send('<13>first');
    await collector.reached(1);
    const text = `<13>${'x'.repeat(50_000)}`;
    let sent = 1;
    while (dropped.size === 0) {
      sent++;
      await new Promise((resolve) => {
        socket.send(text, resolve);
      });
      await turn();
    }
    expect(warnings()).toEqual(['Datagrams were dropped: there is no room for them, and nobody to wait']);
    collector.drain();
    await input.stop();
    expect(collector.events.length + (dropped.get('no_room') ?? 0)).toBe(sent);
    expect(collector.events.length).toBeGreaterThan(50);
  });

  it('what the kernel drops is counted', async () => {
    const { collector, port, count, input, warnings } = await open({
      mode: 'udp',
      parser: 'syslog',
      receive_buffer_size: '4k',
    });
    const socket = await udpSender(port);
    const total = 500;
    // The system calls are made at once; nobody reads in the meantime.
    const sends = Array.from(
      { length: total },
      (_, index) =>
        new Promise((resolve) => {
          socket.send(`<13>${index} ${'x'.repeat(500)}`, resolve);
        }),
    );
    await Promise.all(sends);
    await collector.reached(1);
    await input.stop();
    expect(count('kernel_dropped_datagrams_total')).toBeGreaterThan(0);
    expect(collector.events.length + count('kernel_dropped_datagrams_total')).toBe(total);
    expect(warnings()).toHaveLength(1);
  });

  it('at the end what the kernel has is taken', async () => {
    const { collector, port, input } = await open({ mode: 'udp', parser: 'syslog' });
    const socket = await udpSender(port);
    await Promise.all(
      Array.from(
        { length: 100 },
        (_, index) =>
          new Promise((resolve) => {
            socket.send(`<13>${index}`, resolve);
          }),
      ),
    );
    await input.stop();
    expect(collector.events.length).toBe(100);
  });

  it('the receive buffer: what the kernel gave is said when it is less than what is written', async () => {
    const limit = Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8'));
    const { context, warnings } = await open({ mode: 'udp', receive_buffer_size: String(limit * 2) });
    expect(warnings()).toEqual([
      'The kernel gave a smaller receive buffer than receive_buffer_size asks for: raise it with sysctl net.core.rmem_max',
    ]);
    const listening = context.log.lines.find(({ message }) => message.startsWith('Listening'));
    expect(listening?.fields).toMatchObject({ mode: 'udp', receiveBufferBytes: limit });
    expect((await open({ mode: 'udp', receive_buffer_size: '64k' })).warnings()).toEqual([]);
    expect((await open({ mode: 'udp' })).warnings()).toEqual([]);
  });

  it('IPv6, and IPv4 by the same socket', async () => {
    const { collector, port } = await open({
      mode: 'udp',
      listen: '::',
      parser: 'syslog',
      source_address_key: 'from',
    });
    const socket = createSocket('udp6');
    onTestFinished(() => void socket.close());
    socket.send('<13>one', port, '::1');
    await collector.reached(1);
    const other = await udpSender(port);
    other.send('<13>two');
    await collector.reached(2);
    socket.send('<13>three', port, '::1');
    await collector.reached(3);
    expect(collector.records).toEqual([
      { ...RECORD, message: 'one', from: `udp://::1:${socket.address().port}` },
      { ...RECORD, message: 'two', from: `udp://::ffff:127.0.0.1:${other.address().port}` },
      { ...RECORD, message: 'three', from: `udp://::1:${socket.address().port}` },
    ]);
  });

  it('what waits for room keeps its text and who sent it', async () => {
    const { collector, port } = await open({ mode: 'udp', parser: 'syslog', source_address_key: 'from' });
    collector.fill();
    const senders = [await udpSender(port), await udpSender(port), await udpSender(port)];
    senders[0]?.send('<13>first');
    await collector.reached(1);
    const total = 200;
    for (let index = 1; index < total; index++) {
      await new Promise((resolve) => {
        senders[index % 3]?.send(`<13>${index}`, resolve);
      });
    }
    while (unread(port) > 0) await turn();
    collector.drain();
    await collector.reached(total);
    const from = senders.map((sender) => `udp://127.0.0.1:${sender.address().port}`);
    expect(collector.records).toEqual(
      Array.from({ length: total }, (_, index) => ({
        ...RECORD,
        message: index === 0 ? 'first' : String(index),
        from: from[index % 3],
      })),
    );
  });

  it('a burst of more than is taken at a time, in order', async () => {
    const { collector, port } = await open({ mode: 'udp', parser: 'syslog' });
    const socket = await udpSender(port);
    const texts = Array.from({ length: 3000 }, (_, index) => String(index));
    for (const [index, text] of texts.entries()) {
      await new Promise((resolve) => {
        socket.send(`<13>${text}`, resolve);
      });
      // As many as the smallest receive buffer holds.
      if (index % 250 === 0) while (unread(port) > 0) await turn();
    }
    await collector.reached(texts.length);
    expect(collector.records.map((record) => (record as { message: string }).message)).toEqual(texts);
  });

  it('several processes share a port when that is written', async () => {
    const options = { mode: 'udp', parser: 'syslog', 'net.share_port': 'on' };
    const { port } = await open(options);
    expect((await open({ ...options, port: String(port) })).port).toBe(port);
  });

  it('an address that this machine has not is a sentence', async () => {
    await expect(open({ mode: 'udp', listen: '192.0.2.1' })).rejects.toThrow(
      'listening on 192.0.2.1:0: this machine has no address 192.0.2.1.',
    );
  });

  it('a port that is taken is a sentence', async () => {
    const { port } = await open({ mode: 'udp' });
    await expect(open({ mode: 'udp', port: String(port) })).rejects.toThrow(
      `listening on 127.0.0.1:${port}: port ${port} is taken by another process`,
    );
  });
});

describe('a unix datagram socket', () => {
  afterEach(() => {
    vi.doUnmock('koffi');
    vi.resetModules();
  });

  it('takes what is sent to it, and its file goes with it', async () => {
    const path = socketPath();
    const { collector, input } = await open({
      mode: 'unix_udp',
      path,
      unix_perm: '0666',
      parser: 'syslog',
      source_address_key: 'from',
    });
    expect(statSync(path).mode & 0o777).toBe(0o666);
    const sender = unixSender(path);
    await sender.send('<13>Nov  1 00:00:00 app[7]: one\n');
    await sender.send('');
    await sender.send('<13>two');
    await collector.reached(2);
    expect(collector.records).toEqual([
      { ...RECORD, ident: 'app', pid: '7', message: 'one', from: 'unix://unavailable' },
      { ...RECORD, message: 'two', from: 'unix://unavailable' },
    ]);
    await input.stop();
    expect(existsSync(path)).toBe(false);
  });

  it("two of them do not get in each other's way", async () => {
    const paths = [socketPath(), socketPath()];
    const opened = await Promise.all(paths.map((path) => open({ mode: 'unix_udp', path, parser: 'syslog' })));
    const senders = paths.map((path) => unixSender(path));
    for (let index = 0; index < 100; index++) {
      for (const [which, sender] of senders.entries()) await sender.send(`<13>${which} ${index}`);
    }
    for (const [which, { collector }] of opened.entries()) {
      await collector.reached(100);
      expect(collector.records.map((record) => (record as { message: string }).message)).toEqual(
        Array.from({ length: 100 }, (_, index) => `${which} ${index}`),
      );
    }
    await opened[0]?.input.stop();
    await senders[1]?.send('<13>last');
    await opened[1]?.collector.reached(101);
  });

  it('a burst of more than is taken at a time', async () => {
    const path = socketPath();
    const { collector } = await open({ mode: 'unix_udp', path, parser: 'syslog' });
    const sender = unixSender(path);
    for (let index = 0; index < 5000; index++) await sender.send(`<13>${index}`);
    await collector.reached(5000);
    expect(collector.events.length).toBe(5000);
  });

  it('a datagram over the limit is cut, flagged and counted', async () => {
    const path = socketPath();
    const { collector, count } = await open({
      mode: 'unix_udp',
      path,
      parser: 'syslog',
      buffer_max_size: '500',
    });
    await unixSender(path).send(`<13>${'x'.repeat(600)}`);
    await collector.reached(1);
    expect(collector.events[0]).toMatchObject({
      record: { message: 'x'.repeat(496) },
      metadata: { truncated: true },
    });
    expect(count('long_lines_total')).toBe(1);
  });

  it('while there is no room nothing is read, senders wait, and nothing is lost', async () => {
    const path = socketPath();
    const { collector } = await open({ mode: 'unix_udp', path, parser: 'syslog' });
    const sender = unixSender(path);
    collector.fill();
    await sender.send('<13>first');
    await collector.reached(1);
    let sent = 1;
    while (sender.trySend(`<13>${sent}`)) {
      sent++;
      await turn();
    }
    expect(collector.events.length).toBe(1);
    collector.drain();
    await sender.send('<13>last');
    await collector.reached(sent + 1);
    expect(collector.events.at(-1)).toMatchObject({ record: { message: 'last' } });
  });

  it('at the end what is in its queue is taken, room or not', async () => {
    const path = socketPath();
    const { collector, input } = await open({ mode: 'unix_udp', path, parser: 'syslog' });
    const sender = unixSender(path);
    collector.fill();
    await sender.send('<13>first');
    await collector.reached(1);
    expect(sender.trySend('<13>second')).toBe(true);
    await input.stop();
    expect(collector.events.length).toBe(2);
  });

  it('takes the place of one whose process is gone, of a living one not, nor of anything else', async () => {
    const path = socketPath();
    const datagrams = await loadUnixDatagrams();
    datagrams.bind(path).close();
    expect(existsSync(path)).toBe(true);
    const { collector } = await open({ mode: 'unix_udp', path, parser: 'syslog' });
    await unixSender(path).send('<13>one');
    await collector.reached(1);
    await expect(open({ mode: 'unix_udp', path })).rejects.toThrow(
      `input.0: listening on path ${path}: another process listens there`,
    );
    await unixSender(path).send('<13>two');
    await collector.reached(2);
    const file = socketPath();
    writeFileSync(file, 'precious');
    await expect(open({ mode: 'unix_udp', path: file })).rejects.toThrow(
      'there is something else than a socket',
    );
  });

  it('leaves the socket alone that another process has put in its place', async () => {
    const path = socketPath();
    const { input } = await open({ mode: 'unix_udp', path });
    rmSync(path);
    const datagrams = await loadUnixDatagrams();
    const other = datagrams.bind(path);
    await input.stop();
    expect(existsSync(path)).toBe(true);
    other.close();
  });

  it.each([
    ['a folder that is not there', '/nowhere/at/all/log', 'there is no directory /nowhere/at/all'],
    ['a path that is too long', `/tmp/${'x'.repeat(120)}`, 'the path has 125 bytes, and 107 are possible'],
  ])('%s is a sentence', async (_name, path, message) => {
    await expect(open({ mode: 'unix_udp', path })).rejects.toThrow(
      `input.0: listening on path ${path}: ${message}`,
    );
  });

  it('without koffi it says what to do', async () => {
    vi.resetModules();
    vi.doMock('koffi', () => {
      throw new Error('Cannot find package koffi');
    });
    const { loadUnixDatagrams: load } = await import('../../../../plugins/shared/unix-datagrams/native.ts');
    await expect(load()).rejects.toThrow(
      'Unix datagram sockets need the optional package koffi, which is not installed, or not for this platform',
    );
  });
});
