import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Intake } from '../../../../plugins/inputs/syslog/intake.ts';
import { SyslogReader } from '../../../../plugins/inputs/syslog/reader.ts';
import type { Framing } from '../../../../plugins/inputs/syslog/reader.ts';
import { StreamError } from '../../../../plugins/shared/stream-connection.ts';

interface Taken {
  text: string;
  isCut: boolean;
}

/** Shows pieces to a reader as a connection does: what it leaves is shown again, with the next piece behind it. */
function reading(framing: Framing = 'auto', maxBytes = 1000) {
  const taken: Taken[] = [];
  const lost: string[] = [];
  const intake = {
    take: (text: string, from: number, to: number, isCut: boolean) => {
      // A line end alone is no message for the intake either.
      if (/[^\n\0]/.test(text.slice(from, to))) taken.push({ text: text.slice(from, to), isCut });
    },
    lost: (reason: string) => lost.push(reason),
    flush: () => undefined,
  };
  const reader = new SyslogReader({ framing, maxBytes }, intake as unknown as Intake, 'tcp://x');
  let rest = Buffer.alloc(0);
  let longest = 0;
  return {
    taken,
    lost,
    reader,
    texts: () => taken.map(({ text }) => text),
    rest: () => rest.length,
    longest: () => longest,
    show: (piece: string | Buffer): void => {
      const bytes = Buffer.concat([rest, Buffer.from(piece)]);
      rest = bytes.subarray(reader.read(bytes));
      longest = Math.max(longest, rest.length);
    },
    end: (isWhole = true): void => {
      if (rest.length > 0) reader.end(rest, isWhole);
    },
  };
}

describe('frames', () => {
  it.each<[string, Framing, string, string[]]>([
    ['lines', 'auto', '<1>a\n<2>b\n', ['<1>a', '<2>b']],
    ['NUL', 'auto', '<1>a\0<2>b\0', ['<1>a', '<2>b']],
    ['lengths', 'auto', '4 <1>a5 <2>bc', ['<1>a', '<2>bc']],
    ['lengths with line ends behind the messages', 'auto', '4 <1>a\n5 <2>bc\n', ['<1>a', '<2>bc']],
    ['a length that counts the line end', 'auto', '5 <1>a\n5 <2>b\n', ['<1>a\n', '<2>b\n']],
    ['a length with line ends inside of the message', 'auto', '8 <1>a\nb\nc<2>d\n', ['<1>a\nb\nc', '<2>d']],
    ['all of them in turn', 'auto', '4 <1>a<2>b\n<3>c\x004 <4>d', ['<1>a', '<2>b', '<3>c', '<4>d']],
    ['empty lines', 'auto', '\n\n<1>a\n\n\0<2>b\n', ['<1>a', '<2>b']],
    ['a line that begins with a number', 'auto', '12 apples\n2024 <b>\n', ['12 apples', '2024 <b>']],
    ['more digits than a length has', 'auto', '12345678901 <1>a\n', ['12345678901 <1>a']],
    ['a length of nothing', 'auto', '0 <1>a\n', ['0 <1>a']],
    ['no lengths where they are not wanted', 'newline', '4 <1>a\n', ['4 <1>a']],
    ['lengths without a priority where they are wanted', 'octet_counting', '3 abc2 de', ['abc', 'de']],
    ['a line where lengths are wanted', 'octet_counting', 'abc\n2 de', ['abc', 'de']],
    ['bytes that are no ASCII', 'auto', '5 <1>ä<2>ö\n', ['<1>ä', '<2>ö']],
  ])('%s', (_name, framing, bytes, messages) => {
    const whole = reading(framing);
    whole.show(bytes);
    expect(whole.texts()).toEqual(messages);
    const single = reading(framing);
    for (const byte of Buffer.from(bytes)) single.show(Buffer.from([byte]));
    expect(single.texts()).toEqual(messages);
    expect(single.taken.some(({ isCut }) => isCut)).toBe(false);
  });

  it('bytes that are no UTF-8 do no harm to what is around them', () => {
    const { show, texts } = reading();
    show(Buffer.concat([Buffer.from('<1>a'), Buffer.from([0xe4, 0xff]), Buffer.from('b\n<2>c\n')]));
    expect(texts()).toEqual(['<1>a\uFFFD\uFFFDb', '<2>c']);
  });

  it('each message as it was sent, whatever its framing and however the bytes come', () => {
    const message = fc
      .tuple(fc.nat({ max: 191 }), fc.string({ unit: 'grapheme' }))
      .map(([pri, text]) => `<${pri}>${text}x`);
    const frame = fc.tuple(fc.constantFrom('counted', 'counted and line', 'line', 'NUL'), message);
    fc.assert(
      fc.property(fc.array(frame), fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (frames, sizes) => {
        const expected: string[] = [];
        const bytes = Buffer.concat(
          frames.map(([kind, text]) => {
            const line = text.replaceAll(/[\n\0]/g, ' ');
            expected.push(kind.startsWith('counted') ? text : line);
            if (kind === 'line') return Buffer.from(`${line}\n`);
            if (kind === 'NUL') return Buffer.from(`${line}\0`);
            return Buffer.from(`${Buffer.byteLength(text)} ${text}${kind === 'counted' ? '' : '\n'}`);
          }),
        );
        const { show, texts, rest } = reading();
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value ?? 1;
          show(bytes.subarray(at, at + size));
          at += size;
        }
        expect(texts()).toEqual(expected);
        expect(rest()).toBe(0);
      }),
    );
  });
});

describe('the end of a stream', () => {
  it.each<[string, string, boolean, Taken[]]>([
    ['a line without an end, sent by who ended the stream', '<1>a', true, [{ text: '<1>a', isCut: false }]],
    ['a line that did not go on', '<1>a', false, [{ text: '<1>a', isCut: true }]],
    ['less than the length said', '9 <1>a', true, [{ text: '<1>a', isCut: true }]],
    ['a number alone', '9', true, [{ text: '9', isCut: false }]],
    ['nothing', '<1>a\n', true, [{ text: '<1>a', isCut: false }]],
  ])('%s', (_name, bytes, isWhole, expected) => {
    const { show, end, taken } = reading();
    show(bytes);
    end(isWhole);
    expect(taken).toEqual(expected);
  });
});

describe('messages that are too long', () => {
  it.each<[string, (text: string) => string]>([
    ['a line', (text) => `${text}\n`],
    ['a length', (text) => `${text.length} ${text}`],
  ])('%s: it is cut, its rest is skipped, and the next one is whole', (_name, frame) => {
    for (const size of [1, 7, 10_000]) {
      const { show, taken, longest, reader } = reading('auto', 500);
      const bytes = Buffer.from(`${frame(`<1>${'a'.repeat(2000)}`)}${frame('<2>b')}`);
      for (let at = 0; at < bytes.length; at += size) show(bytes.subarray(at, at + size));
      expect(taken).toEqual([
        { text: `<1>${'a'.repeat(497)}`, isCut: true },
        { text: '<2>b', isCut: false },
      ]);
      expect(longest()).toBeLessThanOrEqual(500 + 12);
      expect(reader.isWithin).toBe(false);
    }
  });

  it('are cut between characters', () => {
    const { show, texts } = reading('auto', 500);
    show(`<1>${'ä'.repeat(300)}\n`);
    expect(texts()).toEqual([`<1>${'ä'.repeat(248)}`]);
  });

  it('while one is skipped, a message is begun', () => {
    const { show, reader } = reading('auto', 500);
    show('a'.repeat(600));
    expect(reader.isWithin).toBe(true);
    show('\n');
    expect(reader.isWithin).toBe(false);
  });
});

it.each(['a line', 'a length'])('%s that comes byte by byte is whole at its end', (kind) => {
  const { show, texts } = reading('auto', 50_000);
  const text = `<1>${'a'.repeat(20_000)}`;
  for (const byte of Buffer.from(kind === 'a line' ? `${text}\n` : `${text.length} ${text}`))
    show(Buffer.from([byte]));
  expect(texts()).toEqual([text]);
});

describe('lengths that no message has', () => {
  it.each(['9999999999 <1>a', '16777217 <1>a', '4294967297 <1>'])('%s: nothing is waited for', (bytes) => {
    const { show, lost, taken } = reading();
    expect(() => show(`<1>before\n${bytes}`)).toThrow(StreamError);
    expect(taken).toEqual([{ text: '<1>before', isCut: false }]);
    expect(lost).toEqual(['malformed']);
  });
});

describe('noise', () => {
  /** What once went wrong somewhere, or nearly. */
  const CORPUS = [
    '1',
    '1 ',
    '1 <',
    '1 <1',
    '5 <1>',
    '0',
    '00000000001 <1>a',
    '99999999999999999999 <1>a\n',
    '4 <1>a4 <1>',
    '\0\0\0',
    '4\0<1>a',
    '4 \n<1>a',
    '<',
    '3 <1>\n\n4 <1>a',
    '-5 <1>a',
    '+5 <1>a',
    '1e9 <1>a',
    '0x10 <1>a',
  ];

  it('no bytes wedge it or make it keep more than a message', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(...CORPUS).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const { show, end, longest, texts } = reading('auto', 500);
        try {
          for (const bytes of pieces) show(bytes);
          // A thousand bytes later it is over at the latest.
          show(Buffer.alloc(1000, 'x'));
          show('\n<1>good\n');
        } catch (error) {
          if (!(error instanceof StreamError)) throw error;
          return;
        }
        end();
        expect(longest()).toBeLessThanOrEqual(500 + 12);
        expect(texts().at(-1)).toContain('<1>good');
      }),
      { numRuns: 500 },
    );
  });
});
