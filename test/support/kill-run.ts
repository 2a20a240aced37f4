/** The loss test: SIGKILL at random instants while two writers append and rotate, and the sink is slow and sometimes fails. */
import { expect } from 'vitest';
import { setTimeout as pause } from 'node:timers/promises';
import type { Rig } from './e2e.ts';
import { countDoubles, expectComplete, repeatedRequests } from './judge.ts';
import { NumberedWriter } from './numbered.ts';
import type { Behaviour } from './sink.ts';

export interface KillRun {
  kills: number;
  /** Lines of both streams together. */
  lines: number;
  random: (below: number) => number;
}

/** Requests that may be under way at once: each tag is sent in order, and there are two. */
const WORKERS = 2;

export async function killRun(rig: Rig, { kills, lines, random }: KillRun): Promise<void> {
  const sink = await rig.sink();
  const script: Behaviour[] = [];
  sink.behave = (index) => {
    const dice = random(20);
    const afterMs = 20 + random(100);
    let behaviour: Behaviour = { status: 200, afterMs };
    if (dice === 0) behaviour = { status: 503, afterMs };
    else if (dice === 1) behaviour = { status: 429, headers: { 'retry-after': '0' } };
    else if (dice === 2) behaviour = 'reset after';
    else if (dice === 3) behaviour = 'reset within';
    script[index] = behaviour;
    return behaviour;
  };
  rig.configure(`
service:
  flush: 0.02
  scheduler.base: 0.05
  scheduler.cap: 0.1
pipeline:
  inputs:
    # Rotated files are found by the descriptors that are open, and after a restart by identity among their siblings.
    - name: tail
      alias: named
      path: a.log
      tag: app.a
      read_from_head: true
      mem_buf_limit: 200k
    # Rotated files match the pattern.
    - name: tail
      alias: globbed
      path: b.log*
      tag: app.b
      read_from_head: true
  outputs:
    - name: http
      match: app.*
      port: ${sink.port}
      format: json_lines
      workers: ${WORKERS}
`);
  const each = lines / 2;
  const rotateEvery = Math.ceil(each / 7);
  const writers = [
    // A file that nobody has seen cannot be looked for by identity: it is rotated once its first line has arrived.
    new NumberedWriter({
      path: rig.path('a.log'),
      stream: 'a',
      rotateEvery,
      mayRotate: (first) => sink.has('a', first),
    }),
    new NumberedWriter({ path: rig.path('b.log'), stream: 'b', rotateEvery }),
  ];
  // The writers go on while agents come and go.
  const steps = kills * 75;
  const writing = writers.map((writer) => writer.pace(each, Math.ceil(each / steps), 10));

  for (let kill = 0; kill < kills; kill++) {
    const agent = await rig.start();
    const goal = sink.requests.length + 1 + random(8);
    await sink.until(() => sink.requests.length >= goal || sink.distinct === lines);
    // The instant is random, not only the request: before an answer, while it is taken in, and between two requests.
    await pause(random(100));
    await agent.scrape();
    await agent.kill();
  }
  await rig.start();
  await Promise.all(writing);
  await sink.reached(lines);

  expectComplete(sink, { a: each, b: each });
  const repeated = repeatedRequests(sink, ({ index }) => script[index] === 'reset after');
  const spread = repeated.map(({ index, lines: { length } }) => `${index}: ${length} lines`);
  expect(repeated.length, `repeated requests: ${spread.join(', ')}`).toBeLessThanOrEqual(kills * WORKERS);
  process.stderr.write(
    `${sink.requests.length} requests, ${repeated.length} repeated after ${kills} kills, ${countDoubles(sink)} doubles\n`,
  );
}
