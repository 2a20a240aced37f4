/** Asks a running agent through its control socket. */
import { connect } from 'node:net';
import { controlAddress } from './control-path.ts';

/** An answer is no longer than this. Bytes. */
const MAX_ANSWER = 64_000_000;
/** An agent that says nothing for so long stands. Commands that take time say how they get on. Milliseconds. */
const SILENCE_MS = 15_000;

/** No agent answers there. */
export class NoAgentError extends Error {
  override name = 'NoAgentError';
}

/** The agent's own words for what is wrong with the request. */
export class RefusedError extends Error {
  override name = 'RefusedError';
}

export interface AskOptions {
  onProgress?: (progress: unknown) => void;
  /** Ends the question; the agent sees that the asker is gone. */
  signal?: AbortSignal;
}

/** The codes that a socket gives which nobody listens on, or which is not there. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR']);

/** The other side hung up. */
const HUNG_UP = new Set(['EPIPE', 'ECONNRESET']);

/**
 * Sends a request and resolves with its result. Throws {@link NoAgentError} when no agent runs with that state directory, {@link RefusedError}
 * with what the agent answers, and an Error for all else.
 */
export async function askAgent(
  directory: string,
  request: Readonly<Record<string, unknown>>,
  { onProgress, signal }: AskOptions = {},
): Promise<unknown> {
  let address;
  try {
    address = controlAddress(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new NoAgentError(`No agent runs with the state directory ${directory}.`, { cause: error });
  }
  try {
    return await exchange(address.path, directory, request, onProgress, signal);
  } finally {
    address.release();
  }
}

function exchange(
  path: string,
  directory: string,
  request: Readonly<Record<string, unknown>>,
  onProgress: ((progress: unknown) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let rest: Buffer[] = [];
    let size = 0;
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    signal?.addEventListener('abort', () => fail(new Error('The command was ended.')), { once: true });
    socket.setTimeout(SILENCE_MS, () =>
      fail(new Error(`The agent in ${directory} does not answer: it may be standing; look at its log.`)),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const { code = '' } = error;
      if (NOBODY.has(code)) {
        fail(new NoAgentError(`No agent runs with the state directory ${directory}.`, { cause: error }));
      } else if (!HUNG_UP.has(code)) {
        fail(new Error(`Asking the agent in ${directory}: ${error.message}.`, { cause: error }));
      }
    });
    socket.on('close', () =>
      reject(
        new Error(
          `The agent in ${directory} closed the connection without an answer: it stops, or has too many connections.`,
        ),
      ),
    );
    const take = (line: string): void => {
      const answer = parseAnswer(line);
      if (answer === undefined) {
        fail(new Error(`What answers in ${directory} is no agent of this version: ${line.slice(0, 100)}`));
      } else if ('progress' in answer) {
        onProgress?.(answer['progress']);
      } else {
        socket.destroy();
        if ('error' in answer) reject(new RefusedError(String(answer['error'])));
        else resolve(answer['result']);
      }
    };
    socket.on('data', (data) => {
      const bytes = data as Buffer;
      let from = 0;
      for (let end = bytes.indexOf('\n'); end !== -1; end = bytes.indexOf('\n', from)) {
        const line = Buffer.concat([...rest, bytes.subarray(from, end)]).toString('utf8');
        rest = [];
        size = 0;
        from = end + 1;
        take(line);
      }
      rest.push(bytes.subarray(from));
      size += bytes.length - from;
      if (size > MAX_ANSWER) fail(new Error(`The answer of the agent in ${directory} is too long.`));
    });
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

function parseAnswer(line: string): Record<string, unknown> | undefined {
  try {
    const answer: unknown = JSON.parse(line);
    return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
