/** A destination in a process of its own (sink-process.ts), as benchmarks see it. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, Report, Weather } from './sink-protocol.ts';

const PROCESS = join(dirname(fileURLToPath(import.meta.url)), 'sink-process.ts');

export class Sink {
  port = 0;
  private readonly child: ChildProcess;
  /** Commands are answered one after the other. */
  private asked: Promise<unknown> = Promise.resolve();

  /**
   * `count` counts records, `latency` reads the time inside of them, `numbered` judges numbered lines; `bulk` and `loki` count what comes in
   * Elasticsearch's bulk format and in Loki's JSON, and answer as those do.
   */
  constructor(kind: 'count' | 'latency' | 'numbered' | 'bulk' | 'loki') {
    this.child = fork(PROCESS, [kind], { serialization: 'advanced' });
  }

  private ask(command: Command): Promise<Report> {
    const answer = this.asked.then(async () => {
      this.child.send(command);
      const [report] = (await once(this.child, 'message')) as [Report];
      return report;
    });
    this.asked = answer;
    return answer;
  }

  /** Listens; the port stays the same over a {@link close}. */
  async open(): Promise<this> {
    this.port = (await this.ask({ ask: 'open' })).port;
    return this;
  }

  async close(): Promise<void> {
    await this.ask({ ask: 'close' });
  }

  async be(weather: Weather): Promise<void> {
    await this.ask({ ask: 'weather', weather });
  }

  async forget(): Promise<void> {
    await this.ask({ ask: 'forget' });
  }

  report(): Promise<Report> {
    return this.ask({ ask: 'report' });
  }

  end(): void {
    this.child.disconnect();
  }
}
