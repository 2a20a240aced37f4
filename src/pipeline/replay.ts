/**
 * Sends dead letters again, through the queues of a running agent, to the outputs that they were meant for or to another one.
 *
 * The files that are there are sealed first: what is refused once more goes to new files and is not met again. Some of them at a time
 * are under way; when all that were picked of a file are settled, the file is rewritten without them. Killed in between, letters
 * are sent twice, never lost.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { InputAccount } from '../buffer/memory.ts';
import { letterKey, RESENT_INPUT } from '../delivery/dead-letters.ts';
import type { DeadLetters, Resent } from '../delivery/dead-letters.ts';
import type { BoxFile, LetterBox } from '../delivery/dead-letters/box.ts';
import { readLetter } from '../delivery/dead-letters/letter.ts';
import type { StoredLetter } from '../delivery/dead-letters/letter.ts';
import { readLines } from '../delivery/dead-letters/lines.ts';
import { Batch } from '../event/batch.ts';
import { encodeBatch } from '../event/chunk.ts';
import type { Chunk } from '../event/chunk.ts';
import { Ranges } from '../event/ranges.ts';
import { Source } from '../event/source.ts';
import type { Agent, OutputRunner } from './agent.ts';
import { traitsOf } from './build.ts';
import { InputLedger } from './input-ledger.ts';
import { compileLetterFilter, ExpressionError } from './letter-filter.ts';
import type { LetterFilter } from './letter-filter.ts';

export { ExpressionError };

/** Read at a time, and at most under way: the agent's other work must not wait for long. Bytes. */
const WINDOW_BYTES = 1_000_000;
/** How often progress is said and is looked whether an output is still there. Milliseconds. */
const LOOK_MS = 1000;
/** Origins in a chunk are 32-bit offsets from its base. */
const MAX_SPAN = 2 ** 31 - 1;

export interface ReplayRequest {
  /** Only letters of this output. */
  output?: string | undefined;
  /** Where they go; default: each to the output that it was meant for. */
  to?: string | undefined;
  /** Only letters for which this condition holds. */
  where?: string | undefined;
}

/** What came of it, in letters. */
export interface ReplayCounts {
  /** Given to an output. */
  replayed: number;
  delivered: number;
  /** Refused once more, or sent in vain up to the retry limit: dead letters again, with a new reason. */
  refused: number;
  /** Not settled, or dropped: they stay where they are. */
  kept: number;
  /** Meant for an output that is not in the configuration: they stay where they are. */
  homeless: number;
  not_matching: number;
  /** Lines that are damaged or torn: they stay where they are. */
  unreadable: number;
}

export interface ReplayControl {
  /** No further window is begun; what is under way is waited for. */
  signal: AbortSignal;
  /** Nothing is waited for any more: the agent stops. */
  stop: AbortSignal;
  /** Called once a second, and after each window. */
  onProgress: (counts: Readonly<ReplayCounts>) => void;
}

/** A replay that cannot be begun: a sentence for the user. */
export class ReplayError extends Error {
  override name = 'ReplayError';
}

/** Runs a replay to its end. One at a time per agent. Throws {@link ReplayError} or ExpressionError before anything is sent. */
export async function replay(
  agent: Agent,
  request: ReplayRequest,
  control: ReplayControl,
): Promise<ReplayCounts> {
  const { deadLetters } = agent.surroundings;
  if (deadLetters === undefined)
    throw new ReplayError('This agent keeps no dead letters: state_path is off.');
  const names = agent.outputs.map(({ instance }) => instance.name);
  if (request.to !== undefined && !names.includes(request.to)) {
    throw new ReplayError(
      `There is no output "${request.to}" to send to: the configuration has ${names.join(', ')}.`,
    );
  }
  if (request.output !== undefined && deadLetters.letterBoxes(request.output).length === 0) {
    throw new ReplayError(`Output "${request.output}" has no dead letters.`);
  }
  const counts = await new Replay(agent, deadLetters, request, control).run();
  agent.log.info({ ...request, ...counts }, 'Dead letters were sent again');
  return counts;
}

/** A letter with its place in the file. */
interface Picked {
  letter: StoredLetter;
  runner: OutputRunner;
  start: number;
  stop: number;
  key: string;
  resent: Resent;
  refused: boolean;
}

/** A chunk of letters on its way. */
interface Shipment {
  runner: OutputRunner;
  letters: readonly Picked[];
  /** Resolves when the buffer need not keep it in memory any more. */
  safe: Promise<void>;
  /** Nothing of it is open any more. */
  isLanded: () => boolean;
}

class Replay {
  private readonly agent: Agent;
  private readonly deadLetters: DeadLetters;
  private readonly request: ReplayRequest;
  private readonly control: ReplayControl;
  private readonly matches: LetterFilter;
  private readonly ledger: InputLedger;
  private readonly account: InputAccount;
  /** Origins of letters that have none must be unlike. */
  private readonly nameless = { source: randomUUID(), next: 0 };
  private readonly counts: ReplayCounts = {
    replayed: 0,
    delivered: 0,
    refused: 0,
    kept: 0,
    homeless: 0,
    not_matching: 0,
    unreadable: 0,
  };

  constructor(agent: Agent, deadLetters: DeadLetters, request: ReplayRequest, control: ReplayControl) {
    this.agent = agent;
    this.deadLetters = deadLetters;
    this.request = request;
    this.control = control;
    this.matches = compileLetterFilter(request.where);
    this.ledger = new InputLedger(agent.metrics, RESENT_INPUT);
    this.account = agent.memory.open(RESENT_INPUT, 0);
  }

  private get ended(): boolean {
    return this.control.signal.aborted || this.control.stop.aborted;
  }

  async run(): Promise<ReplayCounts> {
    const boxes = this.deadLetters.letterBoxes(this.request.output);
    const files = boxes.flatMap((box) => box.seal().map((file) => ({ box, file })));
    for (const { box, file } of files) {
      if (this.ended) break;
      await this.file(box, file);
    }
    return this.counts;
  }

  private async file(box: LetterBox, file: BoxFile): Promise<void> {
    let descriptor: number;
    try {
      descriptor = openSync(join(box.folder, file.name), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      // It was evicted meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    const taken = new Ranges();
    let letters = 0;
    try {
      for (const window of this.windows(descriptor)) {
        for (const { start, stop } of await this.send(window)) {
          taken.add(start, stop);
          letters++;
        }
        this.control.onProgress(this.counts);
        // Where nothing was sent nothing was waited for.
        await nextTurn();
        if (this.ended) break;
      }
    } finally {
      closeSync(descriptor);
      box.take(file, taken.list, letters);
    }
  }

  /** The letters that are meant, of so many bytes of the file at a time; a window may be empty. */
  private *windows(descriptor: number): Iterable<Picked[]> {
    let window: Picked[] = [];
    let from = 0;
    for (const line of readLines(descriptor)) {
      const letter = line.text === undefined ? undefined : readLetter(line.text);
      if (letter === undefined) {
        this.counts.unreadable++;
      } else if (this.matches(letter)) {
        const picked = this.pick(letter, line.start, line.stop);
        if (picked !== undefined) window.push(picked);
      } else {
        this.counts.not_matching++;
      }
      if (line.stop - from < WINDOW_BYTES) continue;
      yield window;
      window = [];
      from = line.stop;
    }
    yield window;
  }

  private pick(letter: StoredLetter, start: number, stop: number): Picked | undefined {
    const target = this.request.to ?? letter.output;
    const runner = this.agent.outputs.find(({ instance }) => instance.name === target);
    if (runner === undefined) {
      this.counts.homeless++;
      return undefined;
    }
    const { tag, seconds, nanos, text, attempts, firstAttempt, origin } = letter;
    const picked: Picked = {
      letter,
      runner,
      start,
      stop,
      key: letterKey(tag, seconds, nanos, text),
      resent: {
        attempts,
        firstAttempt,
        origin,
        onRefused: () => {
          picked.refused = true;
        },
      },
      refused: false,
    };
    return picked;
  }

  /** Sends a window; resolves with the letters that are settled. */
  private async send(window: readonly Picked[]): Promise<readonly Picked[]> {
    if (window.length === 0) return [];
    await this.untilStopped(this.agent.memory.room(this.account));
    if (this.control.stop.aborted) return [];
    const before = new Map<string, number>();
    for (const { runner, key, resent } of window) {
      before.set(runner.instance.name, this.dropped(runner));
      this.deadLetters.sentAgain(key, resent);
    }
    const shipments = shipmentsOf(window).map((letters) => this.ship(letters));
    for (const queue of new Set(shipments.map(({ runner }) => runner.queue))) queue.hurry();
    await this.landing(shipments);
    for (const { key, resent } of window) this.deadLetters.landed(key, resent);

    return shipments.flatMap((shipment) => {
      // The queue does not say which records it dropped: if it dropped any meanwhile, these stay.
      const lost = this.dropped(shipment.runner) > (before.get(shipment.runner.instance.name) ?? 0);
      const settled =
        shipment.isLanded() && !lost ? shipment.letters : shipment.letters.filter((each) => each.refused);
      const refused = shipment.letters.filter((each) => each.refused).length;
      this.counts.refused += refused;
      this.counts.delivered += settled.length - refused;
      this.counts.kept += shipment.letters.length - settled.length;
      return settled;
    });
  }

  private dropped({ instance }: OutputRunner): number {
    const family = this.agent.metrics.families.get('tailrace_output_dropped_records_total');
    return family !== undefined && 'sum' in family ? family.sum({ name: instance.name }) : 0;
  }

  /** Letters of one tag and source as a chunk in the queue. */
  private ship(letters: readonly Picked[]): Shipment {
    const { runner } = letters[0] as Picked;
    const chunk = this.encode(letters, traitsOf(runner.instance).payload !== 'none');
    this.ledger.read.value += letters.length;
    this.ledger.routed.value += letters.length;
    this.counts.replayed += letters.length;
    return { runner, letters, ...this.dispatch(runner, chunk) };
  }

  private encode(letters: readonly Picked[], wantsBytes: boolean): Chunk {
    const batch = new Batch();
    batch.input = RESENT_INPUT;
    const origins = letters.map(({ letter }) => letter.origin ?? this.ownOrigin());
    batch.base = Math.min(...origins.map(({ start }) => start));
    // With a source the records count as readable again, and they are: their letters stay until they are settled.
    batch.source = new Source(origins[0]?.source ?? this.nameless.source, batch.base);
    letters.forEach(({ letter }, index) => {
      const { record, text, seconds, nanos, metadata } = letter;
      const { start, stop } = origins[index] as { start: number; stop: number };
      batch.push(record, text, seconds, nanos, start - batch.base, stop - batch.base);
      if (metadata !== undefined) (batch.metadata ??= [])[index] = metadata;
    });
    return encodeBatch((letters[0] as Picked).letter.tag, batch, wantsBytes, performance.now());
  }

  private ownOrigin(): { source: string; start: number; stop: number } {
    const start = this.nameless.next++;
    return { source: this.nameless.source, start, stop: start + 1 };
  }

  /** Hands a chunk to a queue. */
  private dispatch({ queue }: OutputRunner, chunk: Chunk): Pick<Shipment, 'safe' | 'isLanded'> {
    const { buffer } = this.agent;
    const held = buffer.hold(chunk);
    const flight = queue.enqueue(held, [[0, chunk.length]]);
    buffer.settleIn(held, { filesystem: false, receipt: undefined });
    const safe = new Promise<void>((resolve) => {
      held.whenSafe(resolve);
    });
    return { safe, isLanded: () => flight.landed };
  }

  /** Resolves when all have landed, or will not any more. */
  private async landing(shipments: readonly Shipment[]): Promise<void> {
    const landed = new AbortController();
    // Safe may also mean durable on disk: then it is looked at now and then.
    void Promise.all(shipments.map((each) => each.safe)).then(() => {
      if (shipments.every((each) => each.isLanded())) landed.abort();
    });
    while (!this.control.stop.aborted) {
      const open = shipments.filter((each) => !each.isLanded());
      if (open.every(({ runner }) => this.isGone(runner))) break;
      await this.untilStopped(pause(LOOK_MS, undefined, { signal: landed.signal }).catch(() => undefined));
      this.control.onProgress(this.counts);
    }
    landed.abort();
  }

  /** A reload took the output away, and its time to send what it had is over. */
  private isGone({ queue }: OutputRunner): boolean {
    return ![...this.agent.outputs, ...this.agent.leaving.keys()].some((runner) => runner.queue === queue);
  }

  private async untilStopped(work: Promise<unknown> | undefined): Promise<void> {
    const { stop } = this.control;
    if (work === undefined || stop.aborted) return;
    const over = new AbortController();
    const stopped = new Promise((resolve) => {
      stop.addEventListener('abort', resolve, { once: true, signal: over.signal });
    });
    await Promise.race([work, stopped]);
    over.abort();
  }
}

/** Letters by output, tag and source, each in its order, and no further apart in their source than a chunk can say. */
function shipmentsOf(window: readonly Picked[]): Picked[][] {
  const groups = new Map<string, Picked[]>();
  for (const picked of window) {
    const { letter, runner } = picked;
    const { source, start = 0 } = letter.origin ?? {};
    const span = Math.floor(start / (MAX_SPAN / 2));
    const key = JSON.stringify([runner.instance.name, letter.tag, source ?? null, span]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [picked]);
    else group.push(picked);
  }
  return [...groups.values()];
}
