import { expect, it } from 'vitest';
import { splitWords, UnclosedQuoteError } from '../../../plugins/shared/words.ts';

it.each<[string, string[]]>([
  ['', []],
  ['  a   b  ', ['a', 'b']],
  ['"a b" c', ['a b', 'c']],
  [`'it"s' x`, ['it"s', 'x']],
  ['"say \\"hi\\" \\\\ \\d"', ['say "hi" \\ \\d']],
  ['a"b c"d', ['a"b', 'c"d']],
  ['""', ['']],
])('splits %j', (text, words) => {
  expect(splitWords(text)).toEqual(words);
});

it('leaves the rest as it stands behind the last word that is wanted', () => {
  expect(splitWords('"a key"  value  with "quotes" ', 1)).toEqual(['a key', 'value  with "quotes" ']);
});

it('refuses an open quote', () => {
  expect(() => splitWords('a "b c')).toThrow(UnclosedQuoteError);
});
