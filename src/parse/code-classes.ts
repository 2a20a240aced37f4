/** The named character classes of Ruby's regular expressions, as code point sets. */
import { charactersOf, codeSet, complement, intersection, union, unicodeProperty } from './code-set.ts';
import type { CodeSet } from './code-set.ts';

const DIGIT = codeSet([[0x30, 0x39]]);
const HEX_DIGIT = codeSet([
  [0x30, 0x39],
  [0x41, 0x46],
  [0x61, 0x66],
]);
const WORD = codeSet([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
const SPACE = codeSet([
  [0x09, 0x0d],
  [0x20, 0x20],
]);

const SHORTHANDS: Readonly<Record<string, CodeSet>> = { d: DIGIT, h: HEX_DIGIT, s: SPACE, w: WORD };

/**
 * `\d \h \s \w` and their upper-case complements; ASCII only, as in Ruby. Undefined for other letters.
 */
export function shorthandClass(letter: string): CodeSet | undefined {
  const set = SHORTHANDS[letter.toLowerCase()];
  if (set === undefined || letter === letter.toLowerCase()) return set;
  return complement(set);
}

const ASCII: CodeSet = [0, 0x7f];

/** POSIX brackets by name: Unicode property names to unite, and characters besides. */
const POSIX: Readonly<Record<string, { properties: readonly string[]; also?: string }>> = {
  alnum: { properties: ['L', 'M', 'Nd'] },
  alpha: { properties: ['L', 'M'] },
  blank: { properties: ['Zs'], also: '\t' },
  cntrl: { properties: ['Cc'] },
  digit: { properties: ['Nd'] },
  lower: { properties: ['Lowercase'] },
  punct: { properties: ['P'], also: '$+<=>^`|~' },
  space: { properties: ['White_Space'] },
  upper: { properties: ['Uppercase'] },
  word: { properties: ['L', 'M', 'Nd', 'Pc'] },
};

/** A POSIX bracket (`alpha` of `[[:alpha:]]`), Unicode-aware as in Ruby. Undefined for an unknown name. */
export function posixClass(name: string): CodeSet | undefined {
  if (name === 'ascii') return ASCII;
  if (name === 'xdigit') return HEX_DIGIT;
  if (name === 'graph') return intersection(printable(), complement(property('White_Space')));
  if (name === 'print') return intersection(printable(), complement(property('Cc')));
  const parts = Object.hasOwn(POSIX, name) ? POSIX[name] : undefined;
  if (parts === undefined) return undefined;
  return union(charactersOf(parts.also ?? ''), ...parts.properties.map(property));
}

/** All that is not a control, a surrogate or unassigned. */
function printable(): CodeSet {
  return complement(union(property('Cc'), property('Cs'), property('Cn')));
}

function property(name: string): CodeSet {
  return unicodeProperty(name) ?? [];
}

const SPELLINGS: Readonly<Record<string, string>> = {
  any: 'Any',
  assigned: 'Assigned',
  ascii: 'ASCII',
};

/**
 * `\p{…}`: a POSIX bracket's name, a general category, a binary property or a script, as Ruby takes them, in any case and with
 * spaces, underscores and hyphens. Undefined when there is no such property.
 */
export function propertyClass(name: string): CodeSet | undefined {
  const bare = name.replaceAll(/[\s_-]/g, '').toLowerCase();
  const posix = posixClass(bare);
  if (posix !== undefined) return posix;
  const spelled = name.trim().replaceAll(/[\s-]+/g, '_');
  // V8 wants the standard's spelling: Letter, Greek, White_Space, Lu.
  const title = spelled
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase())
    .join('_');
  for (const candidate of [SPELLINGS[bare] ?? spelled, title]) {
    const set =
      unicodeProperty(candidate) ??
      unicodeProperty(`Script=${candidate}`) ??
      unicodeProperty(`General_Category=${candidate}`);
    if (set !== undefined) return set;
  }
  return undefined;
}
