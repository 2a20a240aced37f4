/** A path for a socket: what a process that is gone left there gives way, what somebody has does not. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listenOnPath, makeWay, pathFailure } from '../../../plugins/shared/unix-socket.ts';
import { loadUnixDatagrams } from '../../../plugins/shared/unix-datagrams/native.ts';

function freshPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'unix-socket-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'socket');
}

describe('A stream socket', () => {
  it('takes the place of one whose process is gone', async () => {
    const path = freshPath();
    const script = `const s = require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    expect(spawnSync(process.execPath, ['-e', script]).signal).toBe('SIGKILL');
    expect(existsSync(path)).toBe(true);
    const server = createServer();
    onTestFinished(() => void server.close());
    await listenOnPath(server, path, 0o600, 'syslog');
    expect(server.listening).toBe(true);
  });

  it('leaves a datagram socket alone that somebody has', async () => {
    const path = freshPath();
    const socket = (await loadUnixDatagrams()).bind(path);
    onTestFinished(() => socket.close());
    await expect(listenOnPath(createServer(), path, undefined, 'syslog', 'path')).rejects.toThrow(
      `syslog: listening on path ${path}: another process listens there`,
    );
    expect(existsSync(path)).toBe(true);
  });
});

it.each([
  ['EACCES', '/nowhere/at/all/log', 'there is no directory /nowhere/at/all'],
  ['ENOENT', '/nowhere/at/all/log', 'there is no directory /nowhere/at/all'],
  ['EACCES', '/tmp/log', 'this user may not make a socket in /tmp; let it write there'],
  ['EROFS', '/tmp/log', '/tmp is read-only for this process'],
  ['EINVAL', `/tmp/${'x'.repeat(120)}`, 'the path has 125 bytes'],
  ['ENOMEM', '/tmp/log', 'the words of the system'],
])('%s at %s: what was found, and what to do', (code, path, sentence) => {
  const error = Object.assign(new Error('the words of the system'), { code });
  expect(pathFailure(path, error)).toContain(sentence);
});

it('A stream socket in a folder that is not there is a sentence', async () => {
  await expect(
    listenOnPath(createServer(), '/nowhere/at/all/log', undefined, 'syslog', 'path'),
  ).rejects.toThrow('syslog: listening on path /nowhere/at/all/log: there is no directory /nowhere/at/all');
});

it('A datagram socket leaves a stream socket alone that somebody has', async () => {
  const path = freshPath();
  const server = createServer();
  onTestFinished(() => void server.close());
  await listenOnPath(server, path, undefined, 'syslog');
  const datagrams = await loadUnixDatagrams();
  await expect(makeWay(path, (other) => datagrams.isAlive(other))).rejects.toThrow(
    'another process listens there',
  );
  expect(existsSync(path)).toBe(true);
});
