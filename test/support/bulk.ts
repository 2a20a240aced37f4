/**
 * A destination that answers per record, as bulk protocols do, and a user's plugin that speaks to it. The stand-in for outputs of such
 * protocols as long as there is none: what is tested is what the queue makes of outcomes per record.
 */
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { readNumbered } from './numbered.ts';
import { listenBelow } from './ports.ts';

/** The plugin's file: posts records as lines of JSON; the answer is a list with a status for each. */
export const BULK_PLUGIN = `
import { defineOutput, integer, RetryableError } from 'tailrace';
export default defineOutput({
  name: 'bulk',
  summary: 'Posts records and gets a status for each',
  options: { port: integer().describe('Port of the destination.') },
  traits: () => ({ limits: { records: 100 } }),
  create: ({ port }) => ({
    async deliver(slices, signal) {
      const body = Buffer.concat(slices.map(({ bytes }) => bytes));
      let statuses;
      try {
        const response = await fetch('http://127.0.0.1:' + port + '/_bulk', { method: 'POST', body, signal });
        statuses = await response.json();
      } catch (cause) {
        throw new RetryableError('The bulk destination does not answer', { cause });
      }
      const retry = [];
      const rejected = [];
      for (const [index, status] of statuses.entries()) {
        if (status === 429 || status >= 500) retry.push(index);
        else if (status >= 400) rejected.push({ index, status, reason: 'mapping conflict' });
      }
      return { retry, rejected };
    },
  }),
});
`;

export class BulkSink {
  port = 0;
  /** Numbers of the lines of each request, in its order. */
  readonly requests: number[][] = [];
  /** How often a line was taken. */
  readonly taken = new Map<number, number>();
  /** How often a line was sent. */
  readonly sent = new Map<number, number>();
  /** The status of a line that is sent for the nth time, from 1. */
  private readonly status: (line: number, nth: number) => number;

  constructor(status: (line: number, nth: number) => number) {
    this.status = status;
  }

  /** Listens until the test is over. */
  async open(): Promise<this> {
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        response.end(JSON.stringify(this.take(body)));
        return undefined;
      });
    });
    this.port = await listenBelow(server);
    onTestFinished(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    });
    return this;
  }

  private take(body: string): number[] {
    const lines = body
      .trimEnd()
      .split('\n')
      .map((json) => readNumbered((JSON.parse(json) as { log: string }).log)?.n ?? -1);
    this.requests.push(lines);
    return lines.map((line) => {
      const nth = (this.sent.get(line) ?? 0) + 1;
      this.sent.set(line, nth);
      const status = this.status(line, nth);
      if (status < 300) this.taken.set(line, (this.taken.get(line) ?? 0) + 1);
      return status;
    });
  }
}
