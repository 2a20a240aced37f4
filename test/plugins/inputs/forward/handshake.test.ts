import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import forward from '../../../../plugins/inputs/forward.ts';
import { optionsOf } from '../../../contract/support.ts';
import { tlsFile } from '../../../net/servers.ts';
import { pack, Sender, shakeHands } from '../../../support/forward-sender.ts';
import { open } from './opening.ts';

const GOOD = ['app', [[1, { n: 1 }]], { chunk: 'good' }];

describe('the handshake', () => {
  it('lets in who has the key, and shows it in return', async () => {
    const { sender } = await open({ options: { shared_key: 'secret' } });
    const client = await sender();
    const { pong, digest } = await shakeHands(client, { key: 'secret' });
    expect(pong).toEqual(['PONG', true, '', 'localhost', digest]);
    client.send(GOOD);
    expect(await client.answer()).toEqual({ ack: 'good' });
  });

  it('takes what comes right behind the PING', async () => {
    const { sender } = await open({ options: { empty_shared_key: 'on', self_hostname: 'here' } });
    const client = await sender();
    client.socket.cork();
    const shaken = shakeHands(client, { key: '' });
    await new Promise((resolve) => client.socket.once('readable', resolve).once('data', resolve));
    await new Promise(setImmediate);
    client.send(GOOD);
    client.socket.uncork();
    expect(await shaken).toMatchObject({ pong: ['PONG', true, '', 'here', expect.any(String)] });
    expect(await client.answer()).toEqual({ ack: 'good' });
  });

  it.each([
    ['a wrong key', { key: 'other' }, 'shared_key mismatch'],
    ['a wrong password', { key: 'secret', user: 'u', password: 'x' }, 'username/password mismatch'],
    ['an unknown user', { key: 'secret', user: 'v', password: '' }, 'username/password mismatch'],
    ['no user', { key: 'secret' }, 'username/password mismatch'],
  ])('%s is refused with the reason, and counted', async (_name, credentials, reason) => {
    const { sender, count, collector, context } = await open({
      options: { shared_key: 'secret', 'security.users': ['u pass word', 'w x'] },
    });
    const client = await sender();
    expect(await shakeHands(client, credentials)).toMatchObject({ pong: ['PONG', false, reason, '', ''] });
    client.send(GOOD);
    expect(await client.answer()).toBeUndefined();
    expect(count('connections_closed_total', { reason: 'handshake' })).toBe(1);
    expect(collector.events).toEqual([]);
    expect(JSON.stringify(context.log.lines)).not.toMatch(/secret|pass word/);
  });

  it('lets a user in', async () => {
    const { sender } = await open({
      options: { shared_key: 'secret', 'security.users': ['u pass word', 'w x'] },
    });
    const client = await sender();
    await shakeHands(client, { key: 'secret', user: 'u', password: 'pass word' });
    client.send(GOOD);
    expect(await client.answer()).toEqual({ ack: 'good' });
  });

  it.each<[string, unknown]>([
    ['records', GOOD],
    ['another word', ['PONG', 'a', 'b', 'c', 'd', 'e']],
    ['a short PING', ['PING', 'a']],
    ['a list in the place of a text', ['PING', 'a', 'b', [], 'd', 'e']],
    ['what is long', ['PING', 'x'.repeat(5000), 'b', 'c', 'd', 'e']],
    ['noise', Buffer.from([0xc1])],
  ])('%s in place of a PING closes the connection', async (_name, message) => {
    const { sender, count, collector } = await open({ options: { shared_key: 'secret' } });
    const client = await sender();
    await client.answer();
    client.send(message);
    expect(await client.answer()).toBeUndefined();
    expect(count('connections_closed_total')).toBe(1);
    expect(collector.events).toEqual([]);
  });

  it('has to come in time', async () => {
    const { sender, count } = await open({ options: { shared_key: 'secret', 'net.accept_timeout': '30ms' } });
    const client = await sender();
    client.send(pack(['PING', 'a']).subarray(0, 3));
    await client.closed();
    expect(count('connections_closed_total', { reason: 'handshake_timeout' })).toBe(1);
  });
});

describe('TLS', () => {
  it('takes encrypted connections, counts others', async () => {
    const { port, count } = await open({
      options: { tls: 'on', 'tls.crt_file': tlsFile('server.pem'), 'tls.key_file': tlsFile('server.key') },
    });
    const secure = new Sender(connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }));
    onTestFinished(() => secure.close());
    secure.send(GOOD);
    expect(await secure.answer()).toEqual({ ack: 'good' });
    const plain = new Sender((await import('node:net')).connect(port, '127.0.0.1'));
    onTestFinished(() => plain.close());
    plain.send(GOOD);
    await plain.closed();
    await expect.poll(() => count('connections_failed_total')).toBe(1);
  });

  it('sends away who does not end the handshake in time', async () => {
    const { port, count } = await open({
      options: {
        tls: 'on',
        'tls.crt_file': tlsFile('server.pem'),
        'tls.key_file': tlsFile('server.key'),
        'net.accept_timeout': '50ms',
      },
    });
    const silent = new Sender((await import('node:net')).connect(port, '127.0.0.1'));
    onTestFinished(() => silent.close());
    await silent.closed();
    expect(count('connections_failed_total')).toBe(1);
  });
});

describe('a unix socket', () => {
  const inFolder = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'tailrace-forward-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return join(folder, 'socket');
  };

  it('is made with its permissions, and removed at a stop', async () => {
    const path = inFolder();
    const { input, sender } = await open({ options: { unix_path: path, unix_perm: '0600' } });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = await sender({ path });
    client.send(GOOD);
    expect(await client.answer()).toEqual({ ack: 'good' });
    await input.stop();
    await client.closed();
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('takes the place of one that was left behind, but not of one that is listened on, nor of a file', async () => {
    const path = inFolder();
    const gone = createServer().listen(`${path}.gone`);
    await new Promise((resolve) => gone.once('listening', resolve));
    renameSync(`${path}.gone`, path);
    await new Promise((resolve) => gone.close(resolve));
    await open({ options: { unix_path: path } });
    await expect(open({ options: { unix_path: path } })).rejects.toThrow(/another process listens there/);
    const file = inFolder();
    writeFileSync(file, 'x');
    await expect(open({ options: { unix_path: file } })).rejects.toThrow(/something else than a socket/);
    await expect(open({ options: { unix_path: join(file, 'y') } })).rejects.toThrow(
      /listening on unix_path .*not a directory/,
    );
  });
});

describe('the configuration', () => {
  const problems = (written: Record<string, string | string[]>): string[] =>
    (forward.check?.(optionsOf(forward.options, written), []) ?? []).map(
      ({ key, message }) => `${key} ${message}`,
    );

  it.each<[string, Record<string, string | string[]>, RegExp]>([
    [
      'users without a handshake (CVE-2025-12969)',
      { 'security.users': 'u p' },
      /^security\.users would be asked nothing/,
    ],
    [
      'a user twice',
      { shared_key: 'k', 'security.users': ['u p', 'u q'] },
      /^security\.users has a user who is there already/,
    ],
    ['two keys', { shared_key: 'k', empty_shared_key: 'on' }, /^empty_shared_key and shared_key exclude/],
    ['an empty key', { shared_key: '' }, /^shared_key is empty/],
    ['a mode that is none', { unix_path: 's', unix_perm: 'rw' }, /^unix_perm is no octal mode/],
    ['a mode without a socket', { unix_perm: '0600' }, /^unix_perm has no effect/],
    ['no time to answer', { ack_timeout: '0' }, /^ack_timeout must be/],
    ['a size', { buffer_max_size: '0' }, /^buffer_max_size must be/],
    ['all addresses', { listen: '0.0.0.0' }, /^listen can be reached from other machines/],
  ])('%s', (_name, written, message) => {
    expect(problems(written)).toEqual([expect.stringMatching(message)]);
  });

  it('what is right is taken, and its tags are known', () => {
    expect(problems({ shared_key: 'k', 'security.users': ['u p', 'v q'] })).toEqual([]);
    expect(problems({ unix_path: 's', unix_perm: '0660', listen: '0.0.0.0' })).toEqual([]);
    const tags = (written: Record<string, string>): unknown =>
      forward.tags?.(optionsOf(forward.options, written), 'forward.0');
    expect(tags({})).toBe('any');
    expect(tags({ tag: 'x' })).toEqual(['forward.0']);
    expect(tags({ tag_prefix: 'edge.' })).toEqual(['edge.*']);
  });

  it('a port that is taken is a sentence', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await expect(open({ options: { port: String(port) } })).rejects.toThrow(
      /port \d+ is taken by another process/,
    );
  });
});
