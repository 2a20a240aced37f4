/**
 * Fault 35, end to end: files of the state that are damaged between two runs. Every byte of them is tried on the store itself
 * (test/buffer/disk, test/state); here is what an agent makes of it.
 */
import { globSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import {
  CHUNK,
  configure,
  leaveBacklog,
  LINES,
  restoreBacklog,
  segments,
  stateFile,
} from '../support/backlog.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';

/** Changes a part of a file; `from` is a share of its length. */
function overwrite(file: string, from: number, length: number, change: (byte: number) => number): void {
  const bytes = readFileSync(file);
  const first = Math.floor(bytes.length * from);
  for (let at = first; at < Math.min(first + length, bytes.length); at++)
    bytes[at] = change(bytes[at] as number);
  writeFileSync(file, bytes);
}

const flip = (file: string, at = 0.5): void => overwrite(file, at, 1, (byte) => byte ^ 1);
const zero = (file: string, at = 0.5): void => overwrite(file, at, 300, () => 0);
const halve = (file: string): void => truncateSync(file, Math.floor(readFileSync(file).length / 2));

interface Damage {
  what: string;
  do: (rig: Rig) => void;
  /** The most records that may be gone. */
  lost: number;
  /** Where the evidence is, below the state's folder. */
  evidence?: string;
}

const QUARANTINE = 'buffer/quarantine/*';

const OF_SEGMENTS: readonly Damage[] = [
  {
    what: 'a bit of a sealed segment flips',
    do: (rig) => flip(segments(rig)[0] as string),
    lost: CHUNK,
    evidence: QUARANTINE,
  },
  {
    what: 'a bit of the last segment flips',
    do: (rig) => flip(segments(rig)[1] as string),
    lost: CHUNK,
    evidence: QUARANTINE,
  },
  {
    what: 'the head of a segment is zeros',
    do: (rig) => zero(segments(rig)[0] as string, 0),
    lost: CHUNK,
    evidence: QUARANTINE,
  },
  {
    what: 'a part of a segment is zeros',
    do: (rig) => zero(segments(rig)[1] as string),
    lost: 2 * CHUNK,
    evidence: QUARANTINE,
  },
  {
    what: 'the last segment is half as long',
    do: (rig) => halve(segments(rig)[1] as string),
    lost: LINES / 4 + CHUNK,
    evidence: QUARANTINE,
  },
  {
    what: 'two segments have changed places',
    do: (rig) => {
      const [one, two] = segments(rig) as [string, string];
      renameSync(one, `${one}.x`);
      renameSync(two, one);
      renameSync(`${one}.x`, two);
    },
    lost: 0,
  },
];

const OF_THE_REST: readonly Damage[] = [
  {
    what: 'a bit of the progress log flips',
    do: (rig) => flip(stateFile(rig, 'buffer/progress.log')),
    lost: 0,
  },
  {
    what: 'the progress log is half as long',
    do: (rig) => halve(stateFile(rig, 'buffer/progress.log')),
    lost: 0,
  },
  { what: 'the progress log is gone', do: (rig) => rmSync(stateFile(rig, 'buffer/progress.log')), lost: 0 },
  {
    what: 'the head of the positions is zeros',
    do: (rig) => zero(stateFile(rig, 'positions.db'), 0),
    lost: 0,
    evidence: 'positions.db.corrupt-*',
  },
  {
    what: 'the positions are half as long',
    do: (rig) => halve(stateFile(rig, 'positions.db')),
    lost: 0,
    evidence: 'positions.db.corrupt-*',
  },
  {
    what: 'the file of who holds the positions is nonsense',
    do: (rig) => writeFileSync(stateFile(rig, 'positions.db.holder'), 'nobody'),
    lost: 0,
  },
];

describe('fault 35: between two runs', () => {
  test.for([
    ['segments', OF_SEGMENTS],
    ['progress log and positions', OF_THE_REST],
  ] as const)(
    'damaged %s: it starts, only what was damaged is gone, counted, with evidence',
    async ([, damages], { rig }) => {
      await leaveBacklog(rig);
      expect(segments(rig)).toHaveLength(2);
      const spread: string[] = [];
      for (const { what, do: damage, lost, evidence } of damages) {
        restoreBacklog(rig);
        damage(rig);
        const sink = await rig.sink();
        configure(rig, sink);
        const agent = await rig.start();
        const scrape = await agent.until(
          (each) =>
            each.sum('tailrace_output_buffered_records') === 0 &&
            each.sum('tailrace_output_delivered_records_total') >= LINES - lost,
        );
        const there = ['one', 'two'].flatMap((stream) =>
          Array.from({ length: LINES / 2 }, (_, n) => sink.has(stream, n)),
        );
        const gone = there.filter((each) => !each).length;
        const counted = scrape.sum('tailrace_storage_damaged_records_total');
        spread.push(`${what}: ${gone} gone, ${counted} counted`);
        expect(gone, what).toBeLessThanOrEqual(lost);
        if (gone > 0) {
          expect(
            counted +
              scrape.sum('tailrace_storage_damaged_frames_total') +
              scrape.sum('tailrace_storage_torn_bytes_total'),
            `${what}: is counted`,
          ).toBeGreaterThan(0);
        }
        if (lost > 0 || evidence !== undefined)
          expect(globSync(rig.path('state/*', evidence ?? '')), what).not.toEqual([]);
        await agent.stop();
      }
      process.stderr.write(`fault 35:\n  ${spread.join('\n  ')}\n`);
    },
  );
});
