/**
 * Standard output as something to write to and wait for.
 *
 * Pipes and terminals go through `process.stdout`, whose `drain` says when a slow reader has caught up; a pipe without reader
 * never blocks the agent. A file goes through `write(2)` in the thread pool: Node's own stream for files is synchronous, and is
 * destroyed by the first full disk.
 *
 * A closed pipe (EPIPE) is a {@link RetryableError}: the records stay where they came from, and the log says what happened.
 */
import { fstatSync, write } from 'node:fs';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { RetryableError } from '../../../src/plugin.ts';

export interface Target {
  readonly isTerminal: boolean;
  /** Resolves when the bytes are out. Throws RetryableError, or the signal's reason. */
  write(bytes: Buffer, signal: AbortSignal): Promise<void>;
}

const STDOUT = 1;

export function openTarget(): Target {
  return isFile() ? fileTarget() : streamTarget(process.stdout);
}

/** Colour is for terminals, unless the reader or NO_COLOR (https://no-color.org) says otherwise. */
export function wantsColor(
  color: 'auto' | 'always' | 'never',
  isTerminal: boolean,
  environment: NodeJS.ProcessEnv,
): boolean {
  if (color !== 'auto') return color === 'always';
  return isTerminal && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}

function isFile(): boolean {
  try {
    return fstatSync(STDOUT).isFile();
  } catch {
    // Closed from the start: the stream says so at the first write.
    return false;
  }
}

const writeTo = promisify(write);

function fileTarget(): Target {
  // One write after the other, also when several attempts run.
  let last: Promise<unknown> = Promise.resolve();
  return {
    isTerminal: false,
    write(bytes, signal) {
      const turn = last.then(() => writeAll(bytes, signal));
      last = turn.catch(() => {});
      return turn;
    },
  };
}

async function writeAll(bytes: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    for (let at = 0; at < bytes.length;) at += (await writeTo(STDOUT, bytes, at)).bytesWritten;
  } catch (error) {
    throw failure(error);
  }
}

/** Streams that have a listener for errors: without one, a closed pipe would end the process. It stays for good, as streams do. */
const guarded = new WeakSet<Writable>();

/** Exported for tests, which have streams of their own. */
export function streamTarget(stream: Writable): Target {
  if (!guarded.has(stream)) {
    guarded.add(stream);
    stream.on('error', () => {});
  }
  return {
    isTerminal: 'isTTY' in stream && stream.isTTY === true,
    write(bytes, signal) {
      return new Promise((resolve, reject) => {
        const onAbort = (): void => reject(signal.reason as Error);
        signal.addEventListener('abort', onAbort, { once: true });
        // Called when the bytes have left the process: that is the back-pressure.
        stream.write(bytes, (error) => {
          signal.removeEventListener('abort', onAbort);
          if (error === null || error === undefined) resolve();
          else reject(failure(error));
        });
      });
    },
  };
}

function failure(error: unknown): RetryableError {
  const { code, message } = error as NodeJS.ErrnoException;
  const sentence =
    code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
      ? 'Writing to standard output: its reader is gone; restart the agent with one'
      : `Writing to standard output: ${message}`;
  return new RetryableError(sentence, { cause: error });
}
