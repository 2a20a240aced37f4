/** Sends datagrams to a unix socket, as to /dev/log. One whose queue is full is waited for, so that nothing is lost while somebody has it. */
import { setTimeout as pause } from 'node:timers/promises';
import { RetryableError } from '../../../src/plugin.ts';
import { loadUnixDatagrams } from './native.ts';
import type { UnixDatagramPeer, UnixDatagrams } from './native.ts';

/** How often a full queue is looked at. Milliseconds. */
const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 20;

/** `ioTimeoutMs`: how long a full queue is waited for; 0: no limit. Throws a sentence where the package for it is missing. */
export async function openUnixDatagramClient(path: string, ioTimeoutMs: number): Promise<UnixDatagramClient> {
  return new UnixDatagramClient(await loadUnixDatagrams(), path, ioTimeoutMs);
}

class UnixDatagramClient {
  private readonly datagrams: UnixDatagrams;
  private readonly path: string;
  private readonly ioTimeoutMs: number;
  private peer: UnixDatagramPeer | undefined;

  constructor(datagrams: UnixDatagrams, path: string, ioTimeoutMs: number) {
    this.datagrams = datagrams;
    this.path = path;
    this.ioTimeoutMs = ioTimeoutMs;
  }

  /**
   * Sends datagrams, `bytes` up to `ends[0]`, from there to `ends[1]`, and so on. Returns the indexes of those that are larger than a
   * datagram can be. Throws {@link RetryableError} when nobody is there, or takes none, the signal's reason when that was aborted.
   */
  async send(bytes: Buffer, ends: readonly number[], signal: AbortSignal): Promise<number[]> {
    const tooLarge: number[] = [];
    try {
      const peer = (this.peer ??= this.datagrams.connect(this.path));
      let start = 0;
      for (const [index, end] of ends.entries()) {
        signal.throwIfAborted();
        if (!(await this.sendOne(peer, bytes.subarray(start, end), signal))) tooLarge.push(index);
        start = end;
      }
    } catch (error) {
      this.close();
      signal.throwIfAborted();
      throw new RetryableError(`unix:${this.path}: ${(error as Error).message}`, { cause: error });
    }
    return tooLarge;
  }

  close(): void {
    this.peer?.close();
    this.peer = undefined;
  }

  /** False when it is too large. */
  private async sendOne(peer: UnixDatagramPeer, datagram: Buffer, signal: AbortSignal): Promise<boolean> {
    let result = peer.send(datagram);
    const since = performance.now();
    for (let wait = FIRST_LOOK_MS; result === 'full'; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
      await pause(wait, undefined, { signal });
      result = peer.send(datagram);
      if (result === 'full' && this.ioTimeoutMs > 0 && performance.now() - since > this.ioTimeoutMs)
        throw new Error('its queue is full, and nobody reads it');
    }
    return result === 'sent';
  }
}
