import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeadLetters, letterKey, RESENT_INPUT } from '../../src/delivery/dead-letters.ts';
import type { DeadLetter, DeadLettersOptions } from '../../src/delivery/dead-letters.ts';
import { listFiles } from '../../src/delivery/dead-letters/names.ts';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch, Slice } from '../../src/event/chunk.ts';
import { Source } from '../../src/event/source.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLog } from './harness.ts';

const DAY = 86_400_000;
const YEAR = 365 * DAY;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-dlq-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function letter(text: string, seconds = 1_700_000_000, input = ''): DeadLetter {
  const batch = new Batch();
  batch.input = input;
  batch.source = new Source('src-1', 0);
  batch.base = 100;
  batch.push(JSON.parse(text), text, seconds, 123_456_789, 5, 25);
  const slice = new Slice(encodeBatch('app', batch, true, 0), 0, 1);
  return { slice, status: 400, reason: 'mapping conflict', attempts: 1, firstTriedAt: performance.now() };
}

/** Letters with clocks that the test sets. */
class Bench {
  readonly metrics = new Metrics();
  readonly log = recordingLog();
  wall = Date.UTC(2026, 0, 1);
  monotonic = 0;

  open(options: Partial<DeadLettersOptions> = {}): DeadLetters {
    return new DeadLetters({
      directory,
      log: this.log,
      metrics: this.metrics,
      now: () => this.wall,
      monotonic: () => this.monotonic,
      ...options,
    });
  }

  /** Both clocks go on. */
  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }

  value(name: string, labels: Record<string, string> = {}): number {
    const family = this.metrics.families.get(name);
    const samples = family?.get().values ?? [];
    return samples
      .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }

  evicted(reason: 'size' | 'age'): number {
    return this.value('tailrace_dead_letters_evicted_total', { name: 'out', reason });
  }
}

function kept(output = 'out'): string[] {
  const folder = join(directory, output);
  return listFiles(folder).files.flatMap(({ name }) =>
    readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean),
  );
}

describe('DeadLetters', () => {
  it('writes a line that a person can read, the record byte by byte, in a file of its own', () => {
    const bench = new Bench();
    expect(bench.open().write('es/1', [letter('{"id":9007199254740993,  "m":"ü"}')])).toBe(true);
    const [name = ''] = readdirSync(join(directory, 'es%2F1'));
    expect(name).toBe(`${bench.wall}-1.ndjson`);
    const [text = ''] = kept('es%2F1');
    expect(text).toContain('"record":{"id":9007199254740993,  "m":"ü"}}');
    expect(JSON.parse(text)).toMatchObject({
      time: '2023-11-14T22:13:20.123456789Z',
      tag: 'app',
      output: 'es/1',
      status: 400,
      reason: 'mapping conflict',
      attempts: 1,
      last_attempt: '2026-01-01T00:00:00.000Z',
      origin: { source: 'src-1', start: 105, stop: 125 },
    });
    expect(statSync(join(directory, 'es%2F1', name)).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'es%2F1')).mode & 0o777).toBe(0o700);
  });

  it('leaves its directory for no name of an output', () => {
    const letters = new Bench().open();
    for (const output of ['..', '.', '../../up', 'x'.repeat(5000), 'a\u0000b'])
      expect(letters.write(output, [letter('{}')])).toBe(true);
    expect(readdirSync(directory).length).toBe(5);
    expect(readdirSync(join(directory, '%2E%2E')).length).toBe(1);
  });

  it('takes records with impossible times', () => {
    expect(new Bench().open().write('out', [letter('{}', 1e300), letter('{}', Number.NaN)])).toBe(true);
    expect(kept().length).toBe(2);
  });

  it('stays within its size: whole files go, the oldest first, and every letter that goes is counted', () => {
    const bench = new Bench();
    const letters = bench.open({ limit: 4000 });
    for (let i = 0; i < 40; i++) letters.write('out', [letter(`{"i":${i}}`), letter(`{"i":${i}.5}`)]);
    expect(bench.value('tailrace_dead_letters_bytes', { name: 'out' })).toBeLessThanOrEqual(4000);
    expect(kept().length).toBe(bench.value('tailrace_dead_letters', { name: 'out' }));
    expect(bench.evicted('size')).toBeGreaterThan(0);
    expect(kept().length + bench.evicted('size')).toBe(80);
    expect(kept().at(-1)).toContain('{"i":39.5}');
    expect(bench.log.lines.some(({ level, fields }) => level === 'warn' && fields['reason'] === 'size')).toBe(
      true,
    );
  });

  it('counts what is there at a start, goes on in the last file, and takes up a smaller limit', () => {
    const bench = new Bench();
    const first = bench.open({ limit: 8000 });
    for (let i = 0; i < 20; i++) first.write('out', [letter(`{"i":${i}}`)]);
    const before = readdirSync(join(directory, 'out')).length;
    const again = new Bench();
    const second = again.open({ limit: 80_000 });
    expect(again.value('tailrace_dead_letters', { name: 'out' })).toBe(kept().length);
    second.write('out', [letter('{}')]);
    expect(readdirSync(join(directory, 'out')).length).toBe(before);
    const small = new Bench();
    small.open({ limit: 2000 });
    expect(small.value('tailrace_dead_letters_bytes', { name: 'out' })).toBeLessThanOrEqual(2000);
    expect(small.evicted('size')).toBeGreaterThan(0);
  });

  it('appends nothing behind a torn line', () => {
    const bench = new Bench();
    bench.open().write('out', [letter('{}')]);
    const [name = ''] = readdirSync(join(directory, 'out'));
    writeFileSync(join(directory, 'out', name), '{"time":"20', { flag: 'a' });
    bench.open().write('out', [letter('{}')]);
    expect(readdirSync(join(directory, 'out')).toSorted()).toEqual([name, `${bench.wall}-2.ndjson`]);
  });

  it('lets files go that are older than the bound, and says so', () => {
    const bench = new Bench();
    const letters = bench.open({ maxAgeMs: 30 * DAY });
    letters.write('out', [letter('{"n":1}')]);
    for (let hour = 0; hour < 20 * 24; hour++) {
      bench.pass(DAY / 24);
      letters.tick();
    }
    letters.write('out', [letter('{"n":2}')]);
    for (let hour = 0; hour < 11 * 24; hour++) {
      bench.pass(DAY / 24);
      letters.tick();
    }
    expect(kept().length).toBe(1);
    expect(kept()[0]).toContain('{"n":2}');
    expect(bench.evicted('age')).toBe(1);
  });

  it('believes no clock that jumps: not by years ahead, not back, not at a start', () => {
    const bench = new Bench();
    const letters = bench.open();
    letters.write('out', [letter('{"n":1}')]);
    bench.monotonic += DAY / 24;
    bench.wall += 5 * YEAR;
    letters.tick();
    expect(kept().length).toBe(1);
    letters.write('out', [letter('{"n":2}')]);
    bench.monotonic += DAY / 24;
    bench.wall -= 20 * YEAR;
    letters.tick();
    letters.write('out', [letter('{"n":3}')]);
    expect(kept().length).toBe(3);
    bench.wall += 30 * YEAR;
    bench.open().tick();
    expect(kept().map((line) => /"n":\d/.exec(line)?.[0])).toEqual(['"n":1', '"n":2', '"n":3']);
    expect(bench.evicted('age')).toBe(0);
  });

  it('believes a clock that stands by what it said for a day', () => {
    const bench = new Bench();
    bench.open().write('out', [letter('{}')]);
    bench.wall += 2 * YEAR;
    const letters = bench.open();
    for (let hour = 0; hour < 23; hour++) {
      bench.pass(DAY / 24);
      letters.tick();
    }
    expect(kept().length).toBe(1);
    for (let hour = 0; hour < 2; hour++) {
      bench.pass(DAY / 24);
      letters.tick();
    }
    expect(kept()).toEqual([]);
    expect(bench.evicted('age')).toBe(1);
  });

  it('removes what a rewrite that was cut short left', () => {
    const bench = new Bench();
    bench.open().write('out', [letter('{}')]);
    writeFileSync(join(directory, 'out', '17-1.ndjson.tmp'), 'half');
    bench.open();
    expect(readdirSync(join(directory, 'out')).length).toBe(1);
  });

  it('begins anew where somebody removed its files', () => {
    const letters = new Bench().open();
    letters.write('out', [letter('{"n":1}')]);
    rmSync(join(directory, 'out'), { recursive: true });
    expect(letters.write('out', [letter('{"n":2}')])).toBe(true);
    expect(kept().length).toBe(1);
  });

  it('says so when it cannot write', () => {
    const bench = new Bench();
    writeFileSync(join(directory, 'file'), '');
    expect(bench.open({ directory: join(directory, 'file') }).write('out', [letter('{}')])).toBe(false);
    expect(bench.log.lines.at(-1)?.level).toBe('error');
  });

  it('goes on from the first life of a letter that was sent again, once for each', () => {
    const letters = new Bench().open();
    let refused = 0;
    const origin = { source: 'first', start: 1, stop: 2 };
    const key = letterKey('app', 1_700_000_000, 123_456_789, '{"n":1}');
    const resent = {
      attempts: 7,
      firstAttempt: '2025-01-01T00:00:00.000Z',
      origin,
      onRefused: () => refused++,
    };
    letters.sentAgain(key, resent);
    letters.write('out', [letter('{"n":1}')]);
    letters.write('out', [letter('{"n":1}', undefined, RESENT_INPUT)]);
    letters.write('out', [letter('{"n":1}', undefined, RESENT_INPUT)]);
    expect(refused).toBe(1);
    const written = kept().map((line) => JSON.parse(line) as { attempts: number; first_attempt: string });
    expect(written.map(({ attempts }) => attempts)).toEqual([1, 8, 1]);
    expect(written[1]).toMatchObject({ first_attempt: '2025-01-01T00:00:00.000Z', origin });
  });
});
