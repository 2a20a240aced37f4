/**
 * Histories for property tests of joining: a log of a container is written, cut anywhere, and rotated; the agent that reads it is stopped
 * and killed at will, with any of what it read settled. In the end everything is settled, by an agent that was started once more.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Tail, TailEvent } from './harness.ts';

/**
 * How many histories a test goes through: a few, always the same, in the suite; more by hand, others each time (TAIL_JOIN_RUNS=500). One that
 * has no end within half a minute hangs: it is told, and made shorter.
 */
export function amount(modest: number): { numRuns: number; timeout: number; seed?: number } {
  const written = process.env['TAIL_JOIN_RUNS'];
  const timeout = 30_000;
  return written === undefined
    ? { numRuns: modest, timeout, seed: 1 }
    : { numRuns: Number(written), timeout };
}

/** How a step ends. */
export type End = 'stop' | 'kill' | 'rotate' | 'compress' | 'settle';

export interface Step {
  /** Of what is not written yet, so much is. */
  share: number;
  end: End;
  /** Which records are settled before that. */
  picks: readonly boolean[];
}

export function steps(ends: readonly End[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.record({
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      end: fc.constantFrom(...ends),
      picks: fc.array(fc.boolean(), { maxLength: 20 }),
    }),
    { maxLength: 6 },
  );
}

export interface Subject {
  /** The file that the log is written to. */
  path: string;
  write(content: string): void;
  /** Starts an agent whose output settles nothing by itself. */
  start(): Promise<Tail>;
  /** Resolves when an agent has read what there is; `written` is all that was written so far. */
  reads(run: Tail, written: string): Promise<void>;
  /** Whether nothing more is to be expected of what was delivered. */
  isComplete(delivered: readonly TailEvent[]): boolean;
}

/** Each record is to be read and delivered at least once, known by its text; `reference` makes those of what was written. */
export function wholeRecords(
  reference: (written: string) => readonly string[],
): Pick<Subject, 'reads' | 'isComplete'> {
  const seen = new Set<unknown>();
  let wanted: readonly string[] = [];
  return {
    async reads(run, written) {
      wanted = reference(written);
      await run.until(() => {
        for (const { record } of run.events) seen.add(record['log']);
        return wanted.every((text) => seen.has(text));
      });
    },
    isComplete(delivered) {
      const known = new Set(delivered.map(({ record }) => record['log']));
      return wanted.every((text) => known.has(text));
    },
  };
}

const FRAGMENT = /<([oe])(\d+):([xé]*)>/g;

export interface Line {
  stream: 'stdout' | 'stderr';
  /** The runtime cut it: more follows. */
  partial: boolean;
  /** What it begins with, where it does not go on with another one. */
  head: string;
  size: number;
  letter: string;
}

export const someLines: fc.Arbitrary<Line[]> = fc.array(
  fc.record({
    stream: fc.constantFrom('stdout', 'stderr'),
    partial: fc.constantFrom(false, false, true),
    head: fc.constantFrom('#1', '!', ' ', ' '),
    size: fc.oneof(fc.constant(3), fc.integer({ min: 0, max: 20_000 })),
    letter: fc.constantFrom('x', 'é'),
  }),
  { minLength: 1, maxLength: 40 },
);

/** The text of a line by which it is found in whatever record it becomes a part of. */
export function fragment({ stream, head, size, letter }: Line, index: number): string {
  return `${head}<${stream === 'stdout' ? 'o' : 'e'}${index}:${letter.repeat(size)}>`;
}

/** Each line is to be delivered at least once, in whatever record. */
export function fragments(lines: readonly Line[]): Pick<Subject, 'reads' | 'isComplete'> {
  let known = 1;
  return {
    /** Something of what is new, for most of it does nobody know when it becomes a record. */
    async reads(run, written) {
      const whole = written.split('\n').length;
      const { length } = run.events;
      const { kept } = run;
      if (whole > known) await run.until(() => run.events.length !== length || run.kept !== kept);
      known = whole;
    },
    isComplete(delivered) {
      const there = new Set(delivered.flatMap((event) => fragmentsOf(event).map(({ index }) => index)));
      return lines.every((_, index) => there.has(index));
    },
  };
}

function fragmentsOf({ record }: TailEvent): { stream: string; index: number; text: string }[] {
  return [...JSON.stringify(record).matchAll(FRAGMENT)].map(([, stream = '', index = '', text = '']) => ({
    stream,
    index: Number(index),
    text,
  }));
}

/** What is wrong with records: lines that are torn, twice in one, out of order, or of both streams where these are told apart. */
export function faultsOf(
  delivered: readonly TailEvent[],
  lines: readonly Line[],
  { byStream }: { byStream: boolean },
): string[] {
  const faults: string[] = [];
  for (const event of delivered) {
    const parts = fragmentsOf(event);
    const shown = parts.map(({ stream, index }) => stream + String(index)).join(' ');
    if ((JSON.stringify(event.record).match(/<[oe]/g) ?? []).length !== parts.length)
      faults.push(`torn: ${shown}`);
    for (const [at, { index, text }] of parts.entries()) {
      const { letter, size } = lines[index] as Line;
      if (text !== letter.repeat(size)) faults.push(`changed: ${shown}`);
      if (at > 0 && (parts[at - 1]?.index as number) >= index) faults.push(`turned round: ${shown}`);
    }
    if (byStream && new Set(parts.map(({ stream }) => stream)).size > 1) faults.push(`mixed: ${shown}`);
  }
  return faults;
}

/** Lets it happen; resolves with all that was delivered, in the order in which each agent did. */
export async function live(
  subject: Subject,
  content: string,
  history: readonly Step[],
): Promise<TailEvent[]> {
  const delivered: TailEvent[] = [];
  const rotated: string[] = [];
  let written = 0;
  let run = await subject.start();
  const restart = async (end: 'stop' | 'kill'): Promise<void> => {
    run.writeMarks();
    await run[end]();
    delivered.push(...run.sink.delivered);
    run = await subject.start();
  };
  for (const { share, end, picks } of history) {
    const to = written + Math.floor((content.length - written) * share);
    subject.write(content.slice(written, to));
    written = to;
    await subject.reads(run, content.slice(0, written));
    run.sink.settleRecords((index) => picks[index % Math.max(1, picks.length)] === true);
    if (end === 'stop' || end === 'kill') await restart(end);
    // Only between lines: a file is never rotated within one.
    else if (end === 'rotate' && content[written - 1] === '\n' && existsSync(subject.path))
      rotated.push(rotate(subject.path, rotated.length));
    else if (end === 'compress') rotated.filter((path) => existsSync(path)).forEach(compress);
  }
  subject.write(content.slice(written));
  await subject.reads(run, content);
  await restart('kill');
  run.sink.open = true;
  run.sink.settle();
  await run.until(() => subject.isComplete([...delivered, ...run.sink.delivered]));
  delivered.push(...run.sink.delivered);
  await run.stop();
  return delivered;
}

function rotate(path: string, count: number): string {
  const rotated = `${path}.${count}`;
  renameSync(path, rotated);
  return rotated;
}

/** As a kubelet does with all but the youngest. */
function compress(path: string): void {
  writeFileSync(`${path}.tmp`, gzipSync(readFileSync(path)));
  renameSync(`${path}.tmp`, `${path}.gz`);
  rmSync(path);
}
