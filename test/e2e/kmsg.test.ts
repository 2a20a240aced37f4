/** The kernel's messages across restarts: a file with recorded ones stands in for the device. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { numbered } from '../support/numbered.ts';

const INPUT = { name: 'kmsg.0' };
const messages = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, n) => `6,${from + n},${from + n},-;m${from + n}\n`).join('');

test('each is sent once, whatever is restarted, and what was overwritten meanwhile is counted', async ({
  rig,
}) => {
  rig.configure(`pipeline:
  inputs:
    - name: kmsg
      path: kmsg
      prio_level: 6
  outputs:
    - name: file
      match: '*'
      path: .
      file: out.log
      format: plain
`);
  const sequences = (): number[] =>
    readFileSync(rig.path('out.log'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { sequence: number }).sequence);
  writeFileSync(rig.path('kmsg'), messages(0, 700));
  const first = await rig.start();
  await first.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 700);
  expect(await first.stop()).toMatchObject({ code: 0, summary: { read: 700, in_doubt: 0 } });
  // The ring went on: its first messages are gone, and one is left out.
  writeFileSync(rig.path('kmsg'), `${messages(600, 700)}${messages(710, 720)}7,720,720,-;debug\n`);
  const second = await rig.start();
  await second.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 10);
  const scrape = await second.until((each) => each.sum('tailrace_input_dropped_records_total', INPUT) === 11);
  expect(scrape.sum('tailrace_input_dropped_records_total', { ...INPUT, reason: 'overwritten' })).toBe(10);
  expect(scrape.sum('tailrace_input_dropped_records_total', { ...INPUT, reason: 'priority' })).toBe(1);
  await second.kill();
  const third = await rig.start();
  appendFileSync(rig.path('kmsg'), messages(721, 722));
  await third.until((each) => each.sum('tailrace_output_delivered_records_total') === 1);
  expect(sequences()).toEqual([
    ...Array.from({ length: 700 }, (_, n) => n),
    ...Array.from({ length: 10 }, (_, n) => 710 + n),
    721,
  ]);
});

test('what no destination has after a kill is read again', async ({ rig }) => {
  const sink = await rig.sink();
  const { port } = sink;
  await sink.close();
  rig.configure(`service:
  flush: 0.1
pipeline:
  inputs:
    - name: kmsg
      path: kmsg
  outputs:
    - name: http
      match: '*'
      host: 127.0.0.1
      port: ${port}
      format: json_lines
`);
  writeFileSync(
    rig.path('kmsg'),
    Array.from({ length: 5 }, (_, n) => `6,${n},${n},-;${numbered('k', n)}\n`).join(''),
  );
  const first = await rig.start();
  await first.until((scrape) => scrape.sum('tailrace_output_retries_total') > 0);
  await first.kill();
  await sink.open();
  const second = await rig.start();
  await second.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === 5);
});
