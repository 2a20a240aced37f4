import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PieceSplitter } from '../../../../plugins/inputs/exec/pieces.ts';

function split(chunks: readonly Buffer[], limit: number): [text: string, isMore: boolean][] {
  const pieces: [string, boolean][] = [];
  const splitter = new PieceSplitter(limit, (text, isMore) => pieces.push([text, isMore]));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return pieces;
}

it('cuts at line feeds alone, and keeps empty lines and a last line without end', () => {
  expect(split([Buffer.from('a\n\nb\r\nc')], 10)).toEqual([
    ['a', false],
    ['', false],
    ['b\r', false],
    ['c', false],
  ]);
});

it('cuts what is too long between characters', () => {
  expect(split([Buffer.from('12345678\n1234567ü!\n')], 8)).toEqual([
    ['12345678', false],
    ['1234567', true],
    ['ü!', false],
  ]);
});

it('loses nothing, however the bytes come', () => {
  const lines = fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '😀', '\r', ' '), maxLength: 30 }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(
      lines,
      fc.integer({ min: 4, max: 40 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (texts, limit, sizes) => {
        const bytes = Buffer.from(`${texts.join('\n')}\n`);
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value as number;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        const pieces = split(chunks, limit);
        for (const [text] of pieces) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limit);
        expect(pieces.map(([text, isMore]) => (isMore ? text : `${text}\n`)).join('')).toBe(String(bytes));
        expect(pieces).toEqual(split([bytes], limit));
      },
    ),
  );
});
