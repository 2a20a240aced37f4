/**
 * Ports of servers that come and go. The system gives those from 32768 on to whoever asks for any, also to connections: a port of a sink
 * that is closed for a while would be another test's sink before long, and get its records. These lie below.
 */
import type { Server } from 'node:net';

const FIRST = 10_000;
const COUNT = 22_000;
const TRIES = 100;

/** Listens on 127.0.0.1, on the given port or on any that is free below the system's own. Answers with the port. */
export async function listenBelow(server: Server, port = 0): Promise<number> {
  for (let tries = 1; ; tries++) {
    const chosen = port === 0 ? FIRST + Math.floor(Math.random() * COUNT) : port;
    try {
      await listen(server, chosen);
      return chosen;
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (port !== 0 || !taken || tries === TRIES) throw error;
    }
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
