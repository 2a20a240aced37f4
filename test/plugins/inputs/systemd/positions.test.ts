import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { JournalPositions, readCursor } from '../../../../plugins/inputs/systemd/positions.ts';
import type { Source } from '../../../../src/plugin.ts';
import { open, send, workspace } from '../../../state/harness.ts';
import { cursorOf, STREAM } from './journal.ts';

const OTHER = 'c'.repeat(32);

/** Hands a block over: entries `from` to before `to` of a stream with one tag, to one output. Returns its source and what settles it. */
function hand(
  positions: JournalPositions,
  from: number,
  to: number,
  { tag = 'tag', stream = STREAM, output = 'fast' } = {},
): { source: Source; land: () => void } {
  for (let number = from; number < to; number++) positions.step({ stream, number });
  const part = { stream, tag, start: from, stop: to };
  const source = positions.sourcesOf([part])[0] as Source;
  positions.handOver(cursorOf(to - 1, stream), [part]);
  return { source, land: send(source, output, part.start, part.stop) };
}

function begin(directory: string): { positions: JournalPositions; state: ReturnType<typeof open>['state'] } {
  const { state } = open(directory);
  return { positions: new JournalPositions(state.forInput('systemd')), state };
}

describe('cursors', () => {
  it('say stream and number', () => {
    expect(readCursor(cursorOf(255))).toEqual({ stream: STREAM, number: 255 });
    expect(readCursor('s=1;i=1;')).toBeUndefined();
    expect(readCursor('')).toBeUndefined();
  });
});

describe('the cursor to resume at', () => {
  it('stands before the first block that is not settled, whatever was settled behind it', () => {
    const { positions } = begin(workspace());
    positions.begin(undefined);
    const blocks = [hand(positions, 1, 3), hand(positions, 3, 5), hand(positions, 5, 7)];
    expect(positions.resumption()).toBeUndefined();
    blocks[2]?.land();
    expect(positions.resumption()).toBeUndefined();
    blocks[0]?.land();
    expect(positions.resumption()).toBe(cursorOf(2));
    blocks[1]?.land();
    expect(positions.resumption()).toBe(cursorOf(6));
    expect(positions.last).toBe(cursorOf(6));
  });

  it('counts entries, not bytes', () => {
    const { positions } = begin(workspace());
    positions.begin(undefined);
    expect(hand(positions, 1, 3).source.inBytes).toBe(false);
  });

  it('is held back by every output and by every source of a block', () => {
    const { positions } = begin(workspace());
    positions.begin(undefined);
    const fast = hand(positions, 1, 3, { tag: 'a' });
    const slow = send(fast.source, 'slow', 1, 3);
    const other = hand(positions, 1, 9, { tag: 'b', stream: OTHER });
    fast.land();
    other.land();
    expect(positions.resumption()).toBeUndefined();
    slow();
    expect(positions.resumption()).toBe(cursorOf(8, OTHER));
  });

  it('is written with the marks, so that a crash at any time finds both as they were together', () => {
    const directory = workspace();
    const first = begin(directory);
    first.positions.begin(undefined);
    const blocks = [hand(first.positions, 1, 3), hand(first.positions, 3, 5), hand(first.positions, 5, 7)];
    blocks[0]?.land();
    blocks[2]?.land();
    first.state.writeMarks();
    blocks[1]?.land();
    // Nothing written since.
    first.state.close();

    const second = begin(directory).positions;
    expect(second.fresh).toBe(false);
    expect(second.last).toBe(cursorOf(2));
    // It is read again from there: the same source, and what was settled behind the mark is known.
    const again = hand(second, 3, 7);
    expect(again.source.id).toBe(blocks[0]?.source.id);
    expect(again.source.wasSettled('fast', 2, 3)).toBe(true);
    expect(again.source.wasSettled('fast', 3, 4)).toBe(false);
    expect(again.source.wasSettled('fast', 5, 6)).toBe(true);
  });

  it('is where read_from_tail begins, before anything was read', () => {
    const directory = workspace();
    const first = begin(directory);
    expect(first.positions.fresh).toBe(true);
    first.positions.begin(cursorOf(40));
    first.state.close();
    const second = begin(directory).positions;
    expect(second).toMatchObject({ fresh: false, last: cursorOf(40) });
    expect(second.step({ stream: STREAM, number: 43 })).toBe(2);
  });

  it('is still to be found out when the first start got no further', () => {
    const directory = workspace();
    begin(directory).state.close();
    expect(begin(directory).positions.fresh).toBe(true);
  });

  it('comes from the database of Fluent Bit', () => {
    const directory = workspace();
    const file = join(directory, 'flb.db');
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE in_systemd_cursor (cursor TEXT NOT NULL, updated INTEGER)');
    database.prepare('INSERT INTO in_systemd_cursor VALUES (?, 1)').run(cursorOf(77));
    database.close();
    const { state } = open(directory);
    const positions = new JournalPositions(state.forInput('systemd', { file }));
    expect(positions).toMatchObject({ fresh: false, last: cursorOf(77) });
    hand(positions, 78, 80).land();
    state.writeMarks();
    state.close();
    const again = open(directory).state.forInput('systemd', { file });
    expect(again.legacyCursor).toBeUndefined();
    expect(new JournalPositions(again).last).toBe(cursorOf(79));
  });

  it('is kept in memory where there is no state', () => {
    const positions = new JournalPositions(undefined);
    expect(positions.fresh).toBe(true);
    positions.begin(undefined);
    hand(positions, 1, 3).land();
    positions.tidy();
    expect(positions.last).toBe(cursorOf(2));
  });
});

describe('numbers', () => {
  it('count what is missing in a stream, and know streams apart', () => {
    const positions = new JournalPositions(undefined);
    expect(positions.step({ stream: STREAM, number: 5 })).toBe(0);
    expect(positions.step({ stream: OTHER, number: 1 })).toBe(0);
    expect(positions.step({ stream: STREAM, number: 9 })).toBe(3);
  });

  it('that come twice begin new sources, too', () => {
    const { positions } = begin(workspace());
    positions.begin(undefined);
    const first = hand(positions, 5, 6);
    expect(positions.goesBack({ stream: STREAM, number: 5 })).toBe(true);
    const twin = hand(positions, 5, 6);
    expect(twin.source.id).not.toBe(first.source.id);
    expect(positions.goesBack({ stream: STREAM, number: 6 })).toBe(false);
  });

  it('that go back begin new sources; after a crash neither generation is believed', () => {
    const directory = workspace();
    const { positions, state } = begin(directory);
    positions.begin(undefined);
    const high = hand(positions, 100, 102);
    high.land();
    const open_ = hand(positions, 102, 103);
    expect(positions.goesBack({ stream: STREAM, number: 50 })).toBe(true);
    const low = hand(positions, 50, 52);
    expect(low.source.id).not.toBe(high.source.id);
    low.land();
    positions.tidy();
    state.writeMarks();
    state.close();

    const second = begin(directory);
    expect(second.positions.last).toBe(cursorOf(101));
    const again = hand(second.positions, 102, 103);
    expect(again.source.mayBeSettled('fast', 50)).toBe(false);
    open_.land();
  });

  it('that go back leave one generation behind once the older is settled', () => {
    const directory = workspace();
    const { positions, state } = begin(directory);
    positions.begin(undefined);
    hand(positions, 100, 102).land();
    const low = hand(positions, 50, 52);
    low.land();
    positions.tidy();
    state.writeMarks();
    state.close();
    const second = begin(directory).positions;
    expect(second.last).toBe(cursorOf(51));
    expect(hand(second, 52, 53).source.id).toBe(low.source.id);
  });
});

describe('sources', () => {
  it('that have nothing under way are forgotten beyond a number, those that have are not', () => {
    const directory = workspace();
    const { positions, state } = begin(directory);
    positions.begin(undefined);
    const open_ = hand(positions, 1, 2, { tag: 'open' });
    for (let n = 0; n < 200; n++) hand(positions, 2 + n, 3 + n, { tag: `unit-${n}` }).land();
    open_.land();
    const last = hand(positions, 500, 501, { tag: 'last' });
    positions.tidy();
    state.writeMarks();
    state.close();
    const store = open(directory).state.forInput('systemd');
    const paths = store.load().map(({ identity: { path } }) => path);
    // The anchor, 64, or those and the one that is under way.
    expect(paths.length).toBeLessThanOrEqual(66);
    expect(paths).toContain('last');
    expect(paths).toContain('unit-199');
    expect(paths).not.toContain('unit-0');
    expect(new JournalPositions(store).last).toBe(cursorOf(201));
    last.land();
  });
});
