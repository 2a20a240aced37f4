import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CriText } from '../../src/parse/cri.ts';

function textOf(content: string): { cri: CriText; bytes: Buffer } {
  const bytes = Buffer.from(content);
  const head = bytes.toString('latin1');
  return { bytes, cri: new CriText({ head, slice: (start, stop) => bytes.toString('utf8', start, stop) }) };
}

describe('CriText', () => {
  it('reads the head of a line in the middle of a text, and makes its record when asked', () => {
    const line = '2024-05-07T18:57:50.5+02:00 stderr P zwölf "x"';
    const { cri, bytes } = textOf(`é\n${line}`);
    expect(cri.read(3, bytes.length)).toBe(true);
    expect(cri).toMatchObject({ seconds: 1715101070, nanos: 500_000_000, stream: 'stderr', partial: true });
    const record = { time: '2024-05-07T18:57:50.5+02:00', stream: 'stderr', _p: 'P', log: 'zwölf "x"' };
    expect(cri.record(3, bytes.length)).toEqual(record);
    expect(cri.json(3, bytes.length)).toBe(JSON.stringify(record));
  });

  it.each([
    '',
    '2024-05-07T18:57:50.5Z',
    '2024-05-07T18:57:50.5Z stdout F',
    '2024-05-07T18:57:50.5Z stdout Fx y',
    '2024-05-07T18:57:50.5Z stdout X y',
    '2024-05-07T18:57:50.5Z stdoux F y',
    '2024-05-07T18:57:50.5Zstdout F y',
    '2024-05-07T18:57:50.5Z"stdout F y',
    '2024-05-07T18:57:50Z stdout F y',
    'x stdout F y',
  ])('takes no other line: %s', (line) => {
    // What follows the line is none of it.
    const { cri } = textOf(`${line}\n2024-05-07T18:57:50.5Z stdout F y`);
    expect(cri.read(0, Buffer.byteLength(line))).toBe(false);
  });

  it('says of any lines what one expression says', () => {
    const time = fc.constantFrom(
      '2024-05-07T18:57:50.904275087Z',
      '2024-05-07T18:57:51.1+00:00',
      '2024-05-07T18:57:50Z',
      'x',
    );
    const line = fc.tuple(
      time,
      fc.constantFrom(' stdout ', ' stderr ', ' stdin ', ' '),
      fc.constantFrom('F ', 'P ', 'F', 'P:x '),
      fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\n', '')),
    );
    fc.assert(
      fc.property(fc.array(line), (parts) => {
        const lines = parts.map((each) => each.join(''));
        const { cri } = textOf(lines.map((each) => `${each}\n`).join(''));
        let start = 0;
        for (const each of lines) {
          const stop = start + Buffer.byteLength(each);
          const match = /^(2024\S+\.\d+\S+) (stdout|stderr) ([FP]) ([^\n]*)$/.exec(each);
          expect(cri.read(start, stop)).toBe(match !== null);
          if (match !== null)
            expect(JSON.parse(cri.json(start, stop))).toEqual({
              time: match[1],
              stream: match[2],
              _p: match[3],
              log: match[4],
            });
          start = stop + 1;
        }
      }),
    );
  });
});
