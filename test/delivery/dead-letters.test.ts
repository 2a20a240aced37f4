import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeadLetters } from '../../src/delivery/dead-letters.ts';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch, Slice } from '../../src/event/chunk.ts';
import { Source } from '../../src/event/source.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLog } from './harness.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-dlq-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function letter(
  text: string,
  seconds = 1_700_000_000,
): { slice: Slice; status: number; reason: string; attempts: number; firstTriedAt: number } {
  const batch = new Batch();
  batch.source = new Source('src-1', 0);
  batch.base = 100;
  batch.push(JSON.parse(text), text, seconds, 123_456_789, 5, 25);
  const slice = new Slice(encodeBatch('app', batch, true, 0), 0, 1);
  return { slice, status: 400, reason: 'mapping conflict', attempts: 1, firstTriedAt: performance.now() };
}

describe('DeadLetters', () => {
  it('writes a line that a person can read, the record byte by byte', () => {
    const log = recordingLog();
    const letters = new DeadLetters({ directory: join(directory, 'dlq'), log, metrics: new Metrics() });
    expect(letters.write('es/1', [letter('{"id":9007199254740993,"m":"ü"}')])).toBe(true);
    const text = readFileSync(join(directory, 'dlq', 'es%2F1.ndjson'), 'utf8');
    expect(text).toContain('"record":{"id":9007199254740993,"m":"ü"}}\n');
    expect(JSON.parse(text)).toMatchObject({
      time: '2023-11-14T22:13:20.123456789Z',
      tag: 'app',
      output: 'es/1',
      status: 400,
      reason: 'mapping conflict',
      attempts: 1,
      origin: { source: 'src-1', start: 105, stop: 125 },
    });
  });

  it('takes records with impossible times', () => {
    const letters = new DeadLetters({ directory, log: recordingLog(), metrics: new Metrics() });
    expect(letters.write('out', [letter('{}', 1e300), letter('{}', Number.NaN)])).toBe(true);
    expect(readFileSync(join(directory, 'out.ndjson'), 'utf8').trim().split('\n').length).toBe(2);
  });

  it('stays bounded: the oldest go, counted', () => {
    const metrics = new Metrics();
    const letters = new DeadLetters({ directory, log: recordingLog(), metrics, maxFileBytes: 400 });
    for (let i = 0; i < 12; i++) letters.write('out', [letter(`{"i":${i}}`)]);
    const kept = readdirSync(directory).flatMap((file) =>
      readFileSync(join(directory, file), 'utf8').trim().split('\n'),
    );
    const evicted = metrics.counter('tailrace_dead_letters_evicted_total', '').sum();
    expect(evicted).toBeGreaterThan(0);
    expect(kept.length + evicted).toBe(12);
    expect(kept.some((line) => line.includes('"i":11'))).toBe(true);
  });

  it('says so when it cannot write', () => {
    const log = recordingLog();
    writeFileSync(join(directory, 'file'), '');
    const letters = new DeadLetters({ directory: join(directory, 'file'), log, metrics: new Metrics() });
    expect(letters.write('out', [letter('{}')])).toBe(false);
    expect(log.lines[0]?.level).toBe('error');
  });
});
