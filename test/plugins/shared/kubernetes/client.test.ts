import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeClient } from '../../../../plugins/shared/kubernetes/api/client.ts';
import { ApiFailure } from '../../../../plugins/shared/kubernetes/api/failure.ts';
import { pagesOf } from '../../../../plugins/shared/kubernetes/api/list.ts';
import type { ApiSettings } from '../../../../plugins/shared/kubernetes/api/settings.ts';
import { startServer } from '../../../net/servers.ts';
import type { Answer, TestServer } from '../../../net/servers.ts';

const signal = new AbortController().signal;

describe('KubeClient', () => {
  let folder: string;
  let cleanUps: (() => Promise<void> | void)[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tailrace-client-'));
    cleanUps = [() => rmSync(folder, { recursive: true })];
  });

  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const open = async (answer: Answer, more: Partial<ApiSettings> = {}): Promise<[KubeClient, TestServer]> => {
    const server = await startServer(answer);
    cleanUps.push(() => server.close());
    const settings = { host: '127.0.0.1', port: server.port, tls: undefined, userAgent: 'tailrace/1' };
    const token = { tokenFile: undefined, tokenCommand: undefined, tokenTtlMs: 600_000 };
    const client = await KubeClient.create({ ...settings, ...token, ...more }, () => undefined);
    cleanUps.push(() => client.close());
    return [client, server];
  };
  const failureOf = (work: Promise<unknown>): Promise<ApiFailure> =>
    work.then(
      () => {
        throw new Error('It did not fail.');
      },
      (error: unknown) => error as ApiFailure,
    );
  const get = (client: KubeClient): Promise<unknown> =>
    client.get('/api/v1/pods', { limit: 1 }, 1000, signal);

  it.each<[number, string, string]>([
    [401, '{}', 'unauthorized'],
    [403, '{"message":"pods is forbidden: User x"}', 'forbidden'],
    [404, '{}', 'not_found'],
    [410, '{}', 'gone'],
    [429, '{}', 'throttled'],
    [500, 'text', 'server_error'],
    [504, '{"details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}', 'gone'],
    [504, '{}', 'server_error'],
    [302, '', 'bad_answer'],
    [200, 'no JSON', 'bad_answer'],
    [200, '[1]', 'bad_answer'],
    [200, `{"x":"${'x'.repeat(1000)}"}`, 'too_large'],
  ])('takes %i %s for %s', async (status, body, reason) => {
    const [client] = await open((_request, response) => {
      response.writeHead(status, { 'retry-after': '3' });
      response.end(body);
    });
    const failure = await failureOf(get(client));
    expect(failure).toBeInstanceOf(ApiFailure);
    expect(failure.reason).toBe(reason);
    if (status >= 300) expect(failure.retryAfterMs).toBe(3000);
    if (status === 403)
      expect(failure.message).toMatch(/grant .* by a ClusterRole.*\(pods is forbidden: User x\)/);
  });

  it('sends the token of a command, once for many requests, and again when it is refused', async () => {
    const count = join(folder, 'count');
    writeFileSync(count, '');
    const command = `echo x >> ${count}; printf 'token-%s' $(wc -l < ${count})`;
    const [client, server] = await open(
      (request, response) => {
        response.statusCode =
          request.headers.authorization === 'Bearer token-1' && server.requests.length > 2 ? 401 : 200;
        response.end('{}');
      },
      { tokenCommand: command },
    );
    for (let index = 0; index < 3; index++) await get(client);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(
      [1, 1, 1, 2].map((n) => `Bearer token-${n}`),
    );
    expect(server.requests[0]?.headers['user-agent']).toBe('tailrace/1');
  });

  it.each<[string, Partial<ApiSettings>]>([
    ['a command that fails', { tokenCommand: 'echo secret; echo secret >&2; exit 3' }],
    ['a command that prints more than a token', { tokenCommand: "printf 'secret secret'" }],
    ['a file that is not there', { tokenFile: '/no/such/file' }],
  ])('says %s, without the token', async (_name, settings) => {
    const [client, server] = await open((_request, response) => void response.end('{}'), settings);
    const failure = await failureOf(get(client));
    expect(failure.reason).toBe('token');
    expect(failure.message).not.toContain('secret ');
    expect(failure.message).not.toMatch(/secret$/);
    expect(server.requests).toEqual([]);
  });

  it('takes smaller pages where one is too large', async () => {
    const large = `"${'x'.repeat(1024 * 1024)}"`;
    const [client, server] = await open((request, response) => {
      const query = new URL(request.url, 'http://server').searchParams;
      const limit = Number(query.get('limit'));
      const first = Number(query.get('continue') ?? 0);
      // Of any version it is given whole, as the API server does.
      const count = query.has('resourceVersion') ? 60 : Math.min(limit, 60 - first);
      const items = Array.from({ length: count }, (_, index) => `{"n":${first + index},"text":${large}}`);
      const next = first + count < 60 ? `,"continue":"${first + count}"` : '';
      response.end(`{"metadata":{"resourceVersion":"7"${next}},"items":[${items.join()}]}`);
    });
    const seen: unknown[] = [];
    for await (const { items } of pagesOf(
      client,
      '/api/v1/pods',
      { resourceVersion: '0', limit: 100 },
      signal,
    ))
      seen.push(...items.map((item) => item['n']));
    expect(seen).toEqual(Array.from({ length: 60 }, (_, n) => n));
    expect(server.requests.map(({ url }) => url)).toEqual([
      '/api/v1/pods?resourceVersion=0&limit=100',
      '/api/v1/pods?limit=25',
      '/api/v1/pods?continue=25&limit=25',
      '/api/v1/pods?continue=50&limit=25',
    ]);
  });
});
