import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { PbfWriter } from 'pbf';
import { describe, expect, it, onTestFinished } from 'vitest';
import opentelemetry from '../../../plugins/outputs/opentelemetry.ts';
import { decodeJsonLogs } from '../../../src/codec/otlp/decode-json.ts';
import { decodeProtoLogs } from '../../../src/codec/otlp/decode-proto.ts';
import { encodeProtoStatus } from '../../../src/codec/otlp/response.ts';
import type { OtlpGroup, OtlpRecord } from '../../../src/codec/otlp/model.ts';
import { RetryableError, SplitError } from '../../../src/plugin.ts';
import type { Outcome, Slice } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import { startServer } from '../../net/servers.ts';
import type { Answer, Received } from '../../net/servers.ts';
import { startGrpcServer } from './opentelemetry/grpc-server.ts';
import type { GrpcAnswer } from './opentelemetry/grpc-server.ts';

const LOCAL = { 'net.proxy_env_ignore': 'on' };
/** OTLP has no integer beyond 64 bits: the one of the contract comes as text. */
const BEYOND = '"12345678901234567890"';

type Logs = (OtlpRecord & OtlpGroup)[];

function logsOf(body: Buffer | string): Logs {
  const logs: Logs = [];
  const take = (record: OtlpRecord, group: OtlpGroup): void => {
    logs.push({ ...record, ...group });
  };
  if (typeof body === 'string') decodeJsonLogs(body, take);
  else decodeProtoLogs(body, take);
  return logs;
}

const recordsOf = (logs: Logs): unknown[] =>
  logs.map(({ body }) => parseExact(body.replace(BEYOND, BEYOND.slice(1, -1))));

for (const encoding of ['protobuf', 'json'] as const) {
  describeOutput(`opentelemetry (${encoding})`, async () => {
    const server = await startServer();
    return {
      output: await createOutput(
        opentelemetry,
        { ...LOCAL, port: String(server.port), encoding },
        contextIn('/'),
      ),
      arrived: () =>
        server.requests.flatMap(({ body }) =>
          recordsOf(logsOf(encoding === 'json' ? body.toString() : body)),
        ),
      cleanUp: () => server.close(),
    };
  });
}

describeOutput('opentelemetry (gRPC)', async () => {
  const server = await startGrpcServer();
  return {
    output: await createOutput(
      opentelemetry,
      { ...LOCAL, port: String(server.port), grpc: 'on' },
      contextIn('/'),
    ),
    arrived: () => server.calls.flatMap(({ message }) => recordsOf(logsOf(message))),
    cleanUp: () => server.close(),
  };
});

const open = async (options: Record<string, string | string[]>, port: number) => {
  const context = contextIn('/');
  const output = await createOutput(opentelemetry, { ...LOCAL, port: String(port), ...options }, context);
  onTestFinished(() => output.close?.());
  return {
    context,
    deliver: (slices: readonly Slice[]): Promise<Outcome> => output.deliver(slices, noAbort()),
  };
};

const byHttp = async (options: Record<string, string | string[]> = {}, answer?: Answer) => {
  const server = await startServer(answer);
  onTestFinished(() => server.close());
  return { server, ...(await open(options, server.port)) };
};

const byGrpc = async (options: Record<string, string | string[]> = {}, answer?: () => GrpcAnswer) => {
  const server = await startGrpcServer(answer);
  onTestFinished(() => server.close());
  return { server, ...(await open({ grpc: 'on', ...options }, server.port)) };
};

/** What a request with these slices holds. */
const sent = async (options: Record<string, string | string[]>, ...slices: Slice[]): Promise<Logs> => {
  const { server, deliver } = await byHttp(options);
  expect(await deliver(slices)).toEqual({});
  expect(server.requests).toHaveLength(1);
  return logsOf(server.requests[0]?.body ?? '');
};

const bodyOf = (logs: Logs): unknown => parseExact(logs[0]?.body ?? 'null');

describe('requests', () => {
  const one = (): Slice[] => [sliceOf('app', ['{"a":1}'])];

  it('are posted with what the options say', async () => {
    const { server, deliver } = await byHttp({
      logs_uri: 'otlp/v1/logs?x=1',
      http_user: 'u',
      http_passwd: 'p',
      header: ['X-Tenant shop', 'User-Agent mine'],
    });
    await deliver(one());
    const { method, url, headers } = server.requests[0] as Received;
    expect([method, url, headers['content-type']]).toEqual([
      'POST',
      '/otlp/v1/logs?x=1',
      'application/x-protobuf',
    ]);
    expect(headers).toMatchObject({ authorization: 'Basic dTpw', 'x-tenant': 'shop', 'user-agent': 'mine' });
  });

  it('are compressed', async () => {
    for (const [compress, decompress] of [
      ['gzip', gunzipSync],
      ['zstd', zstdDecompressSync],
    ] as const) {
      const { server, deliver } = await byHttp({ compress, encoding: 'json' });
      await deliver(one());
      const { headers, body } = server.requests[0] as Received;
      expect([headers['content-encoding'], headers['content-type']]).toEqual([compress, 'application/json']);
      expect(recordsOf(logsOf(decompress(body).toString()))).toEqual([{ a: 1 }]);
    }
  });

  it('go by gRPC, compressed or not', async () => {
    for (const options of [{}, { compress: 'gzip' }, { compress: 'zstd' }]) {
      const { server, deliver } = await byGrpc({ ...options, header: 'x-tenant shop' });
      expect(await deliver(one())).toEqual({});
      expect(await deliver(one())).toEqual({});
      expect(server.calls).toHaveLength(2);
      const [{ headers, message }] = server.calls as [(typeof server.calls)[0]];
      expect(headers).toMatchObject({
        ':path': '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
        'content-type': 'application/grpc',
        te: 'trailers',
        'x-tenant': 'shop',
      });
      expect(recordsOf(logsOf(message))).toEqual([{ a: 1 }]);
    }
  });

  it('go by HTTP/2 where it is forced', async () => {
    const { deliver, server } = await byGrpc({ grpc: 'off', http2: 'force' }, () => ({ httpStatus: 200 }));
    expect(await deliver(one())).toEqual({});
    expect(server.calls[0]?.headers[':path']).toBe('/v1/logs');
  });
});

describe('bodies', () => {
  it('are the record, or what is under log or message, the rest as attributes', async () => {
    const logs = await sent(
      {},
      sliceOf('app', [
        '{"a":1}',
        '{"log":"text","n":2.0}',
        '{"message":{"x":1},"log":null}',
        '{"message":5}',
      ]),
    );
    expect(logs.map(({ body, fields }) => [body, fields['attributes']])).toEqual([
      ['{"a":1}', undefined],
      ['"text"', { n: 2 }],
      ['null', { message: { x: 1 } }],
      ['5', undefined],
    ]);
  });

  it('are what logs_body_key finds first', async () => {
    const options = { logs_body_key: ["$k['text']", '$b'] };
    const record = '{"k":{"text":"t","other":[1]},"b":2,"log":"no"}';
    const [both] = await sent(options, sliceOf('app', [record]));
    expect([both?.body, both?.fields['attributes']]).toEqual(['"t"', { k: { other: [1] }, b: 2, log: 'no' }]);
    const [second] = await sent(options, sliceOf('app', ['{"b":2,"log":"no"}']));
    expect([second?.body, second?.fields['attributes']]).toEqual(['2', { log: 'no' }]);
    const [none] = await sent(options, sliceOf('app', ['{"log":"whole"}']));
    expect(none?.body).toBe('{"log":"whole"}');
    const [alone] = await sent(
      { ...options, logs_body_key_attributes: 'off' },
      sliceOf('app', ['{"b":2,"log":"no"}']),
    );
    expect([alone?.body, alone?.fields['attributes']]).toEqual(['2', undefined]);
  });
});

describe('fields', () => {
  const traceId = '5b8efff798038103d269b633813fc60c';
  const spanId = 'eee19b7ec3c1b174';

  it('have the time of the event, and nothing else', async () => {
    const [log] = await sent(
      {},
      sliceOf('app', [{ record: '{}', seconds: 1_700_000_000, nanos: 123_456_789 }]),
    );
    expect(log).toMatchObject({ time: 1_700_000_000_123_456_789n, resource: {}, scope: {} });
    expect(log?.fields).toEqual({ timestamp: 1_700_000_000_123_456_789n });
  });

  it('come from keys of the record', async () => {
    const record = JSON.stringify({
      SpanId: spanId,
      TraceId: traceId,
      SeverityText: 'WARN',
      SeverityNumber: 13,
    });
    const [log] = await sent({}, sliceOf('app', [record]));
    expect(log?.fields).toMatchObject({
      span_id: spanId,
      trace_id: traceId,
      severity_text: 'WARN',
      severity_number: 13,
    });
    expect(bodyOf(log === undefined ? [] : [log])).toEqual(JSON.parse(record));
    const [other] = await sent(
      { logs_trace_id_message_key: "$ids['trace']", logs_severity_text_message_key: 'level' },
      sliceOf('app', [JSON.stringify({ ids: { trace: traceId }, level: 'info' })]),
    );
    expect(other?.fields).toMatchObject({ trace_id: traceId, severity_text: 'info' });
    const [wrong] = await sent(
      {},
      sliceOf('app', ['{"SpanId":"x","TraceId":5,"SeverityText":1,"SeverityNumber":99}']),
    );
    expect(Object.keys(wrong?.fields ?? {})).toEqual(['timestamp']);
  });

  it('come from keys of the metadata, which are attributes too', async () => {
    const metadata = {
      ObservedTimestamp: 5,
      Timestamp: 6,
      SeverityText: 'INFO',
      SeverityNumber: 9,
      TraceFlags: 1,
      SpanId: spanId,
      TraceId: traceId,
      Attributes: { a: 1 },
    };
    const [log] = await sent({}, sliceOf('app', [{ record: '{"SeverityText":"no"}', metadata }]));
    expect(log?.fields).toEqual({
      observed_timestamp: 5,
      timestamp: 6,
      severity_text: 'INFO',
      severity_number: 9,
      trace_flags: 1,
      span_id: spanId,
      trace_id: traceId,
      attributes: { ...metadata, a: 1 },
    });
  });

  it('come from what an OTLP input said', async () => {
    const otlp = {
      observed_timestamp: 1_700_000_000_500_000_000n,
      severity_text: 'ERROR',
      severity_number: 17,
      attributes: { a: [true] },
      dropped_attributes_count: 2,
      trace_flags: 1,
      span_id: spanId,
      trace_id: traceId,
      event_name: 'e',
    };
    const resource = { attributes: { 'service.name': 's' }, schema_url: 'r' };
    const [log] = await sent(
      {},
      sliceOf('app', [
        { record: '{"message":"m","log":"l"}', metadata: { otlp, resource, scope: { name: 'n' }, own: 1 } },
      ]),
    );
    // Its time was that of its observation: it had none of its own.
    expect(log).toMatchObject({ time: otlp.observed_timestamp, body: '"l"', resource, scope: { name: 'n' } });
    expect(log?.fields).toEqual({ ...otlp, attributes: { own: 1, message: 'm', a: [true] } });
    const [map] = await sent(
      {},
      sliceOf('app', [{ record: '{"log":"l","a":1}', metadata: { otlp: { body_type: 'map' } } }]),
    );
    expect(map?.body).toBe('{"log":"l","a":1}');
  });
});

describe('groups', () => {
  it('are put together by what resource and scope are, in order', async () => {
    const { server, deliver } = await byHttp({ encoding: 'json' });
    const event = (n: number, service: string, scope: string) => ({
      record: `{"n":${n}}`,
      metadata: { otlp: {}, resource: { attributes: { service } }, scope: { name: scope } },
    });
    await deliver([
      sliceOf('app', [event(1, 'a', 'x'), event(2, 'b', 'x'), event(3, 'a', 'x'), event(4, 'a', 'y')]),
      sliceOf('other', ['{"n":5}', event(6, 'b', 'x')]),
    ]);
    const request = JSON.parse(server.requests[0]?.body.toString() ?? '') as {
      resourceLogs: { scopeLogs: { scope: { name?: string }; logRecords: { body: unknown }[] }[] }[];
    };
    expect(
      request.resourceLogs.map(({ scopeLogs }) =>
        scopeLogs.map(({ scope, logRecords }) => [scope.name, logRecords.length]),
      ),
    ).toEqual([
      [
        ['x', 2],
        ['y', 1],
      ],
      [['x', 2]],
      [[undefined, 1]],
    ]);
  });
});

/** ExportLogsServiceResponse with a partial success. */
function partial(rejected: number, message: string): Buffer {
  const writer = new PbfWriter();
  writer.writeMessage(
    1,
    (_none, inner) => {
      if (rejected > 0) inner.writeVarintField(1, rejected);
      inner.writeStringField(2, message);
    },
    undefined,
  );
  return Buffer.from(writer.finish());
}

/** A Status with a RetryInfo. */
function status(code: number, message: string, seconds: number): Buffer {
  const details = new PbfWriter();
  details.writeMessage(
    3,
    (_any, any) => {
      any.writeStringField(1, 'type.googleapis.com/google.rpc.RetryInfo');
      any.writeMessage(
        2,
        (_info, info) =>
          info.writeMessage(1, (_delay, delay) => delay.writeVarintField(1, seconds), undefined),
        undefined,
      );
    },
    undefined,
  );
  return Buffer.concat([encodeProtoStatus(code, message), details.finish()]);
}

describe('answers by HTTP', () => {
  const failing = async (answer: Answer, options: Record<string, string> = {}): Promise<unknown> => {
    const { deliver } = await byHttp(options, answer);
    return deliver([sliceOf('app', ['{}'])]).then(
      () => undefined,
      (error: unknown) => error,
    );
  };

  it('show the words of a Status', async () => {
    const proto = await failing((_request, response) => {
      response.writeHead(400, { 'content-type': 'application/x-protobuf' });
      response.end(encodeProtoStatus(3, 'bad record'));
    });
    expect(proto).toBeInstanceOf(SplitError);
    expect((proto as SplitError).message).toMatch(/\/v1\/logs answered 400 \(bad record\)$/);
    const json = await failing(
      (_request, response) => {
        response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '7' });
        response.end('{"code":14,"message":"busy"}');
      },
      { encoding: 'json' },
    );
    expect(json).toBeInstanceOf(RetryableError);
    expect(json).toMatchObject({ retryAfterMs: 7000, message: expect.stringMatching(/503 \(busy\)$/) });
    const hidden = await failing((_request, response) => response.writeHead(401).end('secret'), {
      log_response_payload: 'off',
    });
    expect((hidden as Error).message).toMatch(/answered 401: check user and password or token$/);
  });

  it('that take a part alone make dead letters of all, with the count', async () => {
    for (const [encoding, type, body] of [
      ['protobuf', 'application/x-protobuf', partial(2, 'too old')],
      ['json', 'application/json', '{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}'],
    ] as const) {
      const { deliver, context } = await byHttp({ encoding }, (_request, response) => {
        response.writeHead(200, { 'content-type': type });
        response.end(body);
      });
      const { rejected = [] } = await deliver([sliceOf('a', ['{}', '{}']), sliceOf('b', ['{}'])]);
      expect(rejected.map(({ index }) => index)).toEqual([0, 1, 2]);
      expect(rejected[0]?.reason).toMatch(/refused 2 of the 3 records of the request: too old$/);
      const counted = context.metrics.counter('tailrace_output_partial_rejected_records_total', '');
      expect(counted.sum({ output: 'out' })).toBe(2);
      expect(context.log.lines.map(({ message, fields }) => [message, fields['reason']])).toEqual([
        ['The destination refused some records of a request and does not say which', 'too old'],
      ]);
    }
  });

  it('that take a part alone are accepted where that is said, unless nothing was taken', async () => {
    let rejected = 1;
    const { deliver, context } = await byHttp({ on_partial_success: 'accept' }, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-protobuf' });
      response.end(partial(rejected, 'no'));
    });
    expect(await deliver([sliceOf('a', ['{}', '{}'])])).toEqual({});
    rejected = 2;
    expect((await deliver([sliceOf('a', ['{}', '{}'])])).rejected).toHaveLength(2);
    expect(
      context.metrics.counter('tailrace_output_partial_rejected_records_total', '').sum({ output: 'out' }),
    ).toBe(3);
  });

  it('that only warn are logged', async () => {
    const { deliver, context } = await byHttp({}, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-protobuf' });
      response.end(partial(0, 'deprecated'));
    });
    for (let n = 0; n < 3; n++) expect(await deliver([sliceOf('a', ['{}'])])).toEqual({});
    expect(context.log.lines.map(({ fields }) => fields['message'])).toEqual(['deprecated']);
  });

  it('need not be of OTLP', async () => {
    const { deliver } = await byHttp({}, (_request, response) => response.end('\u0000 whatever'));
    expect(await deliver([sliceOf('a', ['{}'])])).toEqual({});
  });
});

describe('answers by gRPC', () => {
  const failing = async (answer: GrpcAnswer): Promise<unknown> => {
    const { deliver } = await byGrpc({}, () => answer);
    return deliver([sliceOf('app', ['{}'])]).then(
      () => undefined,
      (error: unknown) => error,
    );
  };

  it.each([1, 4, 5, 7, 10, 11, 12, 14, 15, 16])('are retried: %i', async (code) => {
    expect(await failing({ status: code, message: 'why: 100 %' })).toBeInstanceOf(RetryableError);
  });

  it.each([2, 3, 6, 8, 9, 13, 99])('halve the request: %i', async (code) => {
    const error = await failing({ status: code, message: 'why' });
    expect(error).toBeInstanceOf(SplitError);
    expect(error).toMatchObject({ status: code, message: expect.stringMatching(/ answered \w+ \(why\)$/) });
  });

  it('say when to come again', async () => {
    for (const code of [8, 14]) {
      const error = await failing({ status: code, message: 'slow down', details: status(code, 'x', 3) });
      expect(error).toBeInstanceOf(RetryableError);
      expect(error).toMatchObject({ retryAfterMs: 3000 });
    }
  });

  it('take a part, or warn', async () => {
    const { deliver } = await byGrpc({}, () => ({ body: partial(1, 'late') }));
    expect((await deliver([sliceOf('a', ['{}'])])).rejected?.[0]?.reason).toMatch(
      /refused 1 of the 1 .*late/,
    );
  });

  it('are none of gRPC', async () => {
    expect(await failing({ httpStatus: 200 })).toMatchObject({
      name: 'RetryableError',
      message: expect.stringMatching(/did not answer by gRPC: is the port right\? \(HTTP 200\)/),
    });
    expect(await failing({ httpStatus: 502 })).toMatchObject({
      message: expect.stringMatching(/answered 502/),
    });
  });
});

describe('the check', () => {
  it.each<[Record<string, string | string[]>, RegExp[]]>([
    [{}, []],
    [{ aws_auth: 'on' }, [/aws_auth is not there yet/]],
    [{ 'oauth2.*': 'enable on' }, [/oauth2/]],
    [{ grpc: 'on', encoding: 'json' }, [/encoding is of requests by HTTP/]],
    [{ grpc: 'on', proxy: 'http://p:1' }, [/proxy carries no unencrypted HTTP\/2/]],
    [{ logs_uri: '/a b' }, [/logs_uri holds a character/]],
    [{ logs_body_key: ['$a', '$a.b'] }, [/logs_body_key cannot be read/]],
    [{ logs_trace_id_message_key: '$a.b' }, [/logs_trace_id_message_key cannot be read/]],
    [{ header: 'Content-Length 5' }, [/header sets Content-Length/]],
  ])('finds in %j', (written, problems) => {
    expect(problemsOf(opentelemetry, written)).toEqual(
      problems.map((problem) => expect.stringMatching(problem)),
    );
  });
});
