/** The drivers of all inputs that listen, for the contract of listeners. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe } from 'vitest';
import elasticsearch from '../../../plugins/inputs/elasticsearch.ts';
import forward from '../../../plugins/inputs/forward.ts';
import http from '../../../plugins/inputs/http.ts';
import opentelemetry from '../../../plugins/inputs/opentelemetry.ts';
import splunk from '../../../plugins/inputs/splunk.ts';
import syslog from '../../../plugins/inputs/syslog.ts';
import tcp from '../../../plugins/inputs/tcp.ts';
import udp from '../../../plugins/inputs/udp.ts';
import { post } from '../../contract/http-bytes.ts';
import { describeListener } from '../../contract/listener.ts';
import type { Hostile, ListenerDriver } from '../../contract/listener.ts';
import { createParser } from '../parsers/parsing.ts';
import { pack } from '../../support/forward-sender.ts';
import { DATAGRAM_WAYS, useDatagramWay } from '../../support/koffi.ts';

const DEEP = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`;
const ZEROS = Buffer.alloc(5_000_000, '0');

/** What the inputs over HTTP have in common. */
function overHttp(
  path: string,
  type: string,
  body: (text: string) => string,
): Omit<ListenerDriver, 'definition' | 'depth'> {
  const json = { 'content-type': type };
  const refused = (status: number): Pick<Hostile, 'outcome' | 'counted'> => ({
    outcome: new RegExp(`^HTTP/1.1 ${status} `),
    counted: ['requests_total', { code: String(status) }],
  });
  const packed = (encoding: string, bytes: Buffer): Hostile => ({
    name: encoding,
    bytes: post(path, bytes, { ...json, 'content-encoding': encoding }),
    ...refused(413),
  });
  const whole = post(path, body('x'), json);
  const [head = ''] = String(whole).split('\r\n\r\n');
  return {
    transport: 'stream',
    tls: true,
    options: { buffer_max_size: '40k' },
    message: (text) => post(path, body(text), json),
    size: [
      { name: 'a body', bytes: post(path, body('x'.repeat(50_000)), json), ...refused(413) },
      {
        name: 'a body in pieces',
        bytes: Buffer.from(
          `POST ${path} HTTP/1.1\r\nhost: test\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n${`2710\r\n${'x'.repeat(10_000)}\r\n`.repeat(5)}`,
        ),
        ...refused(413),
      },
      {
        name: 'a head',
        bytes: Buffer.from(`POST ${path} HTTP/1.1\r\nhost: test\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`),
        ...refused(431),
      },
      {
        name: 'many header fields',
        bytes: Buffer.from(`POST ${path} HTTP/1.1\r\nhost: test\r\n${'x: 1\r\n'.repeat(5000)}\r\n`),
        ...refused(431),
      },
    ],
    claims: [
      {
        name: 'gigabytes',
        bytes: post(path, '', { ...json, 'content-length': '9999999999' }),
        ...refused(413),
      },
      {
        name: 'a length that is none',
        bytes: post(path, '', { ...json, 'content-length': '9'.repeat(40) }),
        ...refused(400),
      },
      {
        name: 'a piece of gigabytes',
        bytes: Buffer.from(
          `${head.replace(/content-length: \d+/, 'transfer-encoding: chunked')}\r\n\r\nffffffffffffffffff\r\n`,
        ),
        ...refused(400),
      },
    ],
    expansion: [
      packed('gzip', gzipSync(ZEROS)),
      packed('zstd', zstdCompressSync(ZEROS)),
      // Says that it holds two gigabytes.
      packed('snappy', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0x00])),
    ],
    head: {
      name: 'that does not end',
      bytes: whole.subarray(0, 20),
      options: { 'net.accept_timeout': '100ms' },
      ...refused(408),
    },
    stall: {
      name: 'that does not go on',
      bytes: whole.subarray(0, -3),
      options: { 'net.io_timeout': '100ms' },
      ...refused(408),
    },
    idle: {
      name: 'behind a request',
      bytes: whole,
      options: { 'http_server.idle_timeout': '100ms' },
      outcome: /^HTTP\/1.1 2/,
    },
    noRoom: {
      name: 'for a body',
      bytes: post(path, body('x'.repeat(5000)), json),
      ...refused(429),
    },
  };
}

const httpDriver = overHttp('/', 'application/json', (text) => JSON.stringify({ text }));
describeListener('http', {
  ...httpDriver,
  definition: http,
  depth: [
    {
      name: 'JSON',
      bytes: post('/', DEEP, { 'content-type': 'application/json' }),
      outcome: /^HTTP\/1.1 400 /,
      counted: ['requests_total', { code: '400' }],
    },
    {
      name: 'MessagePack',
      bytes: post('/', Buffer.alloc(10_000, 0x91), { 'content-type': 'application/msgpack' }),
      outcome: /^HTTP\/1.1 400 /,
    },
  ],
});

const otlpLogs = (text: string): string =>
  JSON.stringify({
    resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: text } }] }] }],
  });
describeListener('opentelemetry', {
  ...overHttp('/v1/logs', 'application/json', otlpLogs),
  definition: opentelemetry,
  depth: [
    {
      name: 'JSON',
      bytes: post('/v1/logs', DEEP, { 'content-type': 'application/json' }),
      outcome: /^HTTP\/1.1 400 /,
    },
    {
      name: 'Protobuf',
      bytes: post('/v1/logs', deepProto(), { 'content-type': 'application/x-protobuf' }),
      outcome: /^HTTP\/1.1 400 /,
    },
  ],
});

/** A log record whose body is a list in a list in a list. */
function deepProto(): Buffer {
  const field = (tag: number, bytes: Buffer): Buffer => {
    const length: number[] = [];
    let rest = bytes.length;
    for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    return Buffer.concat([Buffer.from([tag, ...length, rest]), bytes]);
  };
  let value = Buffer.from([0x10, 0x01]);
  // AnyValue.array_value = 5, ArrayValue.values = 1.
  for (let depth = 0; depth < 2000; depth++) value = field(0x2a, field(0x0a, value)) as Buffer<ArrayBuffer>;
  // LogRecord.body = 5, ScopeLogs.log_records = 2, ResourceLogs.scope_logs = 2, LogsData.resource_logs = 1.
  return field(0x0a, field(0x12, field(0x12, field(0x2a, value))));
}

describeListener('splunk', {
  ...overHttp('/services/collector/event', 'application/json', (text) => JSON.stringify({ event: text })),
  definition: splunk,
  depth: [
    {
      name: 'JSON',
      bytes: post('/services/collector/event', `{"event":${DEEP}}`, { 'content-type': 'application/json' }),
      outcome: /^HTTP\/1.1 400 /,
    },
  ],
  noRoom: {
    name: 'for a body',
    bytes: post('/services/collector/event', JSON.stringify({ event: 'x'.repeat(5000) })),
    // As Splunk says that it is busy.
    outcome: /^HTTP\/1.1 503 /,
  },
});

const bulk = (text: string): string => `{"create":{}}\n${JSON.stringify({ text })}\n`;
describeListener('elasticsearch', {
  ...overHttp('/_bulk', 'application/x-ndjson', bulk),
  definition: elasticsearch,
  depth: [
    {
      name: 'a document',
      bytes: post('/_bulk', `{"create":{}}\n${DEEP}\n`, { 'content-type': 'application/x-ndjson' }),
      // Each document has a status of its own.
      outcome: /"status":400/,
    },
  ],
});

const closedAs = (reason: string): Pick<Hostile, 'outcome' | 'counted'> => ({
  outcome: 'closed',
  counted: ['connections_closed_total', { reason }],
});

describeListener('forward', {
  definition: forward,
  transport: 'stream',
  tls: true,
  options: { buffer_max_size: '20k' },
  message: (text) => pack(['app', [[1, { text }]]]),
  size: [
    { name: 'a message', bytes: pack(['app', 1, { text: 'x'.repeat(30_000) }]), ...closedAs('too_large') },
  ],
  claims: [
    {
      name: 'gigabytes',
      bytes: Buffer.from([0x92, 0xa1, 0x61, 0xc6, 0xff, 0xff, 0xff, 0xff]),
      ...closedAs('too_large'),
    },
    {
      name: 'billions of events',
      bytes: Buffer.from([0x92, 0xa1, 0x61, 0xdd, 0xff, 0xff, 0xff, 0xff]),
      ...closedAs('too_large'),
    },
  ],
  expansion: [
    { name: 'gzip', bytes: pack(['app', gzipSync(ZEROS), { compressed: 'gzip' }]), ...closedAs('too_large') },
    {
      name: 'zstd',
      bytes: pack(['app', zstdCompressSync(ZEROS), { compressed: 'zstd' }]),
      ...closedAs('too_large'),
    },
  ],
  depth: [
    {
      name: 'MessagePack',
      bytes: Buffer.concat([
        Buffer.from([0x93, 0xa1, 0x61, 0x01]),
        Buffer.alloc(10_000, 0x91),
        Buffer.from([0x01]),
      ]),
      ...closedAs('malformed'),
    },
  ],
  head: {
    name: 'a handshake that does not end',
    bytes: Buffer.alloc(0),
    options: { shared_key: 'key', 'net.accept_timeout': '100ms' },
    isAlone: true,
    ...closedAs('handshake_timeout'),
  },
  stall: {
    name: 'that does not go on',
    bytes: pack(['app', 1, { text: 'x' }]).subarray(0, 5),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('stalled'),
  },
  idle: {
    name: 'behind a message',
    bytes: pack(['app', 1, { text: 'x' }]),
    options: { idle_timeout: '100ms' },
    ...closedAs('idle'),
  },
  noRoom: {
    name: 'for the rest of a message',
    bytes: pack(['app', 1, { text: 'x'.repeat(5000) }]).subarray(0, 4000),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('no_room'),
  },
});

/** What the inputs over streams without answers have in common. */
const STREAM_TIMES = {
  tls: true,
  head: 'there is none; a TLS handshake has its own test',
  expansion: 'nothing is compressed',
} as const;

const cut: Pick<Hostile, 'outcome' | 'counted'> = {
  outcome: 'taken',
  counted: ['long_lines_total', { action: 'cut' }],
};

describeListener('tcp with JSON', {
  ...STREAM_TIMES,
  definition: tcp,
  transport: 'stream',
  options: { buffer_size: '20' },
  message: (text) => Buffer.from(`${JSON.stringify({ text })}\n`),
  size: [
    { name: 'a value', bytes: Buffer.from(`{"a":"${'x'.repeat(90_000)}"}\n`), ...cut },
    { name: 'a line that is no JSON', bytes: Buffer.from(`${'x'.repeat(90_000)}\n`), ...cut },
  ],
  claims: 'there are no lengths',
  depth: [
    {
      name: 'a value',
      bytes: Buffer.from(`${'['.repeat(8000)}${']'.repeat(8000)}\n`),
      outcome: 'taken',
      counted: ['unparsed_records_total', {}],
    },
  ],
  stall: {
    name: 'a value that does not go on',
    bytes: Buffer.from('{"a":'),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('stalled'),
  },
  idle: {
    name: 'behind a value',
    bytes: Buffer.from('{}\n'),
    options: { idle_timeout: '100ms' },
    ...closedAs('idle'),
  },
  noRoom: {
    name: 'for the rest of a value',
    bytes: Buffer.from(`{"a":"${'x'.repeat(5000)}`),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('no_room'),
  },
});

describeListener('tcp with lines', {
  ...STREAM_TIMES,
  definition: tcp,
  transport: 'stream',
  options: { format: 'none', buffer_size: '20' },
  message: (text) => Buffer.from(`${text}\n`),
  size: [{ name: 'a line', bytes: Buffer.from(`${'x'.repeat(90_000)}\n`), ...cut }],
  claims: 'there are no lengths',
  depth: 'nothing nests',
  stall: {
    name: 'a line that does not go on',
    bytes: Buffer.from('x'),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('stalled'),
  },
  idle: {
    name: 'behind a line',
    bytes: Buffer.from('x\n'),
    options: { idle_timeout: '100ms' },
    ...closedAs('idle'),
  },
  noRoom: {
    name: 'for the rest of a line',
    bytes: Buffer.from('x'.repeat(5000)),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('no_room'),
  },
});

/** What those over datagrams have in common. */
const DATAGRAMS = {
  transport: 'datagram',
  tls: false,
  claims: 'there are no lengths',
  expansion: 'nothing is compressed',
  head: 'a datagram is whole',
  stall: 'a datagram is whole',
  idle: 'there are no connections',
  noRoom: 'nobody can wait: the limit of what is kept then has a test of its own',
} as const;

describe.each(DATAGRAM_WAYS)('%s', (way) => {
  useDatagramWay(way);

  describeListener('udp', {
    ...DATAGRAMS,
    definition: udp,
    options: { buffer_size: '20' },
    message: (text) => Buffer.from(JSON.stringify({ text })),
    size: [{ name: 'a value', bytes: Buffer.from(`{"a":"${'x'.repeat(50_000)}"}`), ...cut }],
    depth: [
      {
        name: 'a value',
        bytes: Buffer.from(`${'['.repeat(8000)}${']'.repeat(8000)}`),
        outcome: 'taken',
        counted: ['unparsed_records_total', {}],
      },
    ],
  });
});

const parsers = [createParser({ name: 'syslog', format: 'syslog' })];
const syslogMessage = (text: string): string => `<13>1 2026-11-27T10:00:00Z host app - - - ${text}`;

describeListener('syslog by TCP', {
  ...STREAM_TIMES,
  definition: syslog,
  parsers,
  transport: 'stream',
  options: { mode: 'tcp', parser: 'syslog', buffer_max_size: '20k' },
  message: (text) => Buffer.from(`${syslogMessage(text)}\n`),
  size: [
    { name: 'a line', bytes: Buffer.from(`${syslogMessage('x'.repeat(90_000))}\n`), ...cut },
    {
      name: 'a message with its length',
      bytes: Buffer.from(`50038 ${syslogMessage('x'.repeat(49_999))}`),
      ...cut,
    },
  ],
  claims: [
    { name: 'gigabytes', bytes: Buffer.from('9999999999 <13>x'), ...closedAs('malformed') },
    {
      name: 'a length of many digits',
      bytes: Buffer.from(`${'9'.repeat(100)} <13>x\n`),
      outcome: 'taken',
    },
  ],
  depth: 'nothing nests',
  stall: {
    name: 'a message that does not go on',
    bytes: Buffer.from('<13>x'),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('stalled'),
  },
  idle: {
    name: 'behind a message',
    bytes: Buffer.from(`${syslogMessage('x')}\n`),
    options: { idle_timeout: '100ms' },
    ...closedAs('idle'),
  },
  noRoom: {
    name: 'for the rest of a message',
    bytes: Buffer.from(syslogMessage('x'.repeat(5000))),
    options: { 'net.io_timeout': '100ms' },
    ...closedAs('no_room'),
  },
});

describe.each(DATAGRAM_WAYS)('%s', (way) => {
  useDatagramWay(way);

  describeListener('syslog by UDP', {
    ...DATAGRAMS,
    definition: syslog,
    parsers,
    options: { mode: 'udp', parser: 'syslog', buffer_max_size: '20k' },
    message: (text) => Buffer.from(syslogMessage(text)),
    size: [{ name: 'a message', bytes: Buffer.from(syslogMessage('x'.repeat(50_000))), ...cut }],
    depth: 'nothing nests',
  });
});
