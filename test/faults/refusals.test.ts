/** Faults 15 and 16, and what is given up: a destination that takes some records and refuses others (DELIVERY.md, rules 19, 21 and 25). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { BULK_PLUGIN, BulkSink } from '../support/bulk.ts';
import { test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberOf, readLetters } from '../support/letters.ts';
import { numberedLines } from '../support/numbered.ts';
import { http, own, pipeline, QUICK } from '../support/yaml.ts';

const LINES = 1500;

test('fault 15: 1 of 100 fails and 1 of 100 is refused in a bulk answer: only the failed one is sent again', async ({
  rig,
}) => {
  // By a plugin that stands in for a bulk protocol.
  const bulk = await new BulkSink((line, nth) => {
    if (line % 100 === 7 && nth < 3) return 503;
    return line % 100 === 50 ? 400 : 201;
  }).open();
  writeFileSync(rig.path('bulk.mjs'), BULK_PLUGIN);
  rig.configure(pipeline({ plugins: ['./bulk.mjs'], outputs: [own('bulk', `port: ${bulk.port}`)] }));
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES));
  const agent = await rig.start();
  const scrape = await agent.until(
    (each) =>
      each.sum('tailrace_input_read_records_total') === LINES &&
      each.sum('tailrace_output_buffered_records') === 0,
  );
  expect(scrape.sum('tailrace_output_delivered_records_total')).toBe(LINES - LINES / 100);
  expect(scrape.sum('tailrace_output_dead_lettered_records_total')).toBe(LINES / 100);
  for (let line = 0; line < LINES; line++) {
    const [sent, taken] = line % 100 === 7 ? [3, 1] : line % 100 === 50 ? [1, 0] : [1, 1];
    expect({ line, sent: bulk.sent.get(line), taken: bulk.taken.get(line) ?? 0 }).toEqual({
      line,
      sent,
      taken,
    });
  }
  const letters = readLetters(rig.path('state'));
  expect(letters.map(numberOf).toSorted((a = 0, b = 0) => a - b)).toEqual(
    Array.from({ length: LINES / 100 }, (_, index) => index * 100 + 50),
  );
  for (const letter of letters) expect(letter).toMatchObject({ status: 400, reason: 'mapping conflict' });
  await agent.stop();
});

test('fault 15: SIGKILL while single records are tried again: what was taken is not sent again', async ({
  rig,
}) => {
  let broken = true;
  const bulk = await new BulkSink((line) => (broken && line % 100 === 7 ? 503 : 201)).open();
  writeFileSync(rig.path('bulk.mjs'), BULK_PLUGIN);
  rig.configure(
    pipeline({ plugins: ['./bulk.mjs'], outputs: [own('bulk', `port: ${bulk.port}`, 'alias: bulk')] }),
  );
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 100));
  const first = await rig.start();
  await first.until((each) => each.sum('tailrace_output_retried_records_total') > 1);
  await first.kill();
  broken = false;
  const second = await rig.start();
  await second.until((each) => each.sum('tailrace_output_delivered_records_total') > 0);
  await second.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  await second.stop();
  expect([...bulk.taken.keys()].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect([...bulk.taken.values()].every((times) => times === 1)).toBe(true);
});

for (const status of [413, 400]) {
  test(`fault 16: ${status} for every request with one of three records: halved down to it, the rest flows`, async ({
    rig,
  }) => {
    const poison = new Set([0, 1234, LINES - 1]);
    const sink = await rig.sink();
    sink.refuse = ({ lines }) => (lines.some(({ n }) => poison.has(n)) ? { status } : undefined);
    rig.configure(pipeline({ outputs: [http(sink)] }));
    writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES));
    const agent = await rig.start();
    await sink.reached(LINES - poison.size);
    const scrape = await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
    expect(scrape.sum('tailrace_output_dead_lettered_records_total')).toBe(poison.size);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: LINES - poison.size, dead_lettered: poison.size, dropped: 0 });
    const letters = readLetters(rig.path('state'));
    expect(new Set(letters.map(numberOf))).toEqual(poison);
    expect(letters.map(({ status: each }) => each)).toEqual([status, status, status]);
    expect(countDoubles(sink)).toBe(0);
    // To find one of n by halves takes 2 log2 n requests.
    expect(sink.requests.length).toBeLessThan(3 * 2 * Math.log2(LINES) + 10);

    const second = await rig.start();
    writeFileSync(rig.path('app.log'), numberedLines('app', LINES, LINES + 10), { flag: 'a' });
    await sink.reached(LINES - poison.size + 10);
    const { summary: last } = await second.stop();
    expect(last, 'nothing of before comes again').toMatchObject({ read: 10, delivered: 10 });
  });
}

test('on_failure: what one output gives up the other gets, with SIGKILL in between: 0 lost', async ({
  rig,
}) => {
  const sick = await rig.sink();
  sick.behave = () => ({ status: 503 });
  const spare = await rig.sink();
  await spare.close();
  rig.configure(
    pipeline({
      service: { ...QUICK, 'storage.overflow.min_free': 0 },
      outputs: [
        http(sick, 'alias: sick', 'retry_limit: 2', 'on_failure: spare'),
        http(spare, 'alias: spare').replace("match: '*'", 'match: none'),
      ],
    }),
  );
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES));
  const first = await rig.start();
  const handed = await first.until(
    (each) => each.sum('tailrace_output_handed_over_records_total', { name: 'sick' }) === LINES,
  );
  expect(handed.sum('tailrace_output_buffered_records', { name: 'spare' })).toBe(LINES);
  await first.kill();

  await spare.open();
  const second = await rig.start();
  await spare.reached(LINES);
  await second.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  const { summary } = await second.stop();
  expect(summary).toMatchObject({ dropped: 0, dead_lettered: 0 });
  expectComplete(spare, { app: LINES });
  // What was handed over and not yet safe on disk is handed over again.
  process.stderr.write(`on_failure: ${countDoubles(spare)} doubles after one kill\n`);
  expect(readLetters(rig.path('state'))).toEqual([]);
});

test('retry_max_age: what is too old is sent no more and becomes a dead letter, what is young is tried on', async ({
  rig,
}) => {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 503 });
  rig.configure(pipeline({ outputs: [http(sink, 'retry_max_age: 1s')] }));
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 100));
  const agent = await rig.start();
  await agent.until((each) => each.sum('tailrace_output_dead_lettered_records_total') === 100);
  sink.behave = () => ({ status: 200 });
  writeFileSync(rig.path('app.log'), numberedLines('app', 100, 200), { flag: 'a' });
  await sink.reached(100);
  const { summary } = await agent.stop();
  expect(summary).toMatchObject({ delivered: 100, dead_lettered: 100, dropped: 0 });
  const letters = readLetters(rig.path('state'));
  expect(letters.map(numberOf)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  for (const { reason } of letters) expect(reason).toMatch(/^retry_max_age: /);
});
