/** A client of the `http` input: sends numbered lines as lines of JSON, and remembers which were acknowledged. */
import { setTimeout as pause } from 'node:timers/promises';
import { numbered } from './numbered.ts';

/** Before a request that was refused for want of room is sent again. Milliseconds. */
const REFUSED_PAUSE_MS = 25;

export class Sender {
  /** Lines of the stream up to here were acknowledged, one request after the other. */
  acknowledged = 0;
  /** Statuses of the requests that were refused. */
  readonly refusals: number[] = [];
  private readonly port: number;
  private readonly stream: string;
  private readonly padding: number;

  constructor({ port, stream, padding = 0 }: { port: number; stream: string; padding?: number }) {
    this.port = port;
    this.stream = stream;
    this.padding = padding;
  }

  /** Sends the next lines in one request: its status. They are sent again by the next call unless it is 201. Throws when there is no answer. */
  async send(lines: number): Promise<number> {
    const from = this.acknowledged;
    const records = Array.from(
      { length: lines },
      (_, index) => `${JSON.stringify({ log: numbered(this.stream, from + index, this.padding) })}\n`,
    );
    const response = await fetch(`http://127.0.0.1:${this.port}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: records.join(''),
    });
    await response.arrayBuffer();
    if (response.status === 201) this.acknowledged += lines;
    else this.refusals.push(response.status);
    return response.status;
  }

  /** Sends until so many lines are acknowledged, `lines` per request; again a moment later when there is no room, as a client should. */
  async sendUpTo(total: number, lines: number): Promise<void> {
    while (this.acknowledged < total) {
      const status = await this.send(Math.min(lines, total - this.acknowledged));
      if (status === 429) await pause(REFUSED_PAUSE_MS);
      else if (status !== 201) throw new Error(`The http input answered ${status}.`);
    }
  }
}

/** The port of an agent's `http` input, from what it says of itself. */
export async function inputPort(agent: {
  said(message: RegExp): Promise<Readonly<Record<string, unknown>>>;
}): Promise<number> {
  const { port } = await agent.said(/^Listening for HTTP requests/);
  return Number(port);
}
