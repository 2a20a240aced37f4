import { describe, expect, it, vi } from 'vitest';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';
import { Source } from '../../src/event/source.ts';
import type { SourceRange } from '../../src/event/source.ts';
import type { Flight } from '../../src/delivery/flight.ts';
import { HeldChunk } from '../../src/delivery/held-chunk.ts';

const keeper = { charge: () => {}, gone: () => {} };

/** Ten records of ten bytes each, from `base`. */
function fly(source: Source, output: string, base: number): Flight {
  const batch = new Batch();
  batch.source = source;
  batch.base = base;
  for (let i = 0; i < 10; i++) batch.push({ i }, undefined, 0, 0, i * 10, i * 10 + 10);
  const chunk = encodeBatch('t', batch, true, 0);
  const flight = HeldChunk.ofMemory(base, chunk, keeper).launch(output, [[0, 10]]);
  source.launch(output, flight);
  source.advance(base + 100);
  return flight;
}

describe('Source (rule 6: marks per source and output)', () => {
  it('puts the mark behind the prefix in which everything is settled', () => {
    const source = new Source('s', 0);
    const flight = fly(source, 'out', 0);
    expect(source.progress('out')).toEqual({ mark: 0, settled: [] });
    flight.settle(0, 3);
    expect(source.progress('out')).toEqual({ mark: 30, settled: [] });
    flight.settle(5, 7);
    expect(source.progress('out')).toEqual({ mark: 30, settled: [[50, 70]] });
    flight.settle(3, 5);
    expect(source.progress('out').mark).toBe(70);
    expect(source.settled).toBe(false);
    flight.settle(7, 10);
    expect(source.progress('out')).toEqual({ mark: 100, settled: [] });
    expect(source.settled).toBe(true);
  });

  it('keeps what is settled beyond the mark across flights', () => {
    const source = new Source('s', 0);
    const first = fly(source, 'out', 0);
    const second = fly(source, 'out', 100);
    second.settle(0, 10);
    expect(source.progress('out')).toEqual({ mark: 0, settled: [[100, 200]] });
    first.settle(0, 10);
    expect(source.progress('out')).toEqual({ mark: 200, settled: [] });
  });

  it('does not hold the mark of an output that takes little', () => {
    const source = new Source('s', 0);
    fly(source, 'errors', 0).settle(0, 10);
    const all = fly(source, 'all', 100);
    source.advance(1000);
    expect(source.progress('errors').mark).toBe(1000);
    expect(source.progress('all').mark).toBe(100);
    expect(source.position()).toBe(100);
    all.settle(0, 10);
    expect(source.position()).toBe(1000);
  });

  it('resumes: what an output acknowledged before is known, and forgotten only when passed', () => {
    const source = new Source('s', 20, new Map([['out', { mark: 50, settled: [[70, 90]] }]]));
    expect(source.mayBeSettled('out', 20)).toBe(true);
    expect(source.wasSettled('out', 40, 50)).toBe(true);
    expect(source.wasSettled('out', 50, 60)).toBe(false);
    expect(source.wasSettled('out', 70, 80)).toBe(true);
    expect(source.wasSettled('out', 60, 80)).toBe(false);
    expect(source.mayBeSettled('out', 90)).toBe(false);
    expect(source.mayBeSettled('other', 20)).toBe(false);
    expect(source.progress('out')).toEqual({ mark: 50, settled: [[70, 90]] });
  });

  it('keeps the mark back for what a filter holds', () => {
    const source = new Source('s', 0);
    source.advance(500);
    source.heldFrom = 120;
    expect(source.progress('out').mark).toBe(120);
    expect(source.position()).toBe(120);
  });

  it('lets no mark stand within a record, nor behind one of which parts are missing', () => {
    const source = new Source('s', 0);
    const first = fly(source, 'out', 0);
    const second = fly(source, 'out', 100);
    source.unfinished = { from: 150 };
    source.keepWhole(35, 110);
    first.settle(0, 5);
    expect(source.progress('out').mark).toBe(35);
    first.settle(5, 10);
    second.settle(0, 1);
    expect(source.progress('out').mark).toBe(110);
    second.settle(1, 10);
    expect(source.progress('out')).toEqual({ mark: 150, settled: [[150, 200]] });
    // Flights are forgotten, what they said is not.
    expect(source.progress('out')).toEqual({ mark: 150, settled: [[150, 200]] });
    source.unfinished = undefined;
    expect(source.progress('out')).toEqual({ mark: 200, settled: [] });
    expect(source.position()).toBe(200);
  });

  it('lends bytes to a record of another source: both are done with at once', () => {
    const [old, next] = [new Source('a', 0), new Source('b', 0)];
    old.advance(100);
    const flight = fly(next, 'out', 0);
    old.lend(90, next, 10);
    expect(old.position()).toBe(90);
    old.dirty = false;
    next.dirty = false;
    flight.settle(0, 1);
    expect(old.dirty).toBe(true);
    expect(old.position()).toBe(100);
  });

  it('looks into each of many sources once that lend to each other', () => {
    const sources = Array.from({ length: 60 }, (_, index) => new Source(`s${index}`, 0));
    const flights = sources.flatMap((source) => ['a', 'b', 'c'].map((output) => fly(source, output, 0)));
    for (const [index, source] of sources.entries()) {
      const next = sources[index + 1];
      if (next === undefined) break;
      next.compose(0, 10, [
        { source, from: 90, to: 100 },
        { source: next, from: 0, to: 10 },
      ]);
      source.lend(90, next, 10);
      const another = sources[index + 2];
      if (another !== undefined) source.lend(95, another, 20);
    }
    const [first] = sources as [Source, ...Source[]];
    expect(first.position()).toBe(0);
    expect(first.progress('a')).toEqual({ mark: 0, settled: [] });
    for (const flight of flights.slice(0, 4)) flight.settle(0, 10);
    expect(first.progress('a')).toEqual({ mark: 90, settled: [[90, 100]] });
    expect(first.position()).toBe(90);
    for (const flight of flights) flight.settle(0, 10);
    expect(sources.map((source) => source.position())).toEqual(sources.map(() => 100));
  });

  it('takes a record whose lines lie apart for settled only where all of them were', () => {
    const settled = new Map([['out', { mark: 0, settled: [[20, 30] as [number, number]] }]]);
    const source = new Source('s', 0, settled);
    expect(source.wasSettled('out', 20, 30)).toBe(true);
    // The same line, but now it is the last one of a record.
    const part = (from: number): SourceRange => ({ source, from, to: from + 10 });
    source.compose(20, 30, [part(0), part(20)]);
    expect(source.wasSettled('out', 20, 30)).toBe(false);
    const kept = new Source('s', 0, settled, new Map([['out', [[20, 30]]]]));
    kept.compose(20, 30, undefined);
    expect(kept.wasSettled('out', 20, 30)).toBe(true);
  });

  it('settles the other lines of a record with the last one, in other sources as well', () => {
    const [old, next] = [new Source('a', 0), new Source('b', 0)];
    old.advance(100);
    const flight = fly(next, 'out', 0);
    old.lend(90, next, 40);
    next.compose(30, 40, [
      { source: old, from: 90, to: 100 },
      { source: next, from: 10, to: 20 },
      { source: next, from: 30, to: 40 },
    ]);
    flight.settle(3, 4);
    expect(next.progress('out')).toEqual({
      mark: 0,
      settled: [
        [10, 20],
        [30, 40],
      ],
    });
    expect(old.progress('out')).toEqual({ mark: 90, settled: [[90, 100]] });
    flight.settle(0, 10);
    expect(old.progress('out')).toEqual({ mark: 100, settled: [] });
  });

  it('forgets records whose lines lie apart once all marks are behind them', () => {
    const source = new Source('s', 0);
    const looked = vi.spyOn(source, 'position');
    for (let at = 0; at < 100_000; at += 10) {
      source.compose(at, at + 10, []);
      source.advance(at + 10);
    }
    expect(looked.mock.calls.length).toBeGreaterThan(5);
    expect(looked.mock.calls.length).toBeLessThan(20);
  });

  it('puts a flight that comes late where its bytes are', () => {
    const source = new Source('s', 0);
    fly(source, 'out', 100);
    const late = fly(source, 'out', 0);
    expect(source.progress('out').mark).toBe(0);
    late.settle(0, 10);
    expect(source.progress('out').mark).toBe(100);
  });

  it('remembers what was acknowledged before a restart as long as the mark is held back', () => {
    const source = new Source('s', 20, new Map([['out', { mark: 20, settled: [[50, 90]] }]]));
    source.unfinished = { from: 20 };
    source.advance(100);
    expect(source.progress('out')).toEqual({ mark: 20, settled: [[50, 90]] });
  });

  it('reports becoming dirty once', () => {
    const source = new Source('s', 0);
    let calls = 0;
    source.onDirty = () => calls++;
    source.dirty = false;
    source.advance(1);
    source.advance(2);
    expect(calls).toBe(1);
  });
});

describe('Flight (rule 17: a rest moves to a chunk of its own)', () => {
  it('keeps positions when its rest moves', () => {
    const source = new Source('s', 0);
    const flight = fly(source, 'out', 0);
    flight.settle(0, 4);
    flight.settle(5, 9);
    let released = 0;
    const chunk = flight.chunk.extract(flight.openRanges);
    flight.moveTo(HeldChunk.ofMemory(1, chunk, { ...keeper, gone: () => released++ }));
    expect(flight.openRecords).toBe(2);
    expect(source.progress('out')).toEqual({ mark: 40, settled: [[50, 90]] });
    flight.settle(1, 2);
    expect(source.progress('out')).toEqual({ mark: 40, settled: [[50, 100]] });
    flight.settle(0, 1);
    expect(released).toBe(1);
    expect(source.progress('out').mark).toBe(100);
  });
});
