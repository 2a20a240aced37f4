/** Graceful stops and starts: exactly once where the last line says 0 in doubt (DELIVERY.md, rule 28). */
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { NumberedWriter } from '../support/numbered.ts';

test('stop and start under a writer: each line once', async ({ rig }) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 200, afterMs: 20 });
  rig.configure(`
service:
  flush: 0.02
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  const writer = new NumberedWriter({
    path: rig.path('app.log'),
    stream: 'app',
    rotateEvery: 2500,
    mayRotate: (first) => sink.has('app', first),
  });
  const total = 10_000;
  const writing = writer.pace(total, 60, 10);
  for (const until of [1000, 3000, 5000]) {
    const agent = await rig.start();
    await sink.reached(until);
    const { code, summary } = await agent.stop();
    expect(code).toBe(0);
    expect(summary.in_doubt, summary.text).toBe(0);
    expect(countDoubles(sink)).toBe(0);
  }
  const last = await rig.start();
  await writing;
  await sink.reached(total);
  await last.stop();
  expectComplete(sink, { app: total });
  expect(countDoubles(sink)).toBe(0);
}, 8000);
