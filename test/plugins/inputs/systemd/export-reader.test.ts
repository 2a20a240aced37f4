import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EntryMaker } from '../../../../plugins/inputs/systemd/entry.ts';
import type { Entry, EntryOptions } from '../../../../plugins/inputs/systemd/entry.ts';
import { ExportError, ExportReader } from '../../../../plugins/inputs/systemd/export-reader.ts';
import { cursorOf, entryOf, fieldOf, FIRST_MICROS } from './journal.ts';
import type { Written } from './journal.ts';

const PLAIN: EntryOptions = { maxFields: 8000, lowercase: false, stripUnderscores: false, binary: 'text' };

/** Reads pieces. */
function read(pieces: readonly Buffer[], options: Partial<EntryOptions> = {}, limit = 1_000_000): Entry[] {
  const entries: Entry[] = [];
  const reader = new ExportReader(
    new EntryMaker({ ...PLAIN, ...options }, (entry) => entries.push(entry)),
    limit,
  );
  for (const piece of pieces) reader.push(piece);
  return entries;
}

function one(fields: Written['fields'], options: Partial<EntryOptions> = {}, limit?: number): Entry {
  const [entry] = read([entryOf({ number: 1, fields })], options, limit);
  if (entry === undefined) throw new Error('There is no entry.');
  return entry;
}

describe('the export format', () => {
  it('gives cursor, time, unit and fields; address fields are not among them', () => {
    const text = '__SEQNUM=7\n__MONOTONIC_TIMESTAMP=1\n';
    const entry = entryOf({
      number: 1,
      fields: [
        ['MESSAGE', 'a=b = c'],
        ['_SYSTEMD_UNIT', 'x.service'],
        ['EMPTY', ''],
      ],
    });
    expect(read([Buffer.concat([Buffer.from(text), entry])])).toEqual([
      {
        cursor: cursorOf(1),
        micros: FIRST_MICROS + 1,
        unit: 'x.service',
        record: { MESSAGE: 'a=b = c', _SYSTEMD_UNIT: 'x.service', EMPTY: '' },
        metadata: undefined,
      },
    ]);
  });

  it('reads any entries, cut into any pieces', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => Buffer.from(text).toString() === text),
      fc.constantFrom('', '\n', '\n\n', '=', 'a\n=\n\nb', 'grüße\n', '\u001B[31m'),
    );
    const fields = fc.array(fc.tuple(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/), value), { maxLength: 8 });
    const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fields, { minLength: 1, maxLength: 4 }), cuts, (all, at) => {
        const entries = all.map((each, number) => ({ number: number + 1, fields: each }));
        const text = Buffer.concat(entries.map(entryOf));
        const pieces: Buffer[] = [];
        let from = 0;
        for (const length of at) {
          pieces.push(text.subarray(from, from + length));
          from += length;
        }
        pieces.push(text.subarray(from));
        const expected = entries.map(({ fields: each }) => {
          const record: Record<string, string | string[]> = {};
          for (const [key, text_] of each) {
            const known = Object.hasOwn(record, key) ? record[key] : undefined;
            record[key] = known === undefined ? text_ : [known, text_].flat();
          }
          return record;
        });
        expect(read(pieces).map(({ record }) => record)).toEqual(expected);
      }),
    );
  });

  it('shows bytes that are no text as U+FFFD, or in base64 where that is asked for', () => {
    const bytes = Buffer.from([0x61, 0xff, 0x0a, 0xc3]);
    const fields = [
      ['DATA', bytes],
      ['MESSAGE', 'grüße'],
    ] as const;
    expect(one(fields)).toMatchObject({
      record: { DATA: 'a\uFFFD\n\uFFFD', MESSAGE: 'grüße' },
      metadata: undefined,
    });
    expect(one(fields, { binary: 'base64' })).toMatchObject({
      record: { DATA: bytes.toString('base64'), MESSAGE: 'grüße' },
      metadata: { base64: ['DATA'] },
    });
    // U+FFFD itself is text.
    expect(one([['DATA', 'a\uFFFD']], { binary: 'base64' })).toMatchObject({
      record: { DATA: 'a\uFFFD' },
      metadata: undefined,
    });
  });

  it('cuts what is too long, holds none of it, and goes on behind it', () => {
    for (const value of ['x'.repeat(5000), 'x\n'.repeat(2500)]) {
      const text = Buffer.concat([
        entryOf({
          number: 1,
          fields: [
            ['MESSAGE', value],
            ['_PID', '7'],
          ],
        }),
        entryOf({ number: 2, fields: [['MESSAGE', 'next']] }),
      ]);
      for (const size of [1, 100, 1000, 100_000]) {
        const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, n) =>
          text.subarray(n * size, (n + 1) * size),
        );
        const [first, second] = read(pieces, {}, 2000);
        expect(first).toMatchObject({ record: { _PID: '7' }, metadata: { truncated: true } });
        expect(first?.record['MESSAGE']).toBe(value.slice(0, 2000));
        expect(second).toMatchObject({ record: { MESSAGE: 'next' }, metadata: undefined });
      }
    }
  });

  it('cuts between characters', () => {
    const { record } = one([['MESSAGE', `x${'ü'.repeat(3000)}`]], {}, 2000);
    expect(record['MESSAGE']).toBe(`x${'ü'.repeat(999)}`);
    expect(one([['MESSAGE', '😀'.repeat(3000)]], {}, 2002).record['MESSAGE']).toBe('😀'.repeat(500));
  });

  it('bounds an entry of many long fields, and keeps the short ones', () => {
    const many = Array.from({ length: 50 }, (_, n) => [`FIELD${n}`, 'x'.repeat(1900)] as const);
    const { record, metadata } = one([...many, ['_PID', '7']], {}, 2000);
    expect(metadata).toEqual({ truncated: true });
    expect(record['_PID']).toBe('7');
    expect(JSON.stringify(record).length).toBeLessThan(2 * 2000 + 50 * 1050);
  });

  it('refuses what is no export format', () => {
    expect(() => read([Buffer.from('garbage '.repeat(500))])).toThrow(ExportError);
    expect(() => read([Buffer.from('FIELD\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF', 'latin1')])).toThrow(
      ExportError,
    );
    const wrong = fieldOf('FIELD', 'a\nb');
    wrong[wrong.length - 1] = 0x20;
    expect(() => read([wrong])).toThrow(ExportError);
  });
});

describe('records', () => {
  it('strips one underscore and lowers names, when asked', () => {
    const fields = [
      ['_PID', '1'],
      ['MESSAGE', 'Text'],
      ['_X_', '2'],
    ] as const;
    expect(one(fields, { stripUnderscores: true }).record).toEqual({ PID: '1', MESSAGE: 'Text', X_: '2' });
    expect(one(fields, { lowercase: true }).record).toEqual({ _pid: '1', message: 'Text', _x_: '2' });
    expect(one(fields, { lowercase: true, stripUnderscores: true }).record).toEqual({
      pid: '1',
      message: 'Text',
      x_: '2',
    });
  });

  it('makes lists of fields that come several times, also by other names', () => {
    const fields = [
      ['A', '1'],
      ['_A', '2'],
      ['A', '3'],
    ] as const;
    expect(one(fields).record).toEqual({ A: ['1', '3'], _A: '2' });
    expect(one(fields, { stripUnderscores: true }).record).toEqual({ A: ['1', '2', '3'] });
  });

  it('takes max_fields fields and flags the entry', () => {
    const fields = [
      ['A', '1'],
      ['B', '2'],
      ['_SYSTEMD_UNIT', 'x.service'],
    ] as const;
    expect(one(fields, { maxFields: 2 })).toMatchObject({
      record: { A: '1', B: '2' },
      unit: 'x.service',
      metadata: { truncated: true },
    });
    expect(one(fields, { maxFields: 3 }).metadata).toBeUndefined();
  });

  it('knows names that every object has', () => {
    const { record } = one(
      [
        ['CONSTRUCTOR', '1'],
        ['TOSTRING', '2'],
      ],
      { lowercase: true },
    );
    expect(record).toEqual({ constructor: '1', tostring: '2' });
  });
});
