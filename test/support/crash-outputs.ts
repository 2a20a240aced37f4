/**
 * Destinations of the crash tests, each with its way of being ill until it is healed.
 *
 * There is no bulk output yet. `bulk` stands in for one: a user's plugin and a protocol of its own, a request of lines and an answer with
 * a status for each, so that a part of a request can fail.
 */
import type { ServerResponse } from 'node:http';
import type { NumberedLine } from './numbered.ts';
import type { Behaviour, HttpSink } from './sink.ts';
import { http, own } from './yaml.ts';

/** `flaky` is of the http output, `bulk` the same and partial failures of the stand-in. */
export type Illness = 'dead' | 'slow' | 'flaky' | 'bulk';

/** How long an output waits for an answer of a flaky destination, and when a late one comes. Milliseconds. */
const TIMEOUT_MS = 500;
const LATE_MS = 700;
/** Of the lines of a request that fails in part, one in so many is refused. */
const REFUSED_SHARE = 4;

/** The module of the stand-in. */
export const BULK_MODULE = `
import { allDelivered, defineOutput, integer, RetryableError } from 'tailrace';

export default defineOutput({
  name: 'bulk',
  summary: 'Sends lines and gets a status for each',
  options: { port: integer().describe('Port of the destination.') },
  target: ['port'],
  create: ({ port }) => ({
    async deliver(slices, signal) {
      let statuses;
      try {
        const response = await fetch(\`http://127.0.0.1:\${port}/\`, {
          method: 'POST',
          body: Buffer.concat(slices.map(({ bytes }) => bytes)),
          signal: AbortSignal.any([signal, AbortSignal.timeout(${TIMEOUT_MS})]),
        });
        if (response.status !== 200) throw new Error(\`It answered \${response.status}.\`);
        ({ statuses } = await response.json());
      } catch (error) {
        throw new RetryableError('The request failed', { cause: error });
      }
      const retry = statuses.flatMap((status, index) => (status === 201 ? [] : [index]));
      return retry.length === 0 ? allDelivered : { retry, reason: 'some lines were refused' };
    },
  }),
});
`;

export class Destination {
  readonly illness: Illness;
  readonly sink: HttpSink;
  private readonly random: (below: number) => number;

  constructor(illness: Illness, sink: HttpSink, random: (below: number) => number) {
    this.illness = illness;
    this.sink = sink;
    this.random = random;
    sink.behave = () => this.behave();
  }

  /** The item of the configuration. */
  get yaml(): string {
    const { illness, sink } = this;
    if (illness === 'bulk') return own('bulk', 'alias: bulk', `port: ${sink.port}`);
    const timeout = illness === 'flaky' ? [`http.response_timeout: ${TIMEOUT_MS}ms`] : [];
    return http(sink, `alias: ${illness}`, ...timeout);
  }

  /** It takes everything from now on. */
  heal(): void {
    this.sink.behave = () => this.healthy();
  }

  private healthy(): Behaviour {
    return this.illness === 'bulk' ? { answer: takeAll } : { status: 200 };
  }

  private behave(): Behaviour {
    const { illness, random } = this;
    switch (illness) {
      case 'dead':
        return 'reset within';
      case 'slow':
        return { status: 200, afterMs: 50 + random(200) };
      case 'flaky':
        return this.fault() ?? { status: 200, afterMs: random(40) };
      case 'bulk':
        if (random(4) === 0) return { answer: (lines, response) => this.takeSome(lines, response) };
        return this.fault() ?? { answer: takeAll };
      default:
        return illness satisfies never;
    }
  }

  /** One request in three meets one. */
  private fault(): Behaviour | undefined {
    switch (this.random(18)) {
      case 0:
        return 'reset within';
      case 1:
        return 'reset after';
      case 2:
        return { answer: resetMidAnswer };
      case 3:
        return { status: 429, headers: { 'retry-after': '0' } };
      case 4:
        return { status: 503 };
      case 5:
        return { answer: this.illness === 'bulk' ? takeAllLate : answerLate };
      default:
        return undefined;
    }
  }

  private takeSome(lines: NumberedLine[], response: ServerResponse): NumberedLine[] {
    const taken = lines.map(() => this.random(REFUSED_SHARE) > 0);
    response.end(JSON.stringify({ statuses: taken.map((is) => (is ? 201 : 429)) }));
    return lines.filter((_, index) => taken[index]);
  }
}

function takeAll(lines: NumberedLine[], response: ServerResponse): NumberedLine[] {
  response.end(JSON.stringify({ statuses: lines.map(() => 201) }));
  return lines;
}

/** The lines are stored at once, and nobody waits for the answer any more. */
function takeAllLate(lines: NumberedLine[], response: ServerResponse): NumberedLine[] {
  setTimeout(takeAll, LATE_MS, lines, response).unref();
  return lines;
}

function answerLate(lines: NumberedLine[], response: ServerResponse): NumberedLine[] {
  setTimeout(() => response.end(), LATE_MS).unref();
  return lines;
}

function resetMidAnswer(lines: NumberedLine[], response: ServerResponse): NumberedLine[] {
  response.writeHead(200, { 'content-length': 100 });
  response.write('{"statuses":[', () => response.socket?.resetAndDestroy());
  return lines;
}
