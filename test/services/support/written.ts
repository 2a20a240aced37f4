/** What the `file` output wrote: `tag: [time, record]` per line. */
import { existsSync, readFileSync } from 'node:fs';
import { parseExact } from '../../../src/event/json.ts';
import type { Value } from '../../../src/event/record.ts';

export interface WrittenEvent {
  tag: string;
  nanos: bigint;
  record: Value;
}

/** All events of a file; none where there is no file. */
export function writtenIn(path: string): WrittenEvent[] {
  if (!existsSync(path)) return [];
  const events: WrittenEvent[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    // A killed agent leaves a line without its end behind; what follows begins a new one.
    const [, tag, seconds, fraction, record] = /^([^:]+): \[(-?\d+)\.(\d{9}), (.*)\]$/.exec(line) ?? [];
    if (tag === undefined || record === undefined) continue;
    events.push({
      tag,
      nanos: BigInt(seconds ?? '0') * 1_000_000_000n + BigInt(fraction ?? '0'),
      record: parseExact(record),
    });
  }
  return events;
}
