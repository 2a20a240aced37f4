/**
 * Watches a receiver that gives no acknowledgements for words that nobody asked for: it wants a handshake, and drops what it gets. The first
 * records are gone by then, which is the price of going without acknowledgements; the next ones wait.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { RetryableError } from '../../../src/plugin.ts';
import type { StreamConnection } from '../../../src/plugin.ts';

/** How long a receiver is listened to on a new connection once it spoke unasked. Milliseconds. */
const LISTEN_MS = 500;

export class UnaskedWords {
  private last: StreamConnection | undefined;
  private wasHeard = false;

  /** To be called with a connection that was written to. Throws {@link RetryableError} when it has spoken. */
  after(connection: StreamConnection): void {
    this.last = connection;
    this.lookBack();
    if (this.wasHeard) throw unasked(connection);
  }

  /** To be called before an attempt: what came meanwhile counts too. */
  lookBack(): void {
    if (this.last?.hasUnread === true) this.wasHeard = true;
  }

  /** What is said first on a new connection: nothing, but one that spoke before is listened to. */
  readonly greet = async (connection: StreamConnection): Promise<void> => {
    // The connection before may have been given up because it spoke.
    this.lookBack();
    if (!this.wasHeard) return;
    this.last = undefined;
    await pause(LISTEN_MS);
    if (connection.hasUnread) throw unasked(connection);
    this.wasHeard = false;
  };
}

function unasked({ place }: StreamConnection): RetryableError {
  return new RetryableError(
    `${place}: the receiver spoke unasked: does it want a shared_key, or speak another protocol?`,
  );
}
