import { fastify } from 'fastify';
import { afterEach, expect, it } from 'vitest';
import { refusal } from '../../src/api/access.ts';
import { takeThrough } from '../../src/api/in-process.ts';
import type { FrontRequest } from '../../src/api/watchdog-messages.ts';

let server = fastify({ logger: false });
afterEach(async () => {
  await server.close();
  server = fastify({ logger: false });
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it('brings address, headers and body to the routes, and status, headers and body back', async () => {
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  server.post('/echo', (request, reply) =>
    reply
      .code(201)
      .header('x-a', ['b', 'c'])
      .send({ body: request.body, query: request.query, length: request.headers['content-length'] }),
  );
  server.get('/bytes', (_request, reply) => reply.send(Buffer.from([0, 255, 128])));
  server.get('/who', ({ socket, headers }) => ({
    no: refusal({ address: socket.remoteAddress, headers }, undefined),
  }));
  await server.ready();
  const ask = async (request: Partial<FrontRequest>) => {
    const whole = { method: 'GET', url: '/', headers: {}, body: undefined, address: undefined, ...request };
    const { status, headers, body } = await takeThrough((a, b) => server.routing(a, b), whole);
    return { status, headers, body: Buffer.from(body) };
  };

  const echo = await ask({
    method: 'POST',
    url: '/echo?x=ä%20b',
    headers: { 'content-type': 'text/plain' },
    body: bytes('hällo'),
  });
  expect([echo.status, echo.headers['x-a'], JSON.parse(echo.body.toString())]).toEqual([
    201,
    ['b', 'c'],
    { body: 'hällo', query: { x: 'ä b' }, length: '6' },
  ]);
  expect([...(await ask({ url: '/bytes' })).body]).toEqual([0, 255, 128]);
  const head = await ask({ method: 'HEAD', url: '/bytes' });
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '3', 0]);

  // Whatever its headers claim, a caller is where its socket is.
  const claims = { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1' };
  const who = async (address: string | undefined): Promise<unknown> =>
    JSON.parse((await ask({ url: '/who', address, headers: claims })).body.toString());
  expect(await who('127.0.0.1')).toEqual({});
  expect(await who('10.9.9.9')).toEqual({ no: expect.stringContaining('Only callers on this machine') });
  expect(await who(undefined)).toEqual({ no: expect.stringContaining('Only callers on this machine') });
});

it.each(['*', 'http://other.example/x', '//x', '/%', '/%00', '/..//..'])(
  'answers 404 or 400 to the path %s',
  async (url) => {
    await server.ready();
    const whole = { method: 'GET', url, headers: {}, body: undefined, address: '127.0.0.1' };
    const { status } = await takeThrough((a, b) => server.routing(a, b), whole);
    expect([400, 404]).toContain(status);
  },
);
