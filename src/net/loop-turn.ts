/** A look at what the operating system has to tell: how the clients that get no answers hear of what went wrong. */

/**
 * Resolves when the event loop has asked the operating system for news once more. The first immediate may come in the same turn, before
 * that; the second comes in the next.
 */
export function loopTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve));
  });
}
