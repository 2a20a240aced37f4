/** Answers that are read as they come. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetryableError } from '../../src/event/outcome.ts';
import { HttpClient } from '../../src/net/http-client.ts';
import type { HttpStream } from '../../src/net/http-client.ts';
import { startServer } from './servers.ts';
import type { Answer } from './servers.ts';

describe('HttpClient.stream', () => {
  let cleanUps: (() => Promise<void> | void)[];

  beforeEach(() => {
    cleanUps = [];
  });

  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const open = async (
    answer: Answer,
    { idleTimeoutMs = 0, responseTimeoutMs = 10_000, signal = new AbortController().signal } = {},
  ): Promise<HttpStream> => {
    const server = await startServer(answer);
    cleanUps.push(() => server.close());
    const client = await HttpClient.create({
      host: '127.0.0.1',
      port: server.port,
      connectTimeoutMs: 5000,
      responseTimeoutMs,
      readIdleTimeoutMs: 0,
      keepAlive: true,
      keepAliveIdleMs: 30_000,
      maxRequestsPerConnection: 0,
      maxConnections: 0,
      ignoreProxyEnvironment: true,
    });
    cleanUps.push(() => client.close());
    return client.stream({ method: 'GET', path: '/watch', headers: {}, idleTimeoutMs, signal });
  };

  const read = async (stream: HttpStream, maxBytes = 1000): Promise<string[]> => {
    const lines: string[] = [];
    for await (const line of stream.lines(maxBytes)) lines.push(line.toString());
    return lines;
  };

  it('gives each line when it is there, and ends when the server does', async () => {
    let response: ServerResponse | undefined;
    const stream = await open((_request, answer) => {
      response = answer;
      answer.write('one\n');
    });
    expect(stream.status).toBe(200);
    const lines = stream.lines(1000)[Symbol.asyncIterator]();
    expect((await lines.next()).value.toString()).toBe('one');
    response?.end('two\nrest');
    expect((await lines.next()).value.toString()).toBe('two');
    expect((await lines.next()).done).toBe(true);
  });

  it('lasts longer than the time for an answer, which holds for its head', async () => {
    const slow = open((_request, answer) => void setTimeout(() => answer.end(), 500), {
      responseTimeoutMs: 50,
    });
    await expect(slow).rejects.toThrow(/no answer within 0.05 s/);
    const stream = await open(
      (_request, answer) => {
        answer.write('one\n');
        setTimeout(() => answer.end('two\n'), 300);
      },
      { responseTimeoutMs: 200 },
    );
    expect(await read(stream)).toEqual(['one', 'two']);
  });

  it('gives up a connection that is silent or breaks', async () => {
    const silent = await open((_request, answer) => void answer.write('one\n'), { idleTimeoutMs: 100 });
    await expect(read(silent)).rejects.toThrow(RetryableError);
    const broken = await open((_request, answer) => {
      answer.write('one\n');
      setTimeout(() => answer.destroy(), 20);
    });
    await expect(read(broken)).rejects.toThrow(/127\.0\.0\.1:\d+: /);
  });

  it('is given up by the signal and by leaving the loop', async () => {
    const controller = new AbortController();
    const stream = await open((_request, answer) => void answer.write('one\n'), {
      signal: controller.signal,
    });
    const reading = read(stream);
    controller.abort(new Error('over'));
    await expect(reading).rejects.toThrow('over');
    const closed = new Promise<void>((resolve) => {
      void open((_request, answer) => {
        answer.on('close', resolve);
        answer.write('one\ntwo\n');
      }).then(async (left) => {
        for await (const line of left.lines(1000)) if (line.toString() === 'one') break;
      });
    });
    await closed;
  });

  it('bounds its lines, and the text of an answer that is no stream', async () => {
    const long = await open((_request, answer) => void answer.end(`${'x'.repeat(50)}\n`));
    await expect(read(long, 49)).rejects.toThrow(/more than 49 bytes/);
    const refused = await open((_request, answer) => {
      answer.statusCode = 403;
      answer.end('forbidden, and why');
    });
    expect(refused.status).toBe(403);
    expect(await refused.text(9)).toBe('forbidden');
  });
});
