import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { HeadBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwsFault, AwsRefusal } from '../../../../plugins/shared/aws/index.ts';
import type { Aws } from '../../../../plugins/shared/aws/index.ts';
import { noAbort } from '../../../contract/support.ts';
import { startProxy, startServer, tlsFile } from '../../../net/servers.ts';
import type { Answer, ServerOptions, TestServer } from '../../../net/servers.ts';
import { awsWith, CANARY_SECRET, CANARY_TOKEN, KEYS, stubAws } from './support.ts';

let servers: TestServer[];
let opened: Aws[];

beforeEach(() => {
  servers = [];
  opened = [];
  stubAws(KEYS);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const aws of opened) await aws.close();
  for (const server of servers) await server.close();
});

const json: Answer = (_request, response) => {
  response.setHeader('content-type', 'application/x-amz-json-1.1');
  response.end('{"logGroups":[{"logGroupName":"ä"}]}');
};
const start = async (
  answer: Answer = json,
  written: Record<string, string> = {},
  serverOptions: ServerOptions = {},
): Promise<{ server: TestServer; aws: Aws; describeGroups: (signal?: AbortSignal) => Promise<unknown> }> => {
  const server = await startServer(answer, serverOptions);
  servers.push(server);
  const scheme = serverOptions.tls === undefined ? 'http' : 'https';
  const aws = await awsWith({ endpoint: `${scheme}://127.0.0.1:${server.port}`, ...written });
  opened.push(aws);
  const client = new CloudWatchLogsClient(aws.clientConfig);
  return {
    server,
    aws,
    describeGroups: async (signal = noAbort()) =>
      aws.call('DescribeLogGroups', signal, async (options) => {
        const { logGroups } = await client.send(new DescribeLogGroupsCommand({}), options);
        return logGroups;
      }),
  };
};
const refusing =
  (status: number, code: string, message = 'why', headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...headers });
    response.end(JSON.stringify({ __type: code, message }));
  };
const failureOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('It was taken.'),
    (error: unknown) => error as Error,
  );

describe('clients of the AWS SDK on our connections', () => {
  it('are signed, say who they are and reuse a connection', async () => {
    const { server, describeGroups } = await start(json, { extra_user_agent: 'team-a/2 extra' });
    for (let n = 0; n < 3; n++) expect(await describeGroups()).toEqual([{ logGroupName: 'ä' }]);
    expect(server.connections).toBeLessThan(3);
    const headers = server.requests[0]?.headers;
    expect(headers?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/logs\//,
    );
    expect(headers?.['user-agent']).toContain('Tailrace/1.2.3 team-a/2 extra');
  });

  it('send bytes as they are, without asking first', async () => {
    const { server, aws } = await start((_request, response) => response.end());
    const s3 = new S3Client({ ...aws.clientConfig, forcePathStyle: true });
    const Body = Buffer.alloc(3 * 1024 * 1024, 'ü');
    await aws.call('PutObject', noAbort(), (options) =>
      s3.send(new PutObjectCommand({ Bucket: 'b', Key: 'a b/ü', Body }), options),
    );
    const [request] = server.requests;
    expect(request).toMatchObject({ method: 'PUT', headers: { 'content-length': String(Body.length) } });
    expect(request?.url).toMatch(/^\/b\/a%20b\/%C3%BC/);
    expect(request?.headers.expect).toBeUndefined();
    expect(request?.body.equals(Body)).toBe(true);
  });

  it('speak to any number of hosts, each with connections of its own', async () => {
    const { server, aws, describeGroups } = await start();
    const other = await startServer(json);
    servers.push(other);
    const client = new CloudWatchLogsClient({
      ...aws.clientConfig,
      endpoint: `http://127.0.0.1:${other.port}`,
    });
    await describeGroups();
    await aws.call('DescribeLogGroups', noAbort(), (options) =>
      client.send(new DescribeLogGroupsCommand({}), options),
    );
    expect([server.connections, other.connections]).toEqual([1, 1]);
  });

  it('go through a proxy', async () => {
    const proxy = await startProxy();
    servers.push(proxy);
    const { describeGroups } = await start(json, { proxy: `http://127.0.0.1:${proxy.port}` });
    await describeGroups();
    expect(proxy.tunnels.length + proxy.requests.length).toBeGreaterThan(0);
  });

  it('verify certificates, by tls.ca_file', async () => {
    const tls = { tls: { certificate: 'server' } };
    const trusting = await start(json, { 'tls.ca_file': tlsFile('ca.pem') }, tls);
    expect(await trusting.describeGroups()).toHaveLength(1);
    const { describeGroups } = await start(json, {}, tls);
    expect((await failureOf(describeGroups())).message).toMatch(
      /^https:\/\/127\.0\.0\.1:\d+: its certificate comes from an unknown authority: set tls\.ca_file/,
    );
  });

  it('give up at once when the agent stops', async () => {
    const stop = new AbortController();
    const reason = new Error('The agent stops.');
    const { describeGroups } = await start(() => stop.abort(reason));
    await expect(describeGroups(stop.signal)).rejects.toBe(reason);
  });

  it('name a host that is unknown', async () => {
    const { describeGroups } = await start(json, { endpoint: 'https://logs.tailrace.invalid' });
    expect((await failureOf(describeGroups())).message).toMatch(
      /^https:\/\/logs\.tailrace\.invalid: the host name (is unknown|cannot be looked up now)/,
    );
  });
});

describe('errors of AWS', () => {
  it('throttling: the whole again, when the service says, without a retry of the SDK’s own', async () => {
    const { server, describeGroups } = await start(
      refusing(400, 'ThrottlingException', 'Rate exceeded', { 'retry-after': '7' }),
    );
    const failure = await failureOf(describeGroups());
    expect(failure).toBeInstanceOf(AwsFault);
    expect(failure).toMatchObject({ code: 'ThrottlingException', throttled: true, retryAfterMs: 7000 });
    expect(failure.message).toMatch(
      /^http:\/\/127\.0\.0\.1:\d+: DescribeLogGroups was answered with 400 ThrottlingException \(Rate exceeded\)$/,
    );
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    [503, 'ServiceUnavailableException', { throttled: true, credentials: false }],
    [500, 'InternalFailure', { throttled: false, credentials: false }],
    [429, 'SlowDown', { throttled: true, credentials: false }],
    [400, 'ExpiredTokenException', { throttled: false, credentials: true }],
    [400, 'UnrecognizedClientException', { throttled: false, credentials: true }],
    [403, 'InvalidSignatureException', { throttled: false, credentials: true }],
    [400, 'AccessDeniedException', { throttled: false, credentials: true }],
    [400, 'ResourceNotFoundException', { throttled: false, credentials: false }],
  ])('%i %s is the destination’s fault', async (status, code, kind) => {
    const { server, describeGroups } = await start(refusing(status, code));
    const failure = await failureOf(describeGroups());
    expect(failure).toBeInstanceOf(AwsFault);
    expect(failure).toMatchObject({ code, status, ...kind });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    [400, 'InvalidParameterException'],
    [400, 'ResourceAlreadyExistsException'],
    [413, 'RequestEntityTooLarge'],
  ])('%i %s is about the request', async (status, code) => {
    const { describeGroups } = await start(refusing(status, code));
    const failure = await failureOf(describeGroups());
    expect(failure).toBeInstanceOf(AwsRefusal);
    expect(failure).toMatchObject({ code, status });
  });

  it('quote no secret, whatever the service says', async () => {
    const { describeGroups } = await start(
      refusing(
        403,
        'InvalidSignatureException',
        `The signature does not match. ${CANARY_SECRET} ${CANARY_TOKEN}\n\nThe Canonical String should have been\nx-amz-security-token:${CANARY_TOKEN}`,
      ),
    );
    const failure = await failureOf(describeGroups());
    expect(failure.message).toContain('check the credentials (The signature does not match. *** ***)');
    expect(failure.message).not.toContain('canary');
  });

  it('an answer without a body goes by its status', async () => {
    const { server, aws } = await start((_request, response) => response.writeHead(404).end());
    const s3 = new S3Client({ ...aws.clientConfig, forcePathStyle: true });
    const failure = await failureOf(
      aws.call('HeadBucket', noAbort(), (options) =>
        s3.send(new HeadBucketCommand({ Bucket: 'b' }), options),
      ),
    );
    expect(failure).toMatchObject({ name: 'AwsFault', code: 'NotFound', status: 404 });
    expect(server.requests[0]?.method).toBe('HEAD');
  });

  it('an answer that is not of AWS is the destination’s fault', async () => {
    const { describeGroups } = await start((_request, response) =>
      response.writeHead(502).end('<html>Bad gateway'),
    );
    expect(await failureOf(describeGroups())).toMatchObject({ name: 'AwsFault', status: 502 });
  });

  it('a defect stays one', async () => {
    const { aws } = await start();
    const client = new CloudWatchLogsClient(aws.clientConfig);
    const failure = await failureOf(
      aws.call('PutLogEvents', noAbort(), (options) =>
        client.send(
          new PutLogEventsCommand({ logGroupName: 'a', logStreamName: 'b', logEvents: 1 as never }),
          options,
        ),
      ),
    );
    expect(failure).not.toBeInstanceOf(AwsFault);
  });
});
