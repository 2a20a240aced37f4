/** A state with a backlog on disk and positions, for tests that do something to its files between two runs. */
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'vitest';
import type { Rig } from './e2e.ts';
import { numberedLines } from './numbered.ts';
import { inputPort, Sender } from './sender.ts';
import type { HttpSink } from './sink.ts';
import { http, listener, pipeline, QUICK, tail } from './yaml.ts';

/** Records of the streams `one` and `two` together, half of each. */
export const LINES = 3000;
/** Records of a request, and so of a chunk. */
export const CHUNK = 100;

/** The configuration with its destination. */
export function configure(rig: Rig, sink: HttpSink): void {
  rig.configure(
    pipeline({
      service: { ...QUICK, 'storage.overflow.min_free': 0 },
      inputs: [tail(), listener('storage.type: filesystem')],
      outputs: [http(sink, 'alias: out')],
    }),
  );
}

/** A state with 3,000 records on disk, in two segments, and a position behind the 100 lines of a file. */
export async function leaveBacklog(rig: Rig): Promise<void> {
  const sink = await rig.sink();
  configure(rig, sink);
  writeFileSync(rig.path('app.log'), numberedLines('file', 0, 100));
  let sent = 0;
  for (const up of [true, false]) {
    const agent = await rig.start();
    if (up) {
      await sink.reached(100);
      await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
      await sink.close();
    }
    const sender = new Sender({ port: await inputPort(agent), stream: up ? 'one' : 'two', padding: 50 });
    await sender.sendUpTo(LINES / 2, CHUNK);
    sent += sender.acknowledged;
    await agent.stop();
  }
  expect(sent).toBe(LINES);
  cpSync(rig.path('state'), rig.path('kept'), { recursive: true });
}

/** The state is what it was when its backlog was left. */
export function restoreBacklog(rig: Rig): void {
  rmSync(rig.path('state'), { recursive: true });
  cpSync(rig.path('kept'), rig.path('state'), { recursive: true });
}

/** All files below the state, as they are. */
export function contents(rig: Rig): Map<string, string> {
  const files = globSync(rig.path('state/**/*'), { withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [relative(rig.path('state'), file), readFileSync(file, 'hex')]),
  );
}

/** The segments of its disk buffer. */
export function segments(rig: Rig): string[] {
  return globSync(rig.path('state/*/buffer/*.segment')).toSorted();
}

/** A file of its state. Throws when there is none. */
export function stateFile(rig: Rig, pattern: string): string {
  const [file] = globSync(rig.path('state/*', pattern));
  if (file === undefined) throw new Error(`There is no ${pattern} in the state.`);
  return file;
}
