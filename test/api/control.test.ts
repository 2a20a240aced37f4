/** The control socket, asked by its own client and by strangers. */
import { lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askAgent, NoAgentError } from '../../src/api/control-client.ts';
import { CommandError, startControl } from '../../src/api/control-server.ts';
import type { Command, ControlServer } from '../../src/api/control-server.ts';
import { recordingLog } from '../delivery/harness.ts';

let directory: string;
let servers: ControlServer[] = [];
let sockets: Socket[] = [];
let log = recordingLog();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-control-'));
  log = recordingLog();
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) await server.close();
  servers = [];
  sockets = [];
  rmSync(directory, { recursive: true, force: true });
});

async function start(
  commands: Readonly<Record<string, Command>> = {},
  folder = directory,
): Promise<ControlServer | undefined> {
  const server = await startControl({
    directory: folder,
    commands: { ping: async () => 'pong', ...commands },
    log,
  });
  if (server !== undefined) servers.push(server);
  return server;
}

function stranger(): Socket {
  const socket = connect(join(directory, 'control.sock'));
  sockets.push(socket.on('error', () => undefined));
  return socket;
}

/** Everything that comes until the other side closes. */
async function all(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(socket, 'close');
  return text;
}

describe('the control socket', () => {
  it('answers its client, and is for its owner only', async () => {
    await start({ echo: async (request) => request });
    expect(lstatSync(join(directory, 'control.sock')).mode & 0o777).toBe(0o600);
    expect(await askAgent(directory, { command: 'ping' })).toBe('pong');
    expect(await askAgent(directory, { command: 'echo', text: 'a\nb' })).toEqual({
      command: 'echo',
      text: 'a\nb',
    });
  });

  it('answers each line of a connection in its order, also when the asker has said all', async () => {
    await start();
    const socket = stranger();
    socket.end('{"command":"ping"}\nnonsense\n[]\n{"command":"toString"}\n{"command":"ping"}\n');
    const answers = (await all(socket))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    expect(answers.length).toBe(5);
    expect(answers[0]).toEqual({ result: 'pong' });
    expect(answers[1]?.['error']).toMatch(/JSON object/);
    expect(answers[2]?.['error']).toMatch(/JSON object/);
    expect(answers[3]?.['error']).toBe('There is no such command. There are: ping.');
    expect(answers[4]).toEqual({ result: 'pong' });
  });

  it('tells errors in a sentence, and goes on', async () => {
    await start({
      wrong: async () => {
        throw new CommandError('That is wrong.');
      },
      broken: async () => {
        throw new TypeError('a defect');
      },
    });
    await expect(askAgent(directory, { command: 'wrong' })).rejects.toThrow('That is wrong.');
    expect(log.lines).toEqual([]);
    await expect(askAgent(directory, { command: 'broken' })).rejects.toThrow('a defect');
    expect(log.lines[0]?.level).toBe('error');
    expect(await askAgent(directory, { command: 'ping' })).toBe('pong');
  });

  it('says progress, and tells a command when its asker is gone', async () => {
    let gone: () => void = () => undefined;
    const wasGone = new Promise<void>((resolve) => {
      gone = resolve;
    });
    await start({
      long: async (_request, { signal, onProgress }) => {
        onProgress(1);
        // Only who writes learns that nobody reads.
        const timer = setInterval(() => onProgress(2), 5);
        await once(signal, 'abort');
        clearInterval(timer);
        gone();
      },
    });
    const ended = new AbortController();
    const question = askAgent(
      directory,
      { command: 'long' },
      { onProgress: () => ended.abort(), signal: ended.signal },
    );
    await expect(question).rejects.toThrow('ended');
    await wasGone;
  });

  it('refuses a line that is too long', async () => {
    await start();
    const socket = stranger();
    socket.write('x'.repeat(70_000));
    expect(await all(socket)).toMatch(/^\{"error":"A request is a line of at most 65536 bytes/);
    expect(await askAgent(directory, { command: 'ping' })).toBe('pong');
  });

  it('takes sixteen connections', async () => {
    await start();
    const first = Array.from({ length: 16 }, stranger);
    for (const socket of first) {
      socket.write('{"command":"ping"}\n');
      await once(socket, 'data');
    }
    await expect(askAgent(directory, { command: 'ping' })).rejects.toThrow(/closed the connection/);
    const [one] = first;
    one?.destroy();
    await once(one as Socket, 'close');
    await expect.poll(() => askAgent(directory, { command: 'ping' }).catch(() => undefined)).toBe('pong');
  });

  it('is reached in a directory with a path of any length', async () => {
    const deep = join(directory, ...Array.from({ length: 8 }, () => 'directory'.repeat(10)));
    mkdirSync(deep, { recursive: true });
    const server = await start({}, deep);
    expect(await askAgent(deep, { command: 'ping' })).toBe('pong');
    expect(lstatSync(join(deep, 'control.sock')).mode & 0o777).toBe(0o600);
    await server?.close();
    servers = [];
    expect(lstatSync(join(deep, 'control.sock'), { throwIfNoEntry: false })).toBeUndefined();
    await expect(askAgent(deep, { command: 'ping' })).rejects.toThrow(NoAgentError);
  });

  it('stops: commands are told, the socket goes, and nobody answers any more', async () => {
    let started: () => void = () => undefined;
    const runs = new Promise<void>((resolve) => {
      started = resolve;
    });
    const server = await start({
      long: async (_request, { stop }) => {
        started();
        await once(stop, 'abort');
        return 'stopped';
      },
    });
    const answer = askAgent(directory, { command: 'long' });
    await runs;
    await Promise.all([server?.close(), expect(answer).resolves.toBe('stopped')]);
    servers = [];
    expect(lstatSync(join(directory, 'control.sock'), { throwIfNoEntry: false })).toBeUndefined();
    await expect(askAgent(directory, { command: 'ping' })).rejects.toThrow(
      `No agent runs with the state directory ${directory}.`,
    );
  });

  it('takes the place of one that a killed agent left, and of nothing else', async () => {
    const file = join(directory, 'control.sock');
    // A socket file that nobody listens on: its path was renamed before its server closed.
    const old = createServer().listen(join(directory, 'old.sock'));
    await once(old, 'listening');
    renameSync(join(directory, 'old.sock'), file);
    await new Promise((resolve) => old.close(resolve));
    await expect(askAgent(directory, { command: 'ping' })).rejects.toThrow(NoAgentError);
    const server = await start();
    expect(await askAgent(directory, { command: 'ping' })).toBe('pong');
    await server?.close();
    servers = [];

    writeFileSync(file, 'mine');
    expect(await start()).toBeUndefined();
    expect(log.lines[0]).toMatchObject({ level: 'warn' });
    expect(lstatSync(file).isFile()).toBe(true);
  });
});
