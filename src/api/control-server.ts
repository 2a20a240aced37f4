/**
 * The control socket: commands for a running agent, from whoever may use its state directory (SECURITY.md, 6: not over HTTP).
 *
 * A request is a line of JSON, `{"command":"status"}`; the answer is one too, `{"result":…}` or `{"error":"sentence"}`. Commands that take
 * time say `{"progress":…}` on lines before it. Requests of a connection are answered one after the other. Everything is bounded: the
 * line, what may be waiting, connections, and the time that one may be idle.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Logger } from '../telemetry/log.ts';
import { describeError } from '../telemetry/safe.ts';
import { controlAddress, controlSocket } from './control-path.ts';

/** Bytes that wait for their turn on one connection; a longer line is refused. */
const MAX_PENDING = 64 * 1024;
/** A reader that takes no progress gets none. Bytes. */
const MAX_UNREAD = 64 * 1024;
const MAX_CONNECTIONS = 16;
const IDLE_MS = 30_000;
const OWNER_ONLY = 0o177;

export interface CommandControl {
  /** The asker is gone. */
  readonly signal: AbortSignal;
  /** The agent stops. */
  readonly stop: AbortSignal;
  readonly onProgress: (progress: unknown) => void;
}

/** Answers a command; a throw of {@link CommandError} is an answer too. */
export type Command = (
  request: Readonly<Record<string, unknown>>,
  control: CommandControl,
) => Promise<unknown>;

/** What is wrong with a request, in a sentence. */
export class CommandError extends Error {
  override name = 'CommandError';
}

export interface ControlServer {
  /** Tells running commands that the agent stops, waits for them, and removes the socket. */
  close(): Promise<void>;
}

export interface ControlOptions {
  /** The state directory; the caller holds its lock, so that a socket in it is nobody's. */
  directory: string;
  commands: Readonly<Record<string, Command>>;
  log: Logger;
}

/** Opens the socket. Undefined when it cannot be made: logged, and the agent goes on without. */
export async function startControl(options: ControlOptions): Promise<ControlServer | undefined> {
  const { directory, log } = options;
  try {
    return await new Control(options).open();
  } catch (error) {
    log.warn(
      { socket: controlSocket(directory), error },
      'The control socket cannot be made: tailrace status and dlq replay will not reach this agent',
    );
    return undefined;
  }
}

class Control implements ControlServer {
  private readonly options: ControlOptions;
  private readonly server: Server;
  private readonly stop = new AbortController();
  private readonly connections = new Set<Connection>();
  private release: () => void = () => undefined;

  constructor(options: ControlOptions) {
    this.options = options;
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new Connection(socket, options, this.stop.signal);
      this.connections.add(connection);
      socket.on('close', () => this.connections.delete(connection));
    });
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  async open(): Promise<this> {
    const { directory, log } = this.options;
    const file = controlSocket(directory);
    removeStale(file);
    const { path, release } = controlAddress(directory);
    this.release = release;
    try {
      await new Promise<void>((resolve, reject) => {
        this.server.once('error', reject);
        // Bound within the call, and by the mask nobody else can connect even before the mode is set.
        const mask = process.umask(OWNER_ONLY);
        try {
          this.server.listen(path, resolve);
        } finally {
          process.umask(mask);
        }
      });
      chmodSync(file, 0o600);
    } catch (error) {
      this.server.close();
      release();
      throw error;
    }
    // Accepting fails while descriptors are short, for instance.
    this.server.removeAllListeners('error').on('error', (error) => {
      log.warn({ error }, 'The control socket failed to take a connection');
    });
    return this;
  }

  async close(): Promise<void> {
    this.stop.abort();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    await Promise.all([...this.connections].map((connection) => connection.end()));
    await closed;
    this.release();
  }
}

/** What an agent that was killed left behind. Throws when something else stands there. */
function removeStale(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${file} is no socket: something else has that name; remove it`);
  rmSync(file);
}

class Connection {
  private readonly socket: Socket;
  private readonly options: ControlOptions;
  private readonly stop: AbortSignal;
  private readonly gone = new AbortController();
  private pending = Buffer.alloc(0);
  private working: Promise<void> | undefined;
  private ended = false;

  constructor(socket: Socket, options: ControlOptions, stop: AbortSignal) {
    this.socket = socket;
    this.options = options;
    this.stop = stop;
    socket.setTimeout(IDLE_MS, () => {
      if (this.working === undefined) socket.destroy();
    });
    socket.on('data', (bytes) => this.take(bytes as Buffer));
    socket.on('end', () => {
      this.ended = true;
      this.work();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.gone.abort());
  }

  private take(bytes: Buffer): void {
    this.pending = Buffer.concat([this.pending, bytes]);
    if (this.pending.length > MAX_PENDING) {
      this.pending = Buffer.alloc(0);
      this.socket.pause();
      this.answer({ error: `A request is a line of at most ${MAX_PENDING} bytes; this is more.` });
      this.socket.destroySoon();
      return;
    }
    this.work();
  }

  private work(): void {
    this.working ??= this.workOff().finally(() => {
      this.working = undefined;
      if (this.stop.aborted) this.socket.destroySoon();
      // A line may have come while the last one was ending.
      else if (this.pending.includes('\n')) this.work();
      else if (this.ended) this.socket.destroySoon();
    });
  }

  private async workOff(): Promise<void> {
    for (let end = this.pending.indexOf('\n'); end !== -1; end = this.pending.indexOf('\n')) {
      const line = this.pending.toString('utf8', 0, end);
      this.pending = this.pending.subarray(end + 1);
      if (line.trim() !== '') this.answer(await this.run(line));
      if (this.stop.aborted || this.gone.signal.aborted) return;
    }
  }

  private async run(line: string): Promise<object> {
    const { commands, log } = this.options;
    const request = parseRequest(line);
    if (request === undefined) return { error: 'A request is a JSON object with a command on one line.' };
    const name = request['command'];
    const command = typeof name === 'string' && Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined) {
      return { error: `There is no such command. There are: ${Object.keys(commands).join(', ')}.` };
    }
    try {
      const onProgress = (progress: unknown): void => {
        if (this.socket.writableLength < MAX_UNREAD) this.answer({ progress });
      };
      return { result: await command(request, { signal: this.gone.signal, stop: this.stop, onProgress }) };
    } catch (error) {
      if (error instanceof CommandError) return { error: error.message };
      log.error({ command: name, error }, 'A command from the control socket failed');
      return { error: describeError(error) };
    }
  }

  private answer(answer: object): void {
    if (this.socket.writable) this.socket.write(`${JSON.stringify(answer)}\n`);
  }

  /** Lets a running command come to its end, then closes. */
  async end(): Promise<void> {
    await this.working;
    this.socket.destroySoon();
    // Whoever does not read his answer does not hold up a stop.
    if (this.socket.writableLength > 0) this.socket.destroy();
  }
}

function parseRequest(line: string): Record<string, unknown> | undefined {
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== 'object' || request === null || Array.isArray(request)) return undefined;
    return request as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
