/** A rename rotation while the sink is slow and the memory buffer is full: the rotated file is read to its end all the same. */
import { expect } from 'vitest';
import type { Rig } from './e2e.ts';
import { countDoubles, expectComplete } from './judge.ts';
import { NumberedWriter } from './numbered.ts';

export interface RotationRun {
  lines: number;
  /** As in the configuration. */
  memory: string;
  /** Milliseconds that the sink takes for a request. */
  slowness: number;
}

export async function rotationRun(rig: Rig, { lines, memory, slowness }: RotationRun): Promise<void> {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 200, afterMs: slowness });
  rig.configure(`
service:
  flush: 0.05
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
      mem_buf_limit: ${memory}
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  const writer = new NumberedWriter({ path: rig.path('app.log'), stream: 'app', padding: 60 });
  const late = Math.round(lines / 100);
  writer.append(lines - late);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  await sink.until(() => sink.distinct > 0);
  expect(sink.distinct, 'the backlog is still there').toBeLessThan(lines / 2);
  writer.rotate();
  writer.append(late);
  await sink.reached(lines);
  expectComplete(sink, { app: lines });
  expect(countDoubles(sink)).toBe(0);
  await agent.until((scrape) => scrape.sum('tailrace_buffer_bytes') === 0);
}
