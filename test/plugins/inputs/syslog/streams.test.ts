import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StreamListener } from '../../../../plugins/shared/stream-listener.ts';
import { closed, open } from './opening.ts';

const RECORD = { pri: '13', facility: 'user', severity: 'notice' };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'syslog-input-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** Looks until it is so: what happens on the other side of a socket has no event here. */
async function until(met: () => boolean): Promise<void> {
  while (!met()) await turn();
}

describe('TCP', () => {
  it('messages of several connections, each framed in its own way', async () => {
    const { client, collector } = await open({ parser: 'syslog' });
    const lines = await client();
    const counted = await client();
    lines.write('<13>one\n<13>two\n<13>thr');
    counted.write('8 <13>four9 <13>fi\nve');
    await collector.reached(4);
    lines.write('ee\n');
    await collector.reached(5);
    const texts = collector.records.map((record) => (record as { message: string }).message);
    expect(texts.toSorted()).toEqual(['fi\nve', 'four', 'one', 'three', 'two']);
    expect(collector.events[0]).toMatchObject({ tag: 'test', record: { ...RECORD, message: 'one' } });
  });

  it('the sender and the message as it came are kept where that is asked for', async () => {
    const { client, collector } = await open({
      parser: 'syslog',
      raw_message_key: 'raw',
      source_address_key: 'from',
    });
    const socket = await client();
    socket.write('<13>one\n');
    await collector.reached(1);
    expect(collector.records).toEqual([
      { ...RECORD, message: 'one', raw: '<13>one', from: `tcp://127.0.0.1:${socket.localPort}` },
    ]);
  });

  it('a message whose line end never came is taken when its sender is done', async () => {
    const { client, collector } = await open({ parser: 'syslog' });
    (await client()).end('<13>one\n<13>two');
    await collector.reached(2);
    expect(collector.events[1]).toMatchObject({ record: { message: 'two' }, metadata: undefined });
  });

  it('a message that its sender broke off is taken and flagged', async () => {
    const { client, collector } = await open({ parser: 'syslog' });
    const socket = await client();
    socket.write('<13>one\n<13>two');
    await collector.reached(1);
    socket.resetAndDestroy();
    await collector.reached(2);
    expect(collector.events[1]).toMatchObject({ record: { message: 'two' }, metadata: { truncated: true } });
  });

  it('while there is no room nothing is read; then it goes on, and nothing is lost', async () => {
    const { client, collector } = await open({ parser: 'syslog' });
    const socket = await client();
    collector.fill();
    socket.write('<13>first\n');
    await collector.reached(1);
    const line = `<13>${'x'.repeat(1000)}\n`;
    const total = 20_000;
    let isTaken = false;
    for (let index = 0; index < total; index++) isTaken = socket.write(line);
    expect(isTaken).toBe(false);
    // At most what was on its way when the first one had been taken.
    await until(() => socket.writableLength > 0 && socket.bytesWritten > 0);
    expect(collector.events.length).toBeLessThan(total / 2);
    collector.drain();
    await collector.reached(total + 1);
    expect(collector.events.length).toBe(total + 1);
  });

  it('connections have their turns: who sends without end keeps nobody else out', async () => {
    const { client, collector } = await open({ parser: 'syslog' });
    const loud = await client();
    const quiet = await client();
    collector.fill();
    const total = 10_000;
    loud.write(`<13>${'x'.repeat(1000)}\n`.repeat(total));
    await collector.reached(1);
    quiet.write('<13>quiet\n');
    const isThere = (): boolean =>
      collector.records.some((record) => (record as { message: string }).message === 'quiet');
    await until(isThere);
    expect(collector.events.length).toBeLessThan(total / 2);
    collector.drain();
    await collector.reached(total + 1);
  });

  it('at the end what the senders have sent is taken, and they are told', async () => {
    const { client, collector, input } = await open({ parser: 'syslog' });
    const idle = await client();
    const busy = await client();
    let sent = 0;
    busy.on('end', () => busy.end());
    busy.resume();
    busy.write('<13>begin\n');
    await collector.reached(1);
    for (; sent < 5000; sent++) busy.write(`<13>${sent}\n`);
    await input.stop();
    await Promise.all([closed(busy), closed(idle)]);
    expect(collector.events.length).toBe(sent + 1);
  });
});

describe('limits', () => {
  it('connections', async () => {
    const { client, collector, count } = await open({ parser: 'syslog', max_connections: '1' });
    const first = await client();
    first.write('<13>one\n');
    await collector.reached(1);
    await closed(await client());
    expect(count('connections_refused_total')).toBe(1);
    first.end();
    await closed(first);
    await until(() => count('connections') === 0);
    (await client()).write('<13>two\n');
    await collector.reached(2);
  });

  it('connections from one address', async () => {
    const { client, collector, count } = await open({ parser: 'syslog', max_connections_per_address: '1' });
    const first = await client();
    first.write('<13>one\n');
    await collector.reached(1);
    await closed(await client());
    expect(count('connections_refused_total')).toBe(1);
    const other = await client({ host: '127.0.0.1', port: first.remotePort ?? 0, localAddress: '127.0.0.2' });
    other.write('<13>two\n');
    await collector.reached(2);
    first.destroy();
    await until(() => count('connections') === 1);
    (await client()).write('<13>three\n');
    await collector.reached(3);
  });

  it('the size of a message: it is cut, flagged and counted', async () => {
    const { client, collector, count } = await open({ parser: 'syslog', buffer_max_size: '500' });
    (await client()).write(`<13>${'x'.repeat(10_000)}\n<13>next\n`);
    await collector.reached(2);
    expect(collector.events[0]).toMatchObject({
      record: { message: 'x'.repeat(496) },
      metadata: { truncated: true },
    });
    expect(collector.events[1]).toMatchObject({ record: { message: 'next' }, metadata: undefined });
    expect(count('long_lines_total', { action: 'cut' })).toBe(1);
  });

  it('a length that no message has: the connection is closed and counted, nothing is set aside for it', async () => {
    const { client, collector, count, dropped, reserved, warnings } = await open({ parser: 'syslog' });
    const bad = await client();
    bad.write('<13>one\n9999999999 <13>two');
    await closed(bad);
    expect(collector.records).toEqual([{ ...RECORD, message: 'one' }]);
    expect(count('connections_closed_total', { reason: 'malformed' })).toBe(1);
    expect(dropped).toEqual(new Map([['malformed', 1]]));
    expect(reserved()).toBe(0);
    expect(warnings()).toEqual(['A connection was closed']);
    (await client()).write('<13>three\n');
    await collector.reached(2);
  });

  it('time without data between messages', async () => {
    const { client, collector, count } = await open({ parser: 'syslog', idle_timeout: '50ms' });
    const socket = await client();
    socket.write('<13>one\n');
    await closed(socket);
    expect(collector.records).toHaveLength(1);
    expect(count('connections_closed_total', { reason: 'idle' })).toBe(1);
  });

  it('time without data in a message: what there is of it is taken', async () => {
    const { client, collector, count } = await open({ parser: 'syslog', 'net.io_timeout': '50ms' });
    const socket = await client();
    socket.write('<13>one\n<13>tw');
    await closed(socket);
    expect(collector.events[1]).toMatchObject({ record: { message: 'tw' }, metadata: { truncated: true } });
    expect(count('connections_closed_total', { reason: 'stalled' })).toBe(1);
  });

  it('time without data in a message whose rest is skipped', async () => {
    const { client, count } = await open({
      parser: 'syslog',
      'net.io_timeout': '50ms',
      buffer_max_size: '500',
    });
    const socket = await client();
    socket.write(`600 <13>${'x'.repeat(580)}`);
    await closed(socket);
    expect(count('connections_closed_total', { reason: 'stalled' })).toBe(1);
  });

  it('memory for what is begun: it waits, then the connection is closed', async () => {
    const { client, collector, count, setRoom, reserved } = await open(
      { parser: 'syslog', 'net.io_timeout': '200ms' },
      { room: 0 },
    );
    const patient = await client();
    patient.write('<13>one\n<13>tw');
    await collector.reached(1);
    setRoom(1000);
    patient.write('o\n');
    await collector.reached(2);
    expect(reserved()).toBe(0);
    setRoom(0);
    const other = await client();
    other.write('<13>three\n<13>fo');
    await closed(other);
    expect(count('connections_closed_total', { reason: 'no_room' })).toBe(1);
    // What it had begun is not lost with it.
    expect(collector.events.at(-1)).toMatchObject({
      record: { message: 'fo' },
      metadata: { truncated: true },
    });
  });

  it('memory that there can never be: the connection is closed at once, and what came is taken', async () => {
    const { client, collector, count, context, reserved } = await open(
      { parser: 'syslog' },
      { largest: 1000 },
    );
    const socket = await client();
    socket.write('<13>one\n<13>tw');
    await collector.reached(1);
    socket.write(`o${'x'.repeat(2000)}`);
    await closed(socket);
    expect(count('connections_closed_total', { reason: 'too_large' })).toBe(1);
    expect(context.log.lines.at(-1)?.fields['reason']).toMatch(/than the 1000 bytes .* raise mem_buf_limit/);
    expect(collector.events.at(-1)).toMatchObject({
      record: { message: `two${'x'.repeat(2000)}` },
      metadata: { truncated: true },
    });
    expect(reserved()).toBe(0);
  });

  it('memory for what goes on: nothing of what came is lost with the connection', async () => {
    const { client, collector, count, setRoom } = await open({ parser: 'syslog', 'net.io_timeout': '200ms' });
    const socket = await client();
    socket.write('<13>one\n<13>tw');
    await collector.reached(1);
    setRoom(0);
    socket.write(`o ${'x'.repeat(2000)}\n<13>three\n<13>fo`);
    await closed(socket);
    expect(count('connections_closed_total', { reason: 'no_room' })).toBe(1);
    expect(collector.events.slice(1)).toMatchObject([
      { record: { message: `two ${'x'.repeat(2000)}` }, metadata: undefined },
      { record: { message: 'three' }, metadata: undefined },
      { record: { message: 'fo' }, metadata: { truncated: true } },
    ]);
  });

  it('noise beside a good stream, of which nothing is missing', async () => {
    const { client, collector, count, reserved } = await open({ parser: 'syslog', buffer_max_size: '500' });
    const good = await client();
    let sent = 0;
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom('9999999999 <1>', '499 <1>', '12', `<13>${'x'.repeat(3000)}`, '\0\n\0')
        .map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(noise, { maxLength: 5 }), async (pieces) => {
        const bad = await client();
        for (const piece of pieces) bad.write(piece);
        for (let index = 0; index < 20; index++) good.write(`<14>good ${sent++}\n`);
        bad.end();
        await closed(bad);
      }),
      { numRuns: 50 },
    );
    const texts = (): unknown[] =>
      collector.records
        .map((record) => record as Record<string, unknown>)
        .filter(({ pri, message }) => pri === '14' && String(message).startsWith('good '))
        .map(({ message }) => message);
    await until(() => texts().length === sent && count('connections') === 1);
    expect(texts()).toEqual(Array.from({ length: sent }, (_, index) => `good ${index}`));
    expect(reserved()).toBe(0);
  });
});

describe('a unix stream socket', () => {
  it('has the permissions that are written, and takes the place of one whose process is gone', async () => {
    const path = join(folder(), 'log');
    const stale = createServer();
    stale.listen(path);
    await once(stale, 'listening');
    // Killed processes leave their sockets behind.
    const { collector, client, input } = await (async () => {
      const { renameSync } = await import('node:fs');
      renameSync(path, `${path}.moved`);
      stale.close();
      await once(stale, 'close');
      renameSync(`${path}.moved`, path);
      return open({
        mode: 'unix_tcp',
        path,
        unix_perm: '0622',
        parser: 'syslog',
        source_address_key: 'from',
      });
    })();
    expect(statSync(path).mode & 0o777).toBe(0o622);
    (await client({ path })).write('<13>app: one\n');
    await collector.reached(1);
    expect(collector.records).toEqual([
      { ...RECORD, ident: 'app', message: 'one', from: 'unix://unavailable' },
    ]);
    await input.stop();
    expect(existsSync(path)).toBe(false);
  });

  it('does not take the place of anything else', async () => {
    const path = join(folder(), 'log');
    writeFileSync(path, 'precious');
    await expect(open({ mode: 'unix_tcp', path })).rejects.toThrow(
      `input.0: listening on path ${path}: there is something else than a socket`,
    );
    rmSync(path);
    await open({ mode: 'unix_tcp', path });
    await expect(open({ mode: 'unix_tcp', path })).rejects.toThrow('another process listens there');
  });
});

it('a port that is taken is a sentence', async () => {
  const { port } = await open();
  await expect(open({ port: String(port) })).rejects.toThrow(
    `listening on 127.0.0.1:${port}: port ${port} is taken by another process`,
  );
});

it('a defect of a reader costs its connection, and no more', async () => {
  const { context } = await open();
  let reads = 0;
  const listener = new StreamListener(
    {
      host: '127.0.0.1',
      port: 0,
      unix: undefined,
      backlog: 10,
      sharePort: false,
      acceptTimeoutMs: 1000,
      stallMs: 1000,
      idleMs: 0,
      maxConnections: 0,
      maxConnectionsPerAddress: 0,
    },
    context,
    undefined,
    () => ({
      isWithin: false,
      read(bytes) {
        if (bytes.includes('bad')) throw new TypeError('a defect');
        reads++;
        return bytes.length;
      },
      end() {},
      flush: () => undefined,
    }),
  );
  const place = await listener.start();
  onTestFinished(() => listener.stop());
  const { client } = await open();
  const bad = await client({ ...(place as { port: number }), host: '127.0.0.1' });
  bad.write('bad');
  await closed(bad);
  expect(context.log.lines.at(-1)?.message).toBe('Taking messages of a connection failed');
  (await client({ ...(place as { port: number }), host: '127.0.0.1' })).write('good');
  await until(() => reads > 0);
});
