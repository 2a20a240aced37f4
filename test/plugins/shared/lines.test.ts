import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineSplitter } from '../../../plugins/shared/lines.ts';

function split(limit: number, ...chunks: (string | Buffer)[]): [string, boolean][] {
  const lines: [string, boolean][] = [];
  const splitter = new LineSplitter(limit, (line, truncated) => lines.push([line, truncated]));
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.end();
  return lines;
}

describe('lines', () => {
  it('end in LF or CRLF, the last one in nothing', () => {
    expect(split(10, 'a\nb\r\n\nlast')).toEqual([
      ['a', false],
      ['b', false],
      ['', false],
      ['last', false],
    ]);
  });

  it('are the same however the bytes come', () => {
    const text = 'first\r\nzwölf €\n\nlonger than ten\nx';
    const whole = split(10, text);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 40 }), (sizes) => {
        const bytes = Buffer.from(text);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of sizes) chunks.push(bytes.subarray(at, (at += size)));
        expect(split(10, ...chunks, bytes.subarray(at))).toEqual(whole);
      }),
    );
    expect(whole.map(([line]) => line)).toEqual(['first', 'zwölf €', '', 'longer tha', 'x']);
  });

  it('are cut at the limit, with their rest gone, not inside a character', () => {
    expect(split(4, '1234\r\n12345\nabc€\nok\n')).toEqual([
      ['1234', false],
      ['1234', true],
      ['abc', true],
      ['ok', false],
    ]);
  });

  it('without end cost no more than the limit and come out once', () => {
    const chunks = Array.from({ length: 1000 }, () => 'x'.repeat(100));
    expect(split(50, ...chunks, '\nnext\n')).toEqual([
      ['x'.repeat(50), true],
      ['next', false],
    ]);
  });

  it('keep copies of what they hold', () => {
    const lines: string[] = [];
    const splitter = new LineSplitter(10, (line) => lines.push(line));
    const memory = Buffer.from('abc');
    splitter.push(memory);
    memory.fill('x');
    splitter.push(Buffer.from('d\n'));
    expect(lines).toEqual(['abcd']);
  });
});
