/**
 * Dead letters: records that a destination will never take, kept as NDJSON that a person can read
 * (dead-letters/letter.ts), synced before the record settles (DELIVERY.md, rule 25).
 *
 * Each output has a folder of files (dead-letters/names.ts). Whole files go, the oldest first, when there are too many bytes or they are
 * too old. Age goes by the wall clock, which may be wrong: a file from the future is kept, and where the clock jumps, or everything would go
 * at once after a start, nothing goes by age until the agent has run for a day with it.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Slice } from '../event/chunk.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Family, Metrics } from '../telemetry/metrics.ts';
import { LetterBox } from './dead-letters/box.ts';
import type { EvictionReason } from './dead-letters/box.ts';
import { writeLetter } from './dead-letters/letter.ts';
import type { DeadLetter, EarlierLife } from './dead-letters/letter.ts';
import { folderOf, listFolders } from './dead-letters/names.ts';

export type { DeadLetter } from './dead-letters/letter.ts';

const DEFAULT_LIMIT = 64_000_000;
const DEFAULT_MAX_AGE_MS = 30 * 86_400_000;
const HOUR_MS = 3_600_000;
/** How long the clock must stand by what it said before letters go by it. */
const DOUBT_MS = 24 * HOUR_MS;

export interface DeadLettersOptions {
  directory: string;
  log: Logger;
  metrics: Metrics;
  /** Bytes per output; default 64 MB. */
  limit?: number | undefined;
  /** Milliseconds; default 30 days, Infinity for no bound. */
  maxAgeMs?: number | undefined;
  /** Unix milliseconds. */
  now?: () => number;
  /** Monotonic milliseconds. */
  monotonic?: () => number;
}

/** A letter under way again: who asks gets told when it is refused once more. */
export interface Resent extends EarlierLife {
  onRefused: () => void;
}

export class DeadLetters {
  readonly directory: string;
  private readonly log: Logger;
  private readonly limit: number;
  private readonly maxAgeMs: number;
  private readonly now: () => number;
  private readonly monotonic: () => number;
  private readonly boxes = new Map<string, LetterBox>();
  private readonly evictions: Family;
  /** By what a record is: its chunk may be another one by the time that it is refused. */
  private readonly resent = new Map<string, Resent[]>();
  private checkedAt: { wall: number; monotonic: number };
  /** Monotonic milliseconds from which the clock is believed. */
  private trustedFrom = Number.NEGATIVE_INFINITY;

  constructor(options: DeadLettersOptions) {
    const { directory, log, metrics } = options;
    this.directory = directory;
    this.log = log;
    this.limit = options.limit ?? DEFAULT_LIMIT;
    this.maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS;
    this.now = options.now ?? Date.now;
    this.monotonic = options.monotonic ?? (() => performance.now());
    this.evictions = metrics.counter(
      'tailrace_dead_letters_evicted_total',
      'Dead letters that went because there were too many bytes of them or they were too old. In the ledger they stay dead-lettered.',
    );
    this.observe(metrics);
    this.checkedAt = { wall: this.now(), monotonic: this.monotonic() };
    this.open();
  }

  private observe(metrics: Metrics): void {
    const gauge = (name: string, help: string, value: (box: LetterBox) => number): void => {
      metrics.gauge(name, help, (family) => {
        for (const [output, box] of this.boxes) family.labels({ name: output }).value = value(box);
      });
    };
    gauge('tailrace_dead_letters', 'Dead letters that are kept.', (box) => box.letters);
    gauge('tailrace_dead_letters_bytes', 'Bytes of the dead letters that are kept.', (box) => box.bytes);
  }

  /** Letters of earlier runs, also of outputs that are no more. */
  private open(): void {
    for (const output of this.outputs()) {
      try {
        this.box(output).evictBySize();
      } catch (error) {
        this.log.error({ output, error }, 'Cannot look through the dead letters of an output');
      }
    }
    const boxes = [...this.boxes.values()].filter(({ files }) => files.length > 0);
    const aged = boxes.some((box) => box.aged(this.now()).length === box.files.length);
    // Either the agent was away for long, or the clock is wrong.
    if (aged) this.trustedFrom = this.monotonic() + DOUBT_MS;
    this.evictByAge();
  }

  private outputs(): string[] {
    try {
      return listFolders(this.directory).map(({ output }) => output);
    } catch (error) {
      this.log.error({ directory: this.directory, error }, 'Cannot look through the dead letters');
      return [];
    }
  }

  private box(output: string): LetterBox {
    // By folder: that of a long name does not tell the name.
    const folder = join(this.directory, folderOf(output));
    for (const box of this.boxes.values()) if (box.folder === folder) return box;
    const box = new LetterBox({
      folder,
      limit: this.limit,
      maxAgeMs: this.maxAgeMs,
      onEvicted: (reason, letters, bytes) => this.evicted(output, reason, letters, bytes),
    });
    this.boxes.set(output, box);
    return box;
  }

  private evicted(output: string, reason: EvictionReason, letters: number, bytes: number): void {
    this.evictions.labels({ name: output, reason }).value += letters;
    this.log.warn({ output, reason, letters, bytes }, 'The oldest dead letters are removed');
  }

  /** Appends letters and syncs them. False when that failed: logged, and the caller counts the records as dropped. */
  write(output: string, letters: readonly DeadLetter[]): boolean {
    const now = this.now();
    const earlier = letters.map(({ slice }) => this.find(slice));
    try {
      this.box(output).write(
        letters.map((letter, index) => writeLetter(output, letter, earlier[index], now)),
        now,
      );
    } catch (error) {
      this.log.error(
        { directory: this.directory, output, error, records: letters.length },
        'Cannot write dead letters; the records are dropped',
      );
      return false;
    }
    for (const life of earlier) life?.onRefused();
    return true;
  }

  /** Looks for files that are too old, at most once an hour. Cheap to call at any time. */
  tick(): void {
    const wall = this.now();
    const monotonic = this.monotonic();
    const passed = monotonic - this.checkedAt.monotonic;
    if (passed < HOUR_MS) return;
    const jump = Math.abs(wall - this.checkedAt.wall - passed);
    if (jump > HOUR_MS) this.trustedFrom = monotonic + DOUBT_MS;
    this.checkedAt = { wall, monotonic };
    this.evictByAge();
  }

  private evictByAge(): void {
    if (this.monotonic() < this.trustedFrom) return;
    const now = this.now();
    for (const [output, box] of this.boxes) {
      try {
        for (const file of box.aged(now)) box.evict(file, 'age');
      } catch (error) {
        this.log.error({ output, error }, 'Cannot remove old dead letters');
      }
    }
  }

  /** The boxes of all outputs, or of one, that have letters. */
  letterBoxes(output?: string): readonly LetterBox[] {
    const folder = output === undefined ? undefined : join(this.directory, folderOf(output));
    return [...this.boxes.values()].filter(
      (box) => box.files.length > 0 && (folder === undefined || box.folder === folder),
    );
  }

  /** A letter is sent again: when it is refused once more, its new letter goes on from the old one. Call {@link landed} afterwards. */
  sentAgain(key: string, letter: Resent): void {
    const others = this.resent.get(key);
    if (others === undefined) this.resent.set(key, [letter]);
    else others.push(letter);
  }

  /** A letter that was sent again is settled. */
  landed(key: string, letter: Resent): void {
    const rest = (this.resent.get(key) ?? []).filter((each) => each !== letter);
    if (rest.length === 0) this.resent.delete(key);
    else this.resent.set(key, rest);
  }

  private find(slice: Slice): Resent | undefined {
    if (this.resent.size === 0 || slice.chunk.input !== RESENT_INPUT) return undefined;
    const key = letterKey(slice.tag, slice.seconds(0), slice.nanos(0), slice.json(0));
    const [life] = this.resent.get(key) ?? [];
    // Of several equal ones each is refused once.
    if (life !== undefined) this.landed(key, life);
    return life;
  }
}

/** Name of the input that letters come from when they are sent again. */
export const RESENT_INPUT = 'dead_letters';

/** What tells a record from others while it is sent again. */
export function letterKey(tag: string, seconds: number, nanos: number, json: string): string {
  return createHash('sha256').update(`${tag}\n${seconds}.${nanos}\n`).update(json).digest('base64');
}
