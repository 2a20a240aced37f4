import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeRanges } from '../../../src/delivery/dead-letters/disk.ts';
import { readLetter, writeLetter } from '../../../src/delivery/dead-letters/letter.ts';
import { measure, readLines } from '../../../src/delivery/dead-letters/lines.ts';
import { memberText } from '../../../src/codec/member-text.ts';
import { Batch } from '../../../src/event/batch.ts';
import { encodeBatch, Slice } from '../../../src/event/chunk.ts';
import type { LogRecord } from '../../../src/event/record.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-letter-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function written(text: string, seconds: number, nanos: number, metadata?: LogRecord): string {
  const batch = new Batch();
  batch.push(undefined, text, seconds, nanos);
  if (metadata !== undefined) batch.metadata = [metadata];
  const slice = new Slice(encodeBatch('a"tag', batch, true, 0), 0, 1);
  const letter = { slice, status: undefined, reason: ',"record":{}', attempts: 3, firstTriedAt: 0 };
  return writeLetter('out', letter, undefined, 0);
}

describe('a letter', () => {
  it('comes back as it was: time, tag, metadata, and the text of the record', () => {
    const text = '{ "n":12345678901234567890, "record":{"record":1}, "s":"\\"record\\":" }';
    const line = written(text, 1_700_000_000, 7, { record: 'x', list: [{ record: 1 }] });
    expect(readLetter(line.trimEnd())).toMatchObject({
      seconds: 1_700_000_000,
      nanos: 7,
      tag: 'a"tag',
      output: 'out',
      status: undefined,
      attempts: 3,
      metadata: { record: 'x', list: [{ record: 1 }] },
      text,
      record: { n: 12_345_678_901_234_567_890n },
    });
  });

  it('keeps times of any age, before 1970 too, and what is no time', () => {
    for (const [seconds, nanos] of [
      [-1, 999_999_999],
      [-62_135_596_800, 0],
      [8_640_000_000_000, 1],
      [1e300, 0],
      [Number.NaN, 0],
    ] as const) {
      expect(readLetter(written('{}', seconds, nanos).trimEnd())).toMatchObject({ seconds, nanos });
    }
  });

  it('finds the text of any record', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (others, record) => {
        const { record: _taken, ...before } = others;
        const text = JSON.stringify(record);
        const members = Object.entries(before).map(
          ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
        );
        expect(memberText(`{${[...members, `"record":${text}`].join(',')}}`, 'record')).toBe(text);
        expect(memberText(`{${[`"record": ${text} `, ...members].join(' , ')}}`, 'record')).toBe(text);
      }),
    );
    expect(memberText('{"a":{"record":1}}', 'record')).toBeUndefined();
    expect(memberText('{"\\u0072ecord":1}', 'record')).toBe('1');
  });

  it('takes one that a person edited, and nothing that is no letter', () => {
    const edited =
      '{ "record": {"a": 1}, "tag": "t", "output": "o", "time": "2026-01-01T00:00:00Z", "attempts": "x" }';
    expect(readLetter(edited)).toMatchObject({
      text: '{"a": 1}',
      attempts: 0,
      reason: '',
      seconds: 1_767_225_600,
    });
    for (const line of [
      '',
      '{',
      'null',
      '[]',
      '{"time":"x","tag":"t","output":"o","record":[]}',
      '{"record":{}}',
      '\0',
    ])
      expect(readLetter(line)).toBeUndefined();
    expect(readLetter('['.repeat(100_000))).toBeUndefined();
  });
});

describe('lines of a file', () => {
  const lines = (text: string | Buffer, max?: number): unknown[] => {
    const file = join(directory, 'f');
    writeFileSync(file, text);
    const descriptor = openSync(file, 'r');
    try {
      const measured = measure(descriptor);
      const found = [...readLines(descriptor, max)];
      expect(measured.lines).toBe(found.filter(({ torn }) => !torn).length);
      expect(found.at(-1)?.stop ?? 0).toBe(measured.bytes);
      return found;
    } finally {
      closeSync(descriptor);
    }
  };

  it('are given with their places; the last may be torn', () => {
    expect(lines('ä\n\nb')).toEqual([
      { text: 'ä', start: 0, stop: 3, torn: false },
      { text: '', start: 3, stop: 4, torn: false },
      { text: 'b', start: 4, stop: 5, torn: true },
    ]);
    expect(lines('')).toEqual([]);
  });

  it('are put together over blocks, and skipped when they are too long', () => {
    const long = 'x'.repeat(700_000);
    expect(lines(`${long}\nb\n`)).toMatchObject([
      { text: long },
      { text: 'b', start: 700_001, stop: 700_003 },
    ]);
    expect(lines(`${long}\nb\n`, 500_000)).toMatchObject([{ text: undefined, stop: 700_001 }, { text: 'b' }]);
  });

  it('go out of a file and leave the others as they were', () => {
    writeFileSync(join(directory, 'f'), 'one\ntwo\nthree\nfour');
    removeRanges(directory, 'f', [
      [0, 4],
      [8, 14],
    ]);
    expect(readFileSync(join(directory, 'f'), 'utf8')).toBe('two\nfour');
  });
});
