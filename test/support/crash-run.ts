/**
 * Crash tests: agents are killed with SIGKILL at random instants while their inputs never stop, and what was promised must be at every
 * destination in the end. A case is a place of a matrix: where chunks are buffered, what feeds the agent, and what is ill at its destinations.
 * The seed sets all dice; how far an agent came by then is the machine's doing.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { AgentProcess } from './agent.ts';
import { Application, Clients, Program } from './crash-inputs.ts';
import type { Feeder, InputKind } from './crash-inputs.ts';
import { BULK_MODULE, Destination } from './crash-outputs.ts';
import type { Illness } from './crash-outputs.ts';
import type { Rig } from './e2e.ts';
import { expectComplete, repeatedRequests } from './judge.ts';
import { keyOf } from './crash-disk.ts';
import type { SinkRequest } from './sink.ts';
import { pipeline, QUICK } from './yaml.ts';

export interface CrashCase {
  /** `memory` overflows to disk, as it does without an option. */
  buffer: 'memory' | 'filesystem';
  input: InputKind;
  destinations: readonly Illness[];
}

export interface CrashRun extends CrashCase {
  kills: number;
  /** An agent that runs is killed within so much time. Milliseconds. */
  withinMs: number;
  random: (below: number) => number;
}

const FROM_MS = 50;
/** One kill in so many comes while the agent starts, which takes about so long. */
const STARTING_SHARE = 8;
const STARTING_MS = 700;
/** Requests that may be under way at once: all records have one tag, and its order is kept. */
const WORKERS = 1;

/** All places of the matrix. */
export function crashMatrix(): CrashCase[] {
  const ill: Illness[][] = [['flaky'], ['bulk'], ['dead', 'slow', 'flaky'], ['dead', 'slow', 'bulk']];
  return (['memory', 'filesystem'] as const).flatMap((buffer) =>
    (['tail', 'http', 'stdin'] as const).flatMap((input) =>
      ill.map((destinations) => ({ buffer, input, destinations })),
    ),
  );
}

export function describeCase({ buffer, input, destinations }: CrashCase): string {
  return `${buffer}, ${input} to ${destinations.join(' + ')}`;
}

export async function crashRun(rig: Rig, run: CrashRun): Promise<void> {
  const destinations: Destination[] = [];
  for (const illness of run.destinations)
    destinations.push(new Destination(illness, await rig.sink(), run.random));
  const sinks = destinations.map(({ sink }) => sink);
  const feeder = feederOf(run, rig, destinations);
  writeFileSync(rig.path('bulk.ts'), BULK_MODULE);
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '2M', 'storage.type': run.buffer, 'storage.overflow.min_free': 0 },
      plugins: ['./bulk.ts'],
      inputs: [feeder.yaml],
      outputs: destinations.map(({ yaml }) => yaml),
    }),
  );

  /** By kill, how many requests each sink had. */
  const killedAt: number[][] = [];
  let recovered = 0;
  while (killedAt.length < run.kills) {
    // The first one runs, so that there is something to start from.
    recovered += await liveAndDie(rig, feeder, run, { mayBeStarting: killedAt.length > 0 });
    killedAt.push(sinks.map(({ requests }) => requests.length));
  }

  for (const destination of destinations) destination.heal();
  const last = await rig.start({ stdin: feeder.stdin });
  feeder.feed(last);
  await feeder.finish();
  const total = Object.values(feeder.streams).reduce((sum, lines) => sum + lines, 0);
  for (const sink of sinks) await sink.reached(total);
  await last.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  recovered += await recoveredBy(last);
  expect(await last.stop()).toMatchObject({ code: 0, summary: { dropped: 0, dead_lettered: 0 } });

  process.stderr.write(
    `${describeCase(run)}: ${run.kills} kills, ${total} lines, ${feeder.givenAgain.size} given twice, ${recovered} recovered from disk\n`,
  );
  // What was acknowledged, or written to disk as it came, and not delivered: without that the case would have shown nothing.
  if (run.input !== 'tail' && run.destinations.includes('dead') && run.buffer === 'filesystem')
    expect(recovered).toBeGreaterThan(0);
  for (const [index, destination] of destinations.entries()) {
    judge(
      destination,
      feeder,
      killedAt.map((requests) => requests[index] ?? 0),
    );
  }
}

/** The life of an agent that is killed, now and then while it starts. Returns the records that it was seen to have found on disk. */
async function liveAndDie(
  rig: Rig,
  feeder: Feeder,
  { withinMs, random }: CrashRun,
  { mayBeStarting }: { mayBeStarting: boolean },
): Promise<number> {
  const agent = rig.launch({ stdin: feeder.stdin });
  feeder.feed(agent);
  let recovered = 0;
  if (mayBeStarting && random(STARTING_SHARE) === 0) {
    await pause(random(STARTING_MS));
  } else {
    await agent.running();
    const lives = FROM_MS + random(withinMs - FROM_MS);
    const looked = random(lives);
    await pause(looked);
    recovered = await recoveredBy(agent);
    await pause(lives - looked);
    if (random(2) === 0) await feeder.acknowledgement?.();
  }
  await agent.kill();
  // It had not ended by itself.
  expect(agent.exit).toEqual({ code: null, signal: 'SIGKILL' });
  expect(agent.log.filter(({ level }) => level === 'error')).toEqual([]);
  await feeder.mourn();
  return recovered;
}

/** `killedAt`: by kill, how many requests the sink had. */
function judge({ illness, sink }: Destination, feeder: Feeder, killedAt: readonly number[]): void {
  // A refused line goes behind the others of its request.
  expectComplete(sink, feeder.streams, { inOrder: illness !== 'bulk' });
  const requests = sink.requests.map((request) => withoutGivenAgain(request, feeder.givenAgain));
  const repeated = repeatedRequests({ requests }).length;
  const doubles = doublesByKill(requests, killedAt);
  process.stderr.write(
    `  ${illness}: ${requests.length} requests, ${repeated} repeated; lines doubled before the first kill and after each: ${doubles.join(' ')}\n`,
  );
  // What a flaky one gets twice is mostly its own doing; the others get again at most what was under way at a kill.
  if (illness === 'slow')
    expect(repeated, 'repeated requests').toBeLessThanOrEqual(killedAt.length * WORKERS);
  if (illness === 'dead') expect(repeated, 'repeated requests').toBe(0);
}

function feederOf({ input, buffer }: CrashCase, rig: Rig, destinations: readonly Destination[]): Feeder {
  switch (input) {
    case 'tail':
      return new Application((name) => rig.path(name), destinations);
    case 'http':
      return new Clients();
    case 'stdin':
      return new Program(rig.directory, destinations, buffer === 'filesystem');
    default:
      return input satisfies never;
  }
}

/** Records that an agent found on disk when it started; its ledger is checked. */
async function recoveredBy(agent: AgentProcess): Promise<number> {
  return (await agent.scrape()).sum('tailrace_input_recovered_records_total');
}

function withoutGivenAgain(request: SinkRequest, givenAgain: ReadonlySet<string>): SinkRequest {
  return { ...request, lines: request.lines.filter(({ stream, n }) => !givenAgain.has(keyOf(stream, n))) };
}

/** Copies beyond the first, before the first kill, between that and the next, and so on. */
function doublesByKill(requests: readonly SinkRequest[], killedAt: readonly number[]): number[] {
  const seen = new Set<string>();
  const doubles: number[] = [0, ...killedAt.map(() => 0)];
  for (const [at, { stored, lines }] of requests.entries()) {
    if (!stored) continue;
    const kill = killedAt.filter((requestsThen) => requestsThen <= at).length;
    for (const { stream, n } of lines) {
      const key = keyOf(stream, n);
      if (seen.has(key)) doubles[kill] = (doubles[kill] ?? 0) + 1;
      seen.add(key);
    }
  }
  return doubles;
}
