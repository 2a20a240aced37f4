/** tcp, udp and unix_socket: listening, over real sockets. What becomes of the bytes is tested with the readers. */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import tcp from '../../../../plugins/inputs/tcp.ts';
import udp from '../../../../plugins/inputs/udp.ts';
import unixSocket from '../../../../plugins/inputs/unix_socket.ts';
import type { InputDefinition, OptionFields, Parser } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { DATAGRAM_WAYS, useDatagramWay } from '../../../support/koffi.ts';
import { createParser } from '../../parsers/parsing.ts';
import { Collector, inputContext } from '../collecting.ts';

async function open<F extends OptionFields>(
  definition: InputDefinition<F>,
  written: Record<string, string>,
  parsers: readonly Parser[] = [],
) {
  const drops: Record<string, number> = {};
  const context = {
    ...inputContext(parsers),
    drop: (reason: string, count: number) => {
      drops[reason] = (drops[reason] ?? 0) + count;
    },
  };
  const collector = new Collector();
  const input = await definition.create(
    optionsOf(definition.options, 'port' in definition.options ? { port: '0', ...written } : written),
    context,
  );
  await input.start(collector.emit);
  onTestFinished(async () => {
    collector.drain();
    await input.stop();
  });
  const { fields = {} } = context.log.lines.find(({ message }) => message.startsWith('Listening')) ?? {};
  return { input, context, collector, drops, port: Number(fields['port']), place: fields };
}

function client(to: { port: number } | { path: string }): Socket {
  const socket = 'path' in to ? connect(to.path) : connect(to.port, '127.0.0.1');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function send(port: number, ...datagrams: string[]): Promise<number> {
  const socket = createSocket('udp4');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const { port: own } = socket.address();
  for (const datagram of datagrams) {
    await new Promise<void>((resolve, reject) => {
      socket.send(datagram, (error) => (error === null ? resolve() : reject(error)));
    });
  }
  socket.close();
  return own;
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'tailrace-sockets-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('tcp', () => {
  it('takes what several connections send, with the address of each', async () => {
    const { collector, port, place } = await open(tcp, { source_address_key: 'from' });
    expect(place['address']).toBe('127.0.0.1');
    const one = client({ port });
    const two = client({ port });
    await Promise.all([once(one, 'connect'), once(two, 'connect')]);
    one.write('{"n":1}{"n":');
    two.write('{"n":2,"from":"me"}[1]');
    await collector.reached(3);
    one.write('3}');
    await collector.reached(4);
    const from = (socket: Socket) => `tcp://127.0.0.1:${socket.localPort}`;
    expect(collector.records).toEqual(
      expect.arrayContaining([
        { n: 1, from: from(one) },
        { n: 3, from: from(one) },
        { n: 2, from: from(two) },
        { msg: [1], from: from(two) },
      ]),
    );
  });

  it('takes lines, with separators as they are written in YAML', async () => {
    const { collector, port } = await open(tcp, { format: 'none', separator: String.raw`\r\n` });
    client({ port }).write('a\r\nb\nc\r\n\r\nd');
    await collector.reached(2);
    expect(collector.records).toEqual([{ log: 'a' }, { log: 'b\nc' }]);
  });

  it('takes lines through a parser, whatever the format', async () => {
    const parser = createParser({ name: 'app', format: 'json', time_key: 'at', time_format: '%s' });
    const { collector, port, context } = await open(tcp, { parser: 'app', source_address_key: 'from' }, [
      parser,
    ]);
    client({ port }).write('{"at":"1700000000","n":1}\nno json\n{"n":2}\n');
    await collector.reached(3);
    expect(collector.records).toMatchObject([
      { n: 1, from: expect.any(String) },
      { log: 'no json' },
      { n: 2 },
    ]);
    expect(collector.events[0]?.seconds).toBe(1_700_000_000);
    const unparsed = context.metrics.counter('tailrace_input_unparsed_records_total', '');
    expect(unparsed.sum({ name: 'input.0' })).toBe(1);
  });

  it('does not read while there is no room, and loses nothing', async () => {
    const { collector, port } = await open(tcp, { format: 'none' });
    collector.fill();
    const socket = client({ port });
    await once(socket, 'connect');
    const line = 'x'.repeat(9995);
    let sent = 0;
    // More than both sockets take.
    while (sent < 100 || socket.writableLength === 0)
      socket.write(`${String(sent++).padStart(4, '0')}${line}\n`);
    await collector.reached(1);
    expect(collector.events.length).toBeLessThan(sent);
    collector.drain();
    await collector.reached(sent);
    expect(collector.records.map((record) => Number((record as { log: string }).log.slice(0, 4)))).toEqual(
      Array.from({ length: sent }, (_, n) => n),
    );
  });

  it('takes at a stop what has been sent by then', async () => {
    const { collector, port, input } = await open(tcp, {});
    const socket = client({ port });
    await once(socket, 'connect');
    socket.write('{"n":1}');
    await collector.reached(1);
    const stopping = input.stop();
    socket.write('{"n":2}');
    await stopping;
    expect(collector.records).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('counts what a connection ends in the middle of', async () => {
    const { collector, port, drops } = await open(tcp, { format: 'none' });
    client({ port }).end('whole\nhalf');
    await collector.reached(1);
    await expect.poll(() => drops).toEqual({ incomplete: 1 });
    expect(collector.records).toEqual([{ log: 'whole' }]);
  });
});

describe.each(DATAGRAM_WAYS)('udp, %s', (way) => {
  useDatagramWay(way);

  it('takes each datagram for itself, with its address', async () => {
    const { collector, port } = await open(udp, { source_address_key: 'from' });
    const own = await send(port, '{"n":1}{"n":2}', '{"n":', '[3]', 'text');
    await collector.reached(5);
    const from = `udp://127.0.0.1:${own}`;
    expect(collector.records).toEqual([
      { n: 1, from },
      { n: 2, from },
      { log: '{"n":', from },
      { msg: [3], from },
      { log: 'text', from },
    ]);
  });

  it('takes lines; a datagram without separator is one', async () => {
    const { collector, port, drops } = await open(udp, { format: 'none' });
    await send(port, 'a\nb\n', 'c', '', 'd\nhalf', 'e\n');
    await collector.reached(5);
    expect(collector.records).toEqual(['a', 'b', 'c', 'd', 'e'].map((log) => ({ log })));
    expect(drops).toEqual({ incomplete: 1 });
  });

  it('keeps some while there is no room, and counts the rest as dropped', async () => {
    const { collector, port, drops } = await open(udp, { format: 'none' });
    collector.fill();
    await send(port, 'first');
    await collector.reached(1);
    const large = 'x'.repeat(60_000);
    while (drops['no_room'] === undefined) {
      await send(port, large);
      await turn();
    }
    const kept = collector.events.length;
    collector.drain();
    await collector.reached(kept + 1);
    expect(drops).toEqual({ no_room: expect.any(Number) });
  });
});

describe('unix_socket', () => {
  it('takes streams, and makes the socket with its permissions', async () => {
    const path = join(directory(), 's');
    const { collector, input } = await open(unixSocket, { socket_path: path, socket_permissions: '0620' });
    expect(statSync(path).mode & 0o777).toBe(0o620);
    client({ path }).end('{"n":1}\nno json\n');
    await collector.reached(2);
    expect(collector.records).toEqual([{ n: 1 }, { log: 'no json' }]);
    await input.stop();
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('takes datagrams', async () => {
    const path = join(directory(), 's');
    const { collector } = await open(unixSocket, { socket_path: path, socket_mode: 'dgram', format: 'none' });
    // Node.js has no such socket to send with.
    const script = `import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for text in (b'one', b'two\\nthree\\n'): s.sendto(text, ${JSON.stringify(path)})`;
    expect(spawnSync('python3', ['-c', script]).status).toBe(0);
    await collector.reached(3);
    expect(collector.records).toEqual([{ log: 'one' }, { log: 'two' }, { log: 'three' }]);
  });

  it('says when the path cannot be had', async () => {
    await expect(open(unixSocket, { socket_path: '/proc/none/s' })).rejects.toThrow(
      /socket_path \/proc\/none\/s/,
    );
  });
});

describe('the configuration', () => {
  const problems = <F extends OptionFields>(
    definition: InputDefinition<F>,
    written: Record<string, string>,
  ) =>
    (
      definition.check?.(
        optionsOf(definition.options, written),
        Object.entries(written).map(([key, value]) => ({ key, value })),
      ) ?? []
    ).map(({ key, message, level = 'error' }) => `${level}: ${key} ${message}`);

  it.each([
    [tcp, {}],
    [tcp, { format: 'JSON', buffer_size: '64', chunk_size: '32', separator: '|', workers: '4' }],
    [tcp, { format: 'none', parser: 'app', buffer_size: '512k' }],
    [udp, { buffer_size: '1M', receive_buffer_size: '4M' }],
    [unixSocket, { socket_path: '/run/s', socket_mode: 'DGRAM', socket_permissions: '0660' }],
  ] as const)('%#: what is right is taken', (definition, written) => {
    expect(problems(definition as InputDefinition, written)).toEqual([]);
  });

  it.each([
    [tcp, { listen: '0.0.0.0' }, 'warning: listen can be reached from other machines'],
    [udp, { listen: '::' }, 'warning: listen can be reached from other machines'],
    [tcp, { listen: 'a b' }, 'error: listen is not an address'],
    [udp, { listen: '' }, 'error: listen is not an address'],
    [udp, { tls: 'on' }, 'error: tls is not there by UDP'],
    [tcp, { tls: 'on', 'tls.key_file': 'k' }, 'error: tls needs a certificate'],
    [tcp, { buffer_size: '0' }, 'error: buffer_size "0" is not from 1'],
    [tcp, { buffer_size: '1G' }, 'error: buffer_size "1G" is not from 1'],
    [udp, { chunk_size: 'big' }, 'error: chunk_size "big" is not a size'],
    [tcp, { separator: '' }, 'error: separator is empty'],
    [tcp, { parser: 'app', format: 'json' }, 'warning: format has no effect'],
    [
      unixSocket,
      { socket_path: 's', socket_permissions: 'rw' },
      'error: socket_permissions is no octal mode',
    ],
  ] as const)('%#: what is not is said', (definition, written, problem) => {
    expect(problems(definition as InputDefinition, written)).toEqual([expect.stringContaining(problem)]);
  });

  it('buffer_size is in units of 1024 bytes, as in Fluent Bit', async () => {
    const { collector, port } = await open(tcp, { format: 'none', buffer_size: '1' });
    client({ port }).write(`${'x'.repeat(1024)}\n${'y'.repeat(1025)}\n`);
    await collector.reached(2);
    expect(collector.events.map(({ metadata }) => metadata)).toEqual([undefined, { truncated: true }]);
  });
});
