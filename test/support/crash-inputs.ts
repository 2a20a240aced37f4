/** Who feeds the agents of the crash tests: an application that logs to files, clients of the http input, a program before a pipe. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentProcess } from './agent.ts';
import { keyOf, linesOnDisk } from './crash-disk.ts';
import type { Destination } from './crash-outputs.ts';
import { numbered, NumberedWriter } from './numbered.ts';
import { inputPort, Sender } from './sender.ts';
import { item, listener, tail } from './yaml.ts';

export type InputKind = 'tail' | 'http' | 'stdin';

const PADDING = 300;
/** Between two writes, requests or bursts of a stream. Milliseconds. */
const EVERY_MS = 20;
const LINES_AT_ONCE = 40;
const ROTATE_EVERY = 1500;

export interface Feeder {
  /** The item of the configuration. */
  readonly yaml: string;
  /** The agents' standard input is a pipe. */
  readonly stdin: boolean;
  /** By stream, the lines that there are: every destination must get every one. Final after {@link finish}. */
  readonly streams: Readonly<Record<string, number>>;
  /** Keys of lines that were given to a second agent because nothing said that the first had them: their copies are nobody's fault. */
  readonly givenAgain: ReadonlySet<string>;
  /** There is a new agent. */
  feed(agent: AgentProcess): void;
  /** Resolves at the very instant of the next acknowledgement: what was acknowledged too early is lost then. Only where there are some. */
  acknowledgement?(): Promise<void>;
  /** That agent is dead. Resolves when it is known what of the lines that it got must be given to the next one. */
  mourn(): Promise<void>;
  /** No new lines from now on. Resolves when the agent that runs was given, or has acknowledged, all that there are. */
  finish(): Promise<void>;
}

/** An application with two files that it rotates, whether an agent is there or not. */
export class Application implements Feeder {
  readonly yaml = tail("path: '*.log'");
  readonly stdin = false;
  readonly givenAgain = new Set<string>();
  private readonly writers: NumberedWriter[];
  private readonly enough = new AbortController();
  private readonly writing: Promise<void>[];

  constructor(path: (name: string) => string, destinations: readonly Destination[]) {
    this.writers = ['a', 'b'].map(
      (stream) =>
        new NumberedWriter({
          path: path(`${stream}.log`),
          stream,
          padding: PADDING,
          rotateEvery: ROTATE_EVERY,
          // A file that no agent has seen cannot be looked for by identity.
          mayRotate: (first) => destinations.some(({ sink }) => sink.has(stream, first)),
        }),
    );
    this.writing = this.writers.map((writer) =>
      writer.pace(Number.POSITIVE_INFINITY, LINES_AT_ONCE, EVERY_MS, this.enough.signal),
    );
  }

  get streams(): Readonly<Record<string, number>> {
    const [a, b] = this.writers as [NumberedWriter, NumberedWriter];
    return { a: a.next, b: b.next };
  }

  feed(): void {}

  async mourn(): Promise<void> {}

  async finish(): Promise<void> {
    this.enough.abort();
    await Promise.all(this.writing);
    for (const writer of this.writers) writer.close();
  }
}

/** Two clients that send a request again until it is acknowledged with 201. */
export class Clients implements Feeder {
  readonly yaml = listener();
  readonly stdin = false;
  readonly givenAgain = new Set<string>();
  readonly streams: Record<string, number> = { a: 0, b: 0 };
  private sending: Promise<void>[] = [];
  private enough = false;
  private waiters: (() => void)[] = [];

  acknowledgement(): Promise<void> {
    return new Promise((resolve) => {
      this.waiters.push(resolve);
    });
  }

  feed(agent: AgentProcess): void {
    this.sending = Object.keys(this.streams).map((stream) => this.send(agent, stream));
  }

  async mourn(): Promise<void> {
    await Promise.all(this.sending);
  }

  async finish(): Promise<void> {
    this.enough = true;
    await Promise.all(this.sending);
  }

  /** Sends until it has enough or the agent is dead. */
  private async send(agent: AgentProcess, stream: string): Promise<void> {
    const port = await inputPort(agent).catch(() => undefined);
    if (port === undefined) return;
    const sender = new Sender({ port, stream, padding: PADDING });
    sender.acknowledged = this.streams[stream] ?? 0;
    let status: number;
    do {
      status = await sender.send(LINES_AT_ONCE).catch(() => 0);
      if (status === 201) this.acknowledged();
      // A refusal for want of room comes before a record is taken.
      if (status !== 201 && status !== 429) this.inDoubt(stream, sender.acknowledged);
      this.streams[stream] = sender.acknowledged;
      await pause(EVERY_MS);
      // Nothing stays in doubt: the last request is an acknowledged one.
    } while (status !== 0 && !(this.enough && status === 201));
  }

  private acknowledged(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }

  private inDoubt(stream: string, from: number): void {
    for (let n = from; n < from + LINES_AT_ONCE; n++) this.givenAgain.add(keyOf(stream, n));
  }
}

/**
 * A program before the agent's standard input. Nobody acknowledges a pipe: what counts as promised is what each destination has, or the
 * disk buffer keeps for it when the agent dies. The next agent is given the rest again, so that at the end all lines must be there.
 */
export class Program implements Feeder {
  readonly yaml = item('name: stdin', ['tag: app']);
  readonly stdin = true;
  readonly givenAgain = new Set<string>();
  private readonly directory: string;
  private readonly destinations: readonly Destination[];
  private readonly keepsAll: boolean;
  private next = 0;
  /** What the next agent is given before new lines. */
  private again: number[] = [];
  /** What this agent was given. */
  private given: number[] = [];
  private writing = Promise.resolve();
  private enough = false;

  /**
   * `directory` is the agent's, the disk buffer somewhere in it. With `keepsAll` what is there for one destination must be there for all
   * that have not got it: what goes to disk as it comes does so before anything is sent, what goes there because memory is short does not.
   */
  constructor(directory: string, destinations: readonly Destination[], keepsAll: boolean) {
    this.directory = directory;
    this.destinations = destinations;
    this.keepsAll = keepsAll;
  }

  get streams(): Readonly<Record<string, number>> {
    return { a: this.next };
  }

  feed(agent: AgentProcess): void {
    this.writing = this.write(agent);
  }

  async mourn(): Promise<void> {
    await this.writing;
    const onDisk = linesOnDisk(this.directory);
    const forAny = new Set([...onDisk.values()].flatMap((keys) => [...keys]));
    const isPromised = (n: number): boolean =>
      this.destinations.every(
        ({ illness, sink }) =>
          sink.has('a', n) || (this.keepsAll ? forAny : onDisk.get(illness))?.has(keyOf('a', n)) === true,
      );
    const lost = this.given.filter((n) => !isPromised(n));
    for (const n of lost) this.givenAgain.add(keyOf('a', n));
    this.again = [...lost, ...this.again];
    this.given = [];
  }

  async finish(): Promise<void> {
    this.enough = true;
    await this.writing;
  }

  /** Writes until it has enough or the agent is dead. */
  private async write(agent: AgentProcess): Promise<void> {
    const { stdin } = agent;
    stdin.on('error', () => {});
    while (agent.exit === undefined && !(this.enough && this.again.length === 0)) {
      const burst = this.again.splice(0, 2 * LINES_AT_ONCE);
      while (burst.length < 2 * LINES_AT_ONCE) burst.push(this.next++);
      this.given.push(...burst);
      const text = burst.map((n) => `${JSON.stringify({ log: numbered('a', n, PADDING) })}\n`).join('');
      if (!stdin.write(text)) await Promise.race([once(stdin, 'drain').catch(() => {}), agent.exited]);
      await pause(EVERY_MS);
    }
  }
}
