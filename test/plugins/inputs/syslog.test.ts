import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import syslog from '../../../plugins/inputs/syslog.ts';
import { optionsOf } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { closed, open } from './syslog/opening.ts';
import type { Opened } from './syslog/opening.ts';

const problems = (written: Record<string, string>): string[] =>
  (syslog.check?.(optionsOf(syslog.options, written), []) ?? []).map(
    ({ key, message }) => `${key} ${message}`,
  );

describe('options', () => {
  it("are Fluent Bit's, but for where it listens, the framing and the size of messages", () => {
    expect(optionsOf(syslog.options, {})).toMatchObject({
      mode: 'unix_udp',
      listen: '127.0.0.1',
      port: 5140,
      format: 'auto',
      buffer_max_size: 1_000_000,
      receive_buffer_size: undefined,
      max_connections: 1024,
    });
    expect(optionsOf(syslog.options, { mode: 'TCP', format: 'octet' })).toMatchObject({ mode: 'tcp' });
  });

  it.each<[string, Record<string, string>, string[]]>([
    ['TCP', { mode: 'tcp' }, []],
    ['UDP', { mode: 'udp', receive_buffer_size: '4M' }, []],
    ['a unix socket', { mode: 'unix_tcp', path: '/run/x', unix_perm: '0666' }, []],
    [
      'no path',
      {},
      [
        'path is missing: mode unix_udp, the default, needs the path of the socket. For the network set mode to tcp or udp',
      ],
    ],
    [
      'what is for unix sockets',
      { mode: 'tcp', path: '/run/x', unix_perm: '0666' },
      ['path has no effect: it is for unix sockets', 'unix_perm has no effect: it is for unix sockets'],
    ],
    [
      'permissions that are none',
      { mode: 'unix_tcp', path: '/run/x', unix_perm: 'rw' },
      ['unix_perm is no octal mode: write 0660, for instance'],
    ],
    [
      'TLS with datagrams',
      {
        mode: 'udp',
        tls: 'on',
        'tls.crt_file': '/a',
        'tls.key_file': '/b',
      },
      ['tls does not go with mode udp: datagrams are not encrypted; set mode to tcp'],
    ],
    [
      'a receive buffer for streams',
      { mode: 'tcp', receive_buffer_size: '1M' },
      [
        'receive_buffer_size has no effect with mode tcp: the kernel sizes the buffers of streams, and senders wait for them',
      ],
    ],
    [
      'sizes that are none',
      { mode: 'tcp', buffer_max_size: '100', 'net.accept_timeout': '0' },
      [
        'net.accept_timeout must be at least 1ms: nothing could be done in no time',
        'buffer_max_size must be from 480 bytes to 16M',
      ],
    ],
    [
      'the whole network',
      { mode: 'udp', listen: '0.0.0.0' },
      [
        'listen can be reached from other machines, and there is neither encryption nor authentication: who reaches it can send records',
      ],
    ],
  ])('%s', (_name, written, expected) => {
    expect(problems(written)).toEqual(expected);
  });

  it('a mode that is none', () => {
    expect(() => optionsOf(syslog.options, { mode: 'unknown' })).toThrow(
      'is none of unix_udp, unix_tcp, tcp, udp',
    );
  });

  it('the parsers of Fluent Bit are there unnamed', () => {
    const parsers = (written: Record<string, string>) =>
      syslog.defaultParsers?.(optionsOf(syslog.options, written));
    expect(parsers({ mode: 'tcp' })).toEqual(['syslog-rfc5424']);
    expect(parsers({ mode: 'udp' })).toEqual(['syslog-rfc5424']);
    expect(parsers({ mode: 'unix_tcp' })).toEqual(['syslog-rfc3164-local']);
    expect(parsers({})).toEqual(['syslog-rfc3164-local']);
    expect(parsers({ mode: 'tcp', parser: 'x' })).toEqual([]);
  });
});

async function sent(written: Record<string, string>, lines: readonly string[]): Promise<Opened> {
  const opened = await open(written);
  (await opened.client()).end(lines.map((line) => `${line}\n`).join(''));
  await opened.collector.reached(lines.length);
  return opened;
}

describe('parsers', () => {
  it("unnamed: Fluent Bit's, and what it does not take is recognised, or kept and counted", async () => {
    const { collector, count, context } = await sent({}, [
      '<34>1 2003-10-11T22:14:15.003Z h su - ID47 [a b="c"] text',
      '<34>2003-10-11T22:14:15Z h su[1]: text',
      'nothing of the kind',
      'nor this',
    ]);
    expect(collector.records).toEqual([
      {
        pri: '34',
        time: '2003-10-11T22:14:15.003Z',
        host: 'h',
        ident: 'su',
        pid: '-',
        msgid: 'ID47',
        extradata: '[a b="c"]',
        message: 'text',
      },
      {
        pri: '34',
        facility: 'auth',
        severity: 'crit',
        time: '2003-10-11T22:14:15Z',
        host: 'h',
        ident: 'su',
        pid: '1',
        message: 'text',
      },
      { log: 'nothing of the kind' },
      { log: 'nor this' },
    ]);
    expect(collector.events.slice(0, 2).map(({ seconds, nanos }) => [seconds, nanos])).toEqual([
      [1065910455, 3_000_000],
      [1065910455, 0],
    ]);
    expect(count('unparsed_records_total')).toBe(2);
    expect(context.log.lines.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({
        message: 'Cannot parse some messages; they go on as they are, under "log"',
        fields: expect.objectContaining({ count: 1, parser: 'syslog-rfc5424' }),
      }),
    ]);
  });

  it('named: what it does not take is kept and counted', async () => {
    const line = '<34>Oct 11 22:14:15 h su: text';
    const { collector, count } = await sent({ parser: 'syslog-rfc5424', raw_message_key: 'raw' }, [line]);
    expect(collector.records).toEqual([{ log: line, raw: line }]);
    expect(count('unparsed_records_total')).toBe(1);
  });

  it('a message without a time has that of its arrival', async () => {
    const before = Date.now();
    const { collector } = await sent({ parser: 'syslog' }, ['<13>text']);
    const { seconds, nanos } = collector.events[0] as (typeof collector.events)[number];
    const time = seconds * 1000 + nanos / 1e6;
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });
});

describe('TLS', () => {
  const KEYS = { tls: 'on', 'tls.crt_file': tlsFile('server.pem'), 'tls.key_file': tlsFile('server.key') };
  const ca = readFileSync(tlsFile('ca.pem'));

  async function client(port: number, options: ConnectionOptions = {}) {
    const socket = connectTls({ host: '127.0.0.1', port, ca, ...options });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    await new Promise((resolve) => {
      // Who is refused may hear of it before the handshake has ended for itself.
      socket.once('secureConnect', resolve).once('close', resolve);
    });
    return socket;
  }

  it('takes messages that come encrypted', async () => {
    const { port, collector } = await open({ ...KEYS, parser: 'syslog' });
    (await client(port)).end('8 <13>one\n<13>two\n');
    await collector.reached(2);
    expect(collector.records).toMatchObject(
      [{ message: 'one' }, { message: 'two' }].map(({ message }) => ({
        message: expect.stringContaining(message) as string,
      })),
    );
  });

  it('lets in who has a certificate of an authority that is known, where that is asked for', async () => {
    const { port, collector, count } = await open({
      ...KEYS,
      parser: 'syslog',
      'tls.verify_client_cert': 'on',
      'tls.ca_file': tlsFile('ca.pem'),
    });
    const stranger = await client(port);
    stranger.write('<13>no\n');
    await closed(stranger);
    expect(count('connections_failed_total')).toBe(1);
    const known = await client(port, {
      cert: readFileSync(tlsFile('client.pem')),
      key: readFileSync(tlsFile('client-encrypted.key')),
      passphrase: 'secret',
    });
    known.write('<13>yes\n');
    await collector.reached(1);
    expect(collector.records).toMatchObject([{ message: 'yes' }]);
  });

  it('who does not end the handshake in time is sent away', async () => {
    const { port, count } = await open({ ...KEYS, 'net.accept_timeout': '50ms' });
    const socket = connectTcp(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    await closed(socket);
    expect(count('connections_failed_total')).toBe(1);
  });
});
