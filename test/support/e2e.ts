/** End-to-end tests: a directory, agents and sinks that are gone afterwards, and the ledger checked of every agent that still lives. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';
import { AgentProcess } from './agent.ts';
import { HttpSink } from './sink.ts';

export interface Launch {
  /** File in the test's directory; default what {@link Rig.configure} wrote. */
  config?: string;
  /** Directory for positions; null leaves it to the configuration. */
  state?: string | null;
  /** Further variables of its environment. */
  env?: Readonly<Record<string, string>>;
  /** Further options of Node.js. */
  node?: readonly string[];
  /** Descriptors that it may have open at once. */
  openFiles?: number;
  /** Its standard input is a pipe; else it has none. */
  stdin?: boolean;
}

export class Rig {
  /** A directory of the test's own. */
  readonly directory = mkdtempSync(join(tmpdir(), 'tailrace-e2e-'));
  readonly agents: AgentProcess[] = [];
  private readonly sinks: HttpSink[] = [];

  /** A path in the directory. */
  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  /** Writes the configuration; an agent that runs sees it at its next reload. */
  configure(yaml: string): void {
    writeFileSync(this.path('pipeline.yaml'), yaml);
  }

  /** Starts an agent without waiting for anything. */
  launch({ config = 'pipeline.yaml', state = 'state', ...more }: Launch = {}): AgentProcess {
    const agent = new AgentProcess({ config, state: state ?? undefined, cwd: this.directory, ...more });
    this.agents.push(agent);
    return agent;
  }

  /** Starts an agent and waits until it runs. */
  start(options: Launch = {}): Promise<AgentProcess> {
    return this.launch(options).running();
  }

  /** Opens a sink. */
  sink(): Promise<HttpSink> {
    const sink = new HttpSink();
    this.sinks.push(sink);
    return sink.open();
  }

  /** The agents that have not ended. */
  private get living(): AgentProcess[] {
    return this.agents.filter(({ exit }) => exit === undefined);
  }

  async checkLedgers(): Promise<void> {
    for (const agent of this.living) await agent.scrape();
  }

  /** What the agents said and count, for a test that failed. */
  async report(): Promise<void> {
    for (const agent of this.agents) {
      process.stderr.write(`\nagent ${agent.pid}:\n${agent.stderr.slice(-3000)}\n`);
      if (agent.exit !== undefined) continue;
      const response = await fetch(`${await agent.api()}/metrics`).catch(() => undefined);
      const lines = (await response?.text())?.split('\n') ?? [];
      process.stderr.write(
        lines
          .filter((line) => /^tailrace_(input|output|buffer|filter|storage)\w*[^_ ]/.test(line))
          .join('\n'),
      );
    }
    for (const sink of this.sinks) process.stderr.write(`\n${sink.describe()}\n`);
  }

  async close(): Promise<void> {
    for (const agent of this.living) await agent.kill();
    for (const sink of this.sinks) await sink.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const test = base.extend<{ rig: Rig }>({
  rig: async ({ task }, use) => {
    const rig = new Rig();
    try {
      await use(rig);
      if (task.result?.state === 'fail') await rig.report();
      else await rig.checkLedgers();
    } finally {
      await rig.close();
    }
  },
});

/** A seeded source of random numbers (mulberry32). The seed is printed; TAILRACE_SEED sets it. */
export function seededRandom(): (below: number) => number {
  const seed = Number(process.env['TAILRACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  process.stderr.write(`TAILRACE_SEED=${seed}\n`);
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
