import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Aws } from '../../../../plugins/shared/aws/index.ts';
import { RetryableError } from '../../../../src/plugin.ts';
import { noAbort } from '../../../contract/support.ts';
import { startServer } from '../../../net/servers.ts';
import type { Answer, TestServer } from '../../../net/servers.ts';
import { awsWith, CANARY_SECRET, CANARY_TOKEN, KEYS, stubAws } from './support.ts';

const HOUR_MS = 3_600_000;

let folder: string;
let servers: TestServer[];
let opened: Aws[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tailrace-aws-'));
  servers = [];
  opened = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const aws of opened) await aws.close();
  for (const server of servers) await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const serve = async (answer: Answer): Promise<{ server: TestServer; url: string }> => {
  const server = await startServer(answer);
  servers.push(server);
  return { server, url: `http://127.0.0.1:${server.port}` };
};
const open = async (written: Record<string, string> = {}): Promise<Aws> => {
  const aws = await awsWith(written);
  opened.push(aws);
  return aws;
};
/** The access key that a request would be signed with. */
const keyOf = async (aws: Aws): Promise<string> => (await aws.clientConfig.credentials()).accessKeyId;
const failureOf = (aws: Aws): Promise<unknown> =>
  aws.call('PutLogEvents', noAbort(), () => Promise.resolve()).catch((error: unknown) => error);

const containerAnswer = (key: string, expiresInMs: number): string =>
  JSON.stringify({
    AccessKeyId: key,
    SecretAccessKey: CANARY_SECRET,
    Token: CANARY_TOKEN,
    Expiration: new Date(Date.now() + expiresInMs).toISOString(),
  });

/** What STS answers with. */
const assumed = (
  action: string,
  key: string,
): string => `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <${action}Result><Credentials><AccessKeyId>${key}</AccessKeyId><SecretAccessKey>${CANARY_SECRET}</SecretAccessKey>
  <SessionToken>${CANARY_TOKEN}</SessionToken><Expiration>${new Date(Date.now() + HOUR_MS).toISOString()}</Expiration></Credentials>
  <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/x/y</Arn><AssumedRoleId>A:y</AssumedRoleId></AssumedRoleUser>
  </${action}Result></${action}Response>`;

describe('AWS credentials', () => {
  it('come from the environment first', async () => {
    stubAws(KEYS);
    expect(await keyOf(await open())).toBe('AKIDEXAMPLE');
  });

  it('come from a profile; a changed file is read again once they were refused', async () => {
    const file = join(folder, 'credentials');
    const write = (key: string): void =>
      writeFileSync(file, `[logs]\naws_access_key_id = ${key}\naws_secret_access_key = ${CANARY_SECRET}\n`);
    write('AKIDONE');
    stubAws({ ...KEYS, AWS_SHARED_CREDENTIALS_FILE: file });
    const aws = await open({ profile: 'logs' });
    expect(await keyOf(aws)).toBe('AKIDONE');
    write('AKIDTWO');
    expect(await keyOf(aws)).toBe('AKIDONE');
    aws.forgetCredentials();
    expect(await keyOf(aws)).toBe('AKIDTWO');
  });

  it('come from the container (ECS, EKS pod identity) and are fetched anew before they run out', async () => {
    const lives = [60_000, HOUR_MS];
    const { server, url } = await serve((_request, response, index) => {
      response.end(containerAnswer(`AKID${index}`, lives[index] ?? HOUR_MS));
    });
    stubAws({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'pod-token',
    });
    const aws = await open();
    expect([await keyOf(aws), await keyOf(aws), await keyOf(aws)]).toEqual(['AKID0', 'AKID1', 'AKID1']);
    expect(server.requests.map(({ url: path, headers }) => [path, headers.authorization])).toEqual([
      ['/credentials', 'pod-token'],
      ['/credentials', 'pod-token'],
    ]);
  });

  it('are kept as long as they are good when they cannot be fetched anew', async () => {
    const { url } = await serve((_request, response, index) => {
      if (index === 0) response.end(containerAnswer('AKID0', 60_000));
      else response.writeHead(500).end();
    });
    stubAws({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url });
    const aws = await open();
    expect([await keyOf(aws), await keyOf(aws)]).toEqual(['AKID0', 'AKID0']);
  });

  it('come from the instance metadata', async () => {
    const { server, url } = await serve((request, response) => {
      if (request.method === 'PUT') response.end('metadata-token');
      else if (request.url.endsWith('/security-credentials/')) response.end('node-role');
      else response.end(containerAnswer('AKIDNODE', HOUR_MS));
    });
    stubAws({ AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: url });
    expect(await keyOf(await open())).toBe('AKIDNODE');
    expect(server.requests.at(-1)).toMatchObject({
      url: '/latest/meta-data/iam/security-credentials/node-role',
      headers: { 'x-aws-ec2-metadata-token': 'metadata-token' },
    });
  });

  it('come from a web identity (IRSA)', async () => {
    const { server, url } = await serve((_request, response) => {
      response.setHeader('content-type', 'text/xml');
      response.end(assumed('AssumeRoleWithWebIdentity', 'AKIDIRSA'));
    });
    const token = join(folder, 'token');
    writeFileSync(token, 'a.web.token');
    stubAws({
      AWS_WEB_IDENTITY_TOKEN_FILE: token,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/irsa',
      AWS_ENDPOINT_URL_STS: url,
    });
    expect(await keyOf(await open())).toBe('AKIDIRSA');
    expect(server.requests[0]?.body.toString()).toContain('WebIdentityToken=a.web.token');
  });

  describe('with a role on top', () => {
    const role = {
      role_arn: 'arn:aws:iam::123456789012:role/logs',
      external_id: 'ext-1',
    };

    it('assume it at the STS endpoint, with the external id', async () => {
      const { server, url } = await serve((_request, response) => {
        response.setHeader('content-type', 'text/xml');
        response.end(assumed('AssumeRole', 'AKIDROLE'));
      });
      stubAws(KEYS);
      const aws = await open({ ...role, sts_endpoint: url });
      expect([await keyOf(aws), await keyOf(aws)]).toEqual(['AKIDROLE', 'AKIDROLE']);
      expect(server.requests).toHaveLength(1);
      const form = new URLSearchParams(server.requests[0]?.body.toString());
      expect(Object.fromEntries(form)).toMatchObject({
        Action: 'AssumeRole',
        RoleArn: role.role_arn,
        ExternalId: 'ext-1',
        RoleSessionName: 'tailrace',
      });
      expect(server.requests[0]?.headers.authorization).toContain('Credential=AKIDEXAMPLE/');
    });

    it('say what to do when it cannot be assumed, once, without secrets', async () => {
      const { server, url } = await serve((_request, response) => {
        response.writeHead(403, { 'content-type': 'text/xml' });
        response.end(
          `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>No. ${CANARY_SECRET} ${CANARY_TOKEN}</Message></Error></ErrorResponse>`,
        );
      });
      stubAws(KEYS);
      const failure = (await failureOf(await open({ ...role, sts_endpoint: url }))) as Error;
      expect(failure).toBeInstanceOf(RetryableError);
      expect(failure.message).toMatch(
        /^https:\/\/logs\.eu-central-1\.amazonaws\.com: PutLogEvents was not sent: the role arn:aws:iam::123456789012:role\/logs cannot be assumed: check that its trust policy.*\(No\. \*\*\* \*\*\*\)$/,
      );
      expect(server.requests).toHaveLength(1);
    });
  });

  it('name every place that was looked at when there are none', async () => {
    stubAws();
    const failure = (await failureOf(await open())) as Error;
    expect(failure).toBeInstanceOf(RetryableError);
    expect(failure.message).toContain(
      'there are no AWS credentials that can be used: give the agent an identity',
    );
    for (const place of ['AWS_ACCESS_KEY_ID', 'profile "default"', 'AWS_WEB_IDENTITY_TOKEN_FILE'])
      expect(failure.message).toContain(place);
  });

  it('do not hold up an attempt that is given up', async () => {
    const { server, url } = await serve(() => stop.abort(reason));
    const stop = new AbortController();
    const reason = new Error('The agent stops.');
    stubAws({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url });
    const aws = await open();
    await expect(aws.call('PutLogEvents', stop.signal, () => Promise.resolve())).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
  });
});

describe('the AWS region', () => {
  it.each([
    ['the environment', { AWS_REGION: 'us-west-2', AWS_DEFAULT_REGION: 'us-east-2' }, {}, 'us-west-2'],
    ['the environment, by its older name', { AWS_DEFAULT_REGION: 'us-east-2' }, {}, 'us-east-2'],
    ['the profile', {}, { profile: 'logs' }, 'sa-east-1'],
  ])('comes from %s', async (_where, variables, written, region) => {
    const file = join(folder, 'config');
    writeFileSync(file, '[profile logs]\nregion = sa-east-1\n');
    stubAws({ ...variables, AWS_CONFIG_FILE: file });
    expect((await open({ region: '', ...written })).region).toBe(region);
  });

  it('is asked for where there is none', async () => {
    stubAws();
    await expect(open({ region: '' })).rejects.toThrow(/There is no AWS region: set region/);
  });
});
