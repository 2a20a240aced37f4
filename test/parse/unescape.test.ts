import { describe, expect, it } from 'vitest';
import { unescapeText, unescapeUnicode, unquoteMysql } from '../../src/parse/unescape.ts';

describe.each([
  ['unescapeText', unescapeText],
  ['unescapeUnicode', unescapeUnicode],
])('%s', (_, unescape) => {
  it.each([
    ['plain', 'plain'],
    [String.raw`\a\b\f\n\r\t\v\\\"\'\/`, '\u0007\b\f\n\r\t\v\\"\'/'],
    [String.raw`\\n`, String.raw`\n`],
    [String.raw`\q\ `, String.raw`\q\ `],
    ['end\\', 'end\\'],
  ])('%s', (text, plain) => {
    expect(unescape(text)).toBe(plain);
  });
});

describe('unescapeUnicode', () => {
  it.each([
    [String.raw`\u00e9\ud83d\ude00\U0001F600`, 'é😀😀'],
    [String.raw`\x41\x4z\101\0`, 'A\u0004zA\0'],
    [String.raw`\u12 \U0011FFFF`, String.raw`\u12 \U0011FFFF`],
  ])('%s', (text, plain) => {
    expect(unescapeUnicode(text)).toBe(plain);
  });
});

describe('unquoteMysql', () => {
  it.each([
    [String.raw`'it''s \'quoted\' \n \Z \0 \q \\'`, "it''s 'quoted' \n \u001a \0 q \\"],
    [String.raw`"a\"b"`, 'a"b'],
    [String.raw`bare\n`, String.raw`bare\n`],
    [`'open`, `'open`],
    [`'`, `'`],
    [`'mixed"`, `'mixed"`],
  ])('%s', (text, plain) => {
    expect(unquoteMysql(text)).toBe(plain);
  });
});
