import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RegexSyntaxError, translateRegex } from '../../src/parse/regex.ts';

/** The whole match and the captures, or null. */
function run(pattern: string, text: string): (string | undefined)[] | null {
  const regex = translateRegex(pattern);
  const match = regex.exec(text);
  expect(regex.test(text)).toBe(match !== null);
  return match === null ? null : [match[0], ...regex.numbers.map((number) => match[number])];
}

/** What becomes of a pattern and a text; an error that nobody expects as it is. */
function outcome(pattern: string, text: string): unknown {
  try {
    return translateRegex(pattern).exec(text) === null ? 'no match' : 'match';
  } catch (error) {
    return error instanceof RegexSyntaxError ? 'refused' : error;
  }
}

/** What is wrong with a pattern, and where. */
function refusal(pattern: string): { message: string; offset: number } {
  try {
    translateRegex(pattern);
  } catch (error) {
    if (error instanceof RegexSyntaxError) return { message: error.message, offset: error.offset };
    throw error;
  }
  throw new Error(`${pattern} was not refused.`);
}

describe('what matches as in Ruby', () => {
  it.each<[what: string, pattern: string, text: string, match: (string | undefined)[] | null]>([
    ['slashes around', '/ab/', 'cab', ['ab']],
    ['a slash inside of slashes', '/a/b/', 'a/b', ['a/b']],
    ['a path is no expression in slashes', '/var/log', '/var/log', ['/var/log']],
    ['escaped slash', String.raw`^\/a`, '/a', ['/a']],
    ['flag i', '/ÄB/i', 'äb', ['äb']],
    ['flag m: the dot takes line ends', '/a.b/m', 'a\nb', ['a\nb']],
    ['flag x', '/a b # comment\n c/x', 'abc', ['abc']],
    ['flag o', '/a/o', 'a', ['a']],
    ['the dot does not take line ends', 'a.b', 'a\nb', null],
    ['the dot takes other separators', '^(.*)$', 'a\u2028b\rc', ['a\u2028b\rc', 'a\u2028b\rc']],
    ['a lazy group is not cut at a carriage return', '^(?<a>.*?)$', 'x\ry', ['x\ry', 'x\ry']],
    ['^ at each line', '^b', 'a\nb', ['b']],
    ['^ not behind a carriage return', '^b', 'a\rb', null],
    ['$ at each line', 'a$', 'a\nb', ['a']],
    ['$ and ^ around a line', '^(?<l>.*)$', 'one\ntwo', ['one', 'one']],
    ['lazy up to the first line end', '^(?<l>[^x]*?)$', 'one\ntwo', ['one', 'one']],
    [String.raw`\A`, String.raw`\Ab`, 'a\nb', null],
    [String.raw`\z`, String.raw`a\z`, 'a\n', null],
    [String.raw`\Z before a last line end`, String.raw`a\Z`, 'a\n', ['a']],
    [String.raw`\Z not before others`, String.raw`a\Z`, 'a\nb', null],
    [String.raw`\Z at the end of a line`, String.raw`a\Z`, 'ba', ['a']],
    [String.raw`\G`, String.raw`\Gb`, 'ab', null],
    [String.raw`\b`, String.raw`\bb\b`, 'a b c', ['b']],
    [String.raw`\h`, String.raw`^\h+$`, 'DEADbeef09', ['DEADbeef09']],
    [String.raw`\H`, String.raw`\H`, 'fg', ['g']],
    [String.raw`\h in a class`, String.raw`[\hx]+`, 'zaxz', ['ax']],
    [String.raw`\d is ASCII`, String.raw`\d`, '٣', null],
    [String.raw`\w is ASCII`, String.raw`\w+`, 'éa', ['a']],
    [String.raw`\s is ASCII`, String.raw`\s`, '\u00a0', null],
    [String.raw`\s has the vertical tab`, String.raw`\s`, '\v', ['\v']],
    [String.raw`\S takes a no-break space`, String.raw`^\S+$`, 'a\u00a0b', ['a\u00a0b']],
    [String.raw`\R as one`, String.raw`a\Rb`, 'a\r\nb', ['a\r\nb']],
    [String.raw`\R`, String.raw`a\Rb`, 'a\u0085b', ['a\u0085b']],
    ['escapes', String.raw`\a\e\f\n\r\t\v`, '\u0007\u001b\f\n\r\t\v', ['\u0007\u001b\f\n\r\t\v']],
    ['octal', String.raw`\101\0`, 'A\0', ['A\0']],
    ['hexadecimal', String.raw`\x41\x{e9}\x{1F600}\u00e9`, 'Aé😀é', ['Aé😀é']],
    ['control', String.raw`\cA\C-b`, '\u0001\u0002', ['\u0001\u0002']],
    ['escapes that need none', String.raw`\<\>\-\:\_\"\/\y\é`, '<>-:_"/yé', ['<>-:_"/yé']],
    ['a brace that is no count', '{"a":{,}x{a}', '{"a":{,}x{a}', ['{"a":{,}x{a}']],
    ['a closing bracket', 'a]', 'a]', ['a]']],
    ['a bracket first in a class', '[]a]+', 'a]', ['a]']],
    ['a negative class with a bracket first', '[^]a]', ']ab', ['b']],
    ['a hyphen at the ends of a class', '[-a][a-]', '-a', ['-a']],
    ['a hyphen behind a class inside', String.raw`[\d-]+`, '1-2', ['1-2']],
    [String.raw`\b in a class`, String.raw`[\b]`, '\b', ['\b']],
    ['nested classes', '[a[bc]d]+', 'xabcdx', ['abcd']],
    ['intersection', '[a-z&&[^aeiou]]+', 'aeibcd', ['bcd']],
    ['intersection of three', '[a-z&&[^a]&&[^z]]+', 'azbyz', ['by']],
    ['a negative intersection', '[^a-z&&[^b]]+', 'aXbY', ['XbY']],
    ['POSIX', '[[:alpha:]]+', '1äß𝒳ω', ['äß𝒳ω']],
    ['POSIX negated', '[[:^digit:]]+', '12ab3', ['ab']],
    ['POSIX punct', '[[:punct:]]+', 'a$!«b', ['$!«']],
    ['POSIX space', '[[:space:]]', 'a\u00a0', ['\u00a0']],
    ['POSIX xdigit', '[[:xdigit:]]+', 'xAf0', ['Af0']],
    ['POSIX word and others', '[[:word:][:blank:]]+', 'é_\t1!', ['é_\t1']],
    ['POSIX print, graph, cntrl, ascii', '[[:print:]&&[:ascii:]&&[^[:graph:]]]+', 'a b', [' ']],
    [String.raw`\p`, String.raw`\p{Lu}\p{lowercase_letter}\p{Greek}`, 'Aaω', ['Aaω']],
    [String.raw`\p negated`, String.raw`\p{^Lu}\P{Lu}\P{^Lu}`, 'abC', ['abC']],
    [String.raw`\p in a class`, String.raw`[\p{Alpha}\d]+`, '-é1', ['é1']],
    [String.raw`\p with Ruby's names`, String.raw`\p{Alnum}\p{Han}`, 'é漢', ['é漢']],
    ['a group for the rest', 'a(?i)b|c', 'aC', ['aC']],
    ['a group for the rest, not before', 'a(?i)b', 'Ab', null],
    ['a group for the rest ends with its parenthesis', '(?:(?i)a)b', 'AB', null],
    ['a group with flags', 'a(?i:b)c', 'aBc', ['aBc']],
    ['a group with flags, not behind', 'a(?i:b)c', 'aBC', null],
    ['a group with flags off', '(?i)a(?-i:b)', 'Ab', ['Ab']],
    ['a group with m', '(?m:a.)b.', 'a\nb\n', null],
    ['a group with x', '(?x: a b )c', 'abc', ['abc']],
    ['folding of the Kelvin sign', '(?i)k', '\u212a', ['\u212a']],
    ['folding in a class', '(?i)[à-ü]', 'Ö', ['Ö']],
    ['folding and negation', '(?i)[^a]', 'A', null],
    ['folding does not take the dotless i', '(?i)i', 'ı', null],
    ['a comment', 'a(?#no)b', 'ab', ['ab']],
    ['named groups silence plain ones', '(?<a>x)(y)(?<b>z)', 'xyz', ['xyz', 'x', 'z']],
    ["named with '", "(?'a'x)", 'x', ['x', 'x']],
    ['plain groups without names', '(x)(y)', 'xy', ['xy', 'x', 'y']],
    ['one name twice', '(?<a>x)|(?<a>y)', 'y', ['y', undefined, 'y']],
    ['a group that does not take part', '(?<a>x)?(?<b>y)', 'y', ['y', undefined, 'y']],
    ['a name in a class is none', '([(?<a>])', '<', ['<', '<']],
    ['reference by name', String.raw`(?<q>["']).*\k<q>`, `"it's"x`, [`"it's"`, '"']],
    ['reference by number', String.raw`(a|b)\1`, 'abb', ['bb', 'b']],
    ['look-ahead', 'a(?=b)', 'aab', ['a']],
    ['negative look-ahead', '^(?!#).+', '#x', null],
    ['look-behind', '(?<=a)b', 'bab', ['b']],
    ['negative look-behind', '(?<!a)b', 'abb', ['b']],
    ['possessive', 'a++ab', 'aaab', null],
    ['possessive that changes nothing', 'a++b', 'aab', ['aab']],
    ['possessive before a line end', '^[^ ]++$', 'a\nb', ['a\nb']],
    ['possessive gives nothing back', '"[^x]*+"', '"a"', null],
    ['atomic', '(?>a|ab)c', 'abc', null],
    ['atomic with groups inside and behind', '(?>(?<x>a+))(?<y>b)', 'aab', ['aab', 'aa', 'b']],
    ['lazy', '<(?<a>.+?)>', '<x><y>', ['<x>', 'x']],
    ['counts', '^a{2}b{1,}c{,2}d{0,1}$', 'aabcc', ['aabcc']],
    ['a count and a plus is twice repeated', '^(?:a{2}+)$', 'aaaa', ['aaaa']],
    ['a count and a question mark is optional', '^a{2}?b$', 'b', ['b']],
    ['a range and a question mark is lazy', 'a{1,2}?', 'aa', ['a']],
    ['counts of counts', '^a{2}{3}$', 'aaaaaa', ['aaaaaa']],
    ['a large count', '^[a-z]{40}$', 'a'.repeat(40), ['a'.repeat(40)]],
    ['a large count is exact', '^[a-z]{40}$', 'a'.repeat(41), null],
    ['a large open count', '^a{20,}$', 'a'.repeat(45), ['a'.repeat(45)]],
    ['a large lazy count', 'a{20,}?', 'a'.repeat(45), ['a'.repeat(20)]],
    ['the dot takes a whole pair', '^(?<a>.)(?<b>.*)$', '😀x', ['😀x', '😀', 'x']],
    ['giving back does not tear a pair', '^(?<a>.+)(?<b>.)$', 'x😀', ['x😀', 'x', '😀']],
    ['giving back to many does not tear a pair', '^(?<a>.*)(?<b>.+)$', 'x😀', ['x😀', 'x', '😀']],
    ['a lazy repeat does not tear a pair', '^(?<a>.+?)(?<b>.*)$', '😀x', ['😀x', '😀', 'x']],
    ['a lazy repeat at the end does not either', '(?<a>.+?)', '😀', ['😀', '😀']],
    ['a pair counts as one', '^.{3}$', '😀😀😀', ['😀😀😀']],
    ['a negative class counts a pair as one', '^[^a][^a]$', '😀😀', ['😀😀']],
    ['an alternative counts a pair as one', '^(?:.|\n){2}$', '😀\n', ['😀\n']],
    ['pairs in a range', '^[😀-😂]+$', '😁😂', ['😁😂']],
    ['pairs not in a range', '[😀-😂]', '😃', null],
    [
      'pairs across first halves',
      '^[\u{103ff}-\u{10c01}]+$',
      '\u{103ff}\u{10400}\u{10800}\u{10c01}',
      ['\u{103ff}\u{10400}\u{10800}\u{10c01}'],
    ],
    ['a repeated pair', '^😀+$', '😀😀', ['😀😀']],
    ['a set beside a pair', '^[x😀]+$', 'x😀', ['x😀']],
    ['a repeated alternative', '^(?:ab|c)+$', 'abcab', ['abcab']],
    ['an alternative inside a sequence', 'a(?:b|cd)e', 'acde', ['acde']],
    ['an empty alternative', '^(?:a|)$', '', ['']],
    [
      'special characters in a class',
      String.raw`[.^$*+?()\[\]{}|\\/-]+`,
      '.^$*+?()[]{}|\\/-',
      ['.^$*+?()[]{}|\\/-'],
    ],
    ['a NUL', String.raw`\x00\0`, '\0\0', ['\0\0']],
  ])('%s', (_, pattern, text, match) => {
    expect(run(pattern, text)).toEqual(match);
  });

  it('keeps the names in order', () => {
    expect(translateRegex('(?<b>x)(y)(?<a>(?<c>z))').groups).toEqual(['b', 'a', 'c']);
    expect(translateRegex('(x)(y)').groups).toEqual(['', '']);
  });

  it('takes __proto__ for a name', () => {
    expect(translateRegex('(?<__proto__>x)').groups).toEqual(['__proto__']);
  });
});

describe('what is refused', () => {
  it.each([
    ['*a', '"*" has nothing to repeat; write "\\*" for the character.', 0],
    ['a|+', '"+" has nothing to repeat', 2],
    ['({2})', 'The repeat count "{…}" has nothing to repeat', 1],
    ['^*', 'A place ("^", "$", "\\b" …) cannot be repeated', 0],
    ['a{3,2}', 'The repeat count asks for at least 3 and at most 2', 1],
    ['a{100001}', 'The repeat count is above 100000', 1],
    ['(a', 'This group is not closed by ")"', 0],
    ['a)', '")" closes a group that was not opened', 1],
    ['x[a', 'This class is not closed by "]"', 1],
    ['[]', 'This class is not closed by "]"', 0],
    ['[b-a]', 'This range goes backwards', 1],
    [String.raw`[a-\d]`, 'A range goes from one character to another', 3],
    ['[[:nope:]]', '"[:nope:]" is no POSIX class', 1],
    [String.raw`\p{Nope}`, '"Nope" is no character property', 0],
    [String.raw`\pL`, '"\\p" needs the name of a property', 0],
    ['a\\', 'The expression ends in a single "\\"', 1],
    [String.raw`\K`, '"\\K" (keep) cannot be translated', 0],
    [String.raw`\X`, '"\\X" (a whole grapheme) cannot be translated', 0],
    [String.raw`(?<n>a)\g<n>`, '"\\g<…>" (a call of a group) cannot be translated', 7],
    [String.raw`[\R]`, '"\\R" cannot stand in a class', 1],
    [String.raw`(?<n>a)\1`, 'A reference by number does not go with named groups', 7],
    [String.raw`\k<n>`, 'There is no group named "n" to refer to', 0],
    [String.raw`(a)\2`, 'There is no group 2 to refer to', 3],
    [String.raw`(?<n>a)|(?<n>b)\k<n>`, '"n" names several groups', 15],
    [String.raw`(?<n>a)(?i)\k<n>`, 'A reference to a group cannot ignore case', 11],
    [String.raw`(?<n>a)\k<n+1>`, 'A reference relative to its place', 7],
    [String.raw`\k`, '"\\k" needs the name of a group', 0],
    ['(?<1>a)', '"1" is no name for a group', 0],
    ['(?<>a)', '"" is no name for a group', 0],
    ['(?~a)', '"(?~…)" (anything without …) cannot be translated', 0],
    ['(?(1)a|b)', '"(?(…)…|…)" (a condition) cannot be translated', 0],
    ['(?z)', 'This kind of group "(?…" is not known', 0],
    ['(?#a', 'The comment "(?#" is not closed by ")"', 0],
    [String.raw`\xff`, '"\\xff" is a byte, no character', 0],
    [String.raw`\x`, '"\\x" needs hexadecimal digits', 0],
    [String.raw`\x{110000}`, '"\\x{110000}" is beyond the last character', 0],
    [String.raw`\u12`, '"\\u" needs four hexadecimal digits', 0],
    [String.raw`\c`, 'A control character is written', 0],
    ['/a(/', 'This group is not closed by ")"', 2],
    ['('.repeat(300), 'Groups are nested more than 250 deep', 250],
    ['['.repeat(60), 'Classes are nested more than 50 deep', 51],
  ])('%s', (pattern, message, offset) => {
    const refused = refusal(pattern);
    expect(refused.message).toContain(message);
    expect(refused.message).toMatch(/^["A-Z].*\.$/s);
    expect(refused.offset).toBe(offset);
  });

  it('refuses what the engine finds too large', () => {
    expect(refusal('(a)'.repeat(70_000)).message).toContain('too large');
  });
});

describe('for any pattern and text', () => {
  it('either refuses or runs', () => {
    const pieces = String.raw`a b . ^ $ * + ? ( ) (?: (?<n> [ ] [^ - && {2} { } | \d \b \Z (?i) (?= (?> ++ \ 😀 é [[:alpha:]] # /`;
    const pattern = fc
      .array(fc.constantFrom(...pieces.split(' ')), { maxLength: 12 })
      .map((list) => list.join(''));
    fc.assert(
      fc.property(pattern, fc.string({ unit: 'binary' }), (text, subject) => {
        expect(['match', 'no match', 'refused']).toContain(outcome(text, subject));
      }),
      { numRuns: 2000 },
    );
  });

  it('finds a text that is written as a literal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (text, around) => {
        const pattern = Array.from(
          text,
          (character) => `\\x{${character.codePointAt(0)?.toString(16)}}`,
        ).join('');
        expect(translateRegex(pattern).test(around + text + around)).toBe(true);
      }),
    );
  });

  it('classes hold what their ranges say', () => {
    const code = fc.integer({ min: 0, max: 0x10ffff }).filter((value) => value < 0xd800 || value > 0xdfff);
    fc.assert(
      fc.property(code, code, code, fc.boolean(), (a, b, probe, negative) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        const regex = translateRegex(
          `\\A[${negative ? '^' : ''}\\x{${low.toString(16)}}-\\x{${high.toString(16)}}]\\z`,
        );
        expect(regex.test(String.fromCodePoint(probe))).toBe((probe >= low && probe <= high) !== negative);
      }),
      { numRuns: 500 },
    );
  });
});
