/**
 * A tail input in a process that has no descriptor left when a file that was closed is to be read on; run by `rescue.test.ts` under
 * `ulimit -n`, with a directory. Prints what became of it.
 */
import { appendFileSync, closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import definition from '../../../../plugins/inputs/tail.ts';
import { optionsOf } from '../../../contract/support.ts';
import { Collector, inputContext } from '../collecting.ts';

const root = process.argv[2] as string;
const [a, b] = [join(root, 'a.log'), join(root, 'b.log')];
writeFileSync(a, 'a 1\n');
writeFileSync(b, 'b 1\n');

const context = inputContext();
const collector = new Collector();
const options = optionsOf(definition.options, {
  path: join(root, '*.log'),
  read_from_head: 'on',
  open_files_limit: '1',
  inotify_watcher: 'off',
  refresh_interval: '0.1',
});
const input = await definition.create(options, context);
await input.start(collector.emit);
await collector.reached(2);

// Before there is no descriptor for it.
const [forA, forB] = [openSync(a, 'a'), openSync(b, 'a')];
const hoard: number[] = [];
try {
  for (;;) hoard.push(openSync('/dev/null', 'r'));
} catch {
  // That was the last.
}
appendFileSync(forA, 'a 2\n');
appendFileSync(forB, 'b 2\n');
const said = (text: string): boolean => context.log.lines.some(({ message }) => message.includes(text));
while (!said('cannot be read') && !said('lost')) await pause(10);
for (const descriptor of [...hoard, forA, forB]) closeSync(descriptor);
await collector.reached(4);
await input.stop();
await input.close?.();

const lost = context.metrics.families.get('tailrace_input_lost_bytes_total');
process.stdout.write(
  JSON.stringify({
    lines: collector.records.map((record) => (record as { log: string }).log).toSorted(),
    lost: lost !== undefined && 'sum' in lost ? lost.sum({}) : 0,
  }),
);
