/**
 * Sets of Unicode code points, as sorted ranges: what a character class of a regular expression stands for. Classes are
 * computed as sets, not rewritten as text, so that nesting, intersection, negation and case folding come out right.
 */

/** Highest code point. */
const LAST = 0x10ffff;

/** `[low, high, low, high, …]`, sorted, disjoint, never adjacent. */
export type CodeSet = readonly number[];

export const NOTHING: CodeSet = [];
export const ANYTHING: CodeSet = [0, LAST];
/** The second halves of surrogate pairs, and everything that a string holds as a pair. */
export const PAIRED: CodeSet = [0xdc00, 0xdfff, 0x10000, LAST];
export const ASTRAL: CodeSet = [0x10000, LAST];
export const SURROGATES: CodeSet = [0xd800, 0xdfff];

/** Brings ranges in any order into the form of a {@link CodeSet}. */
export function codeSet(unordered: readonly (readonly [number, number])[]): CodeSet {
  const sorted = unordered.toSorted((a, b) => a[0] - b[0]);
  const set: number[] = [];
  for (const [low, high] of sorted) {
    const last = set.length - 1;
    if (last > 0 && low <= (set[last] as number) + 1) {
      set[last] = Math.max(set[last] as number, high);
    } else {
      set.push(low, high);
    }
  }
  return set;
}

/** The ranges of a set, as pairs. */
export function ranges(set: CodeSet): [number, number][] {
  const list: [number, number][] = [];
  for (let at = 0; at < set.length; at += 2) list.push([set[at] as number, set[at + 1] as number]);
  return list;
}

export function single(code: number): CodeSet {
  return [code, code];
}

/** The set of the characters of a text. */
export function charactersOf(text: string): CodeSet {
  return union(...Array.from(text, (character) => single(character.codePointAt(0) as number)));
}

export function union(...sets: readonly CodeSet[]): CodeSet {
  return codeSet(sets.flatMap(ranges));
}

export function complement(set: CodeSet): CodeSet {
  const result: number[] = [];
  let from = 0;
  for (const [low, high] of ranges(set)) {
    if (low > from) result.push(from, low - 1);
    from = high + 1;
  }
  if (from <= LAST) result.push(from, LAST);
  return result;
}

export function intersection(a: CodeSet, b: CodeSet): CodeSet {
  return complement(union(complement(a), complement(b)));
}

export function intersects(a: CodeSet, b: CodeSet): boolean {
  let left = 0;
  let right = 0;
  while (left < a.length && right < b.length) {
    if ((a[left + 1] as number) < (b[right] as number)) left += 2;
    else if ((b[right + 1] as number) < (a[left] as number)) right += 2;
    else return true;
  }
  return false;
}

/** True when every code point of `inner` is in `outer`. */
export function includes(outer: CodeSet, inner: CodeSet): boolean {
  return !intersects(inner, complement(outer));
}

/** The only member of a set, or undefined. */
export function onlyMember(set: CodeSet): number | undefined {
  return set.length === 2 && set[0] === set[1] ? set[0] : undefined;
}

/** Every cased character with the characters that differ from it in case only; made at first use. */
let folding: Map<number, readonly number[]> | undefined;

function foldings(): Map<number, readonly number[]> {
  if (folding !== undefined) return folding;
  const classes = new Map<string, number[]>();
  for (let code = 0; code <= 0x1e943; code++) {
    if (code === 0xd800) code = 0xe000;
    // The dotless i has I as its capital, but does not fold to i outside of Turkish.
    if (code === 0x131) continue;
    const character = String.fromCodePoint(code);
    const upper = character.toUpperCase();
    const lower = character.toLowerCase();
    if (upper === character && lower === character) continue;
    // Folding of one character to several (ß to ss) is left out: a class cannot hold it.
    const isOne = upper.length === String.fromCodePoint(upper.codePointAt(0) as number).length;
    const key = isOne ? upper.toLowerCase() : lower;
    const members = classes.get(key);
    if (members === undefined) classes.set(key, [code]);
    else members.push(code);
  }
  folding = new Map();
  for (const members of classes.values()) {
    if (members.length < 2) continue;
    for (const code of members) folding.set(code, members);
  }
  return folding;
}

/** The set with all characters that differ from a member in case only. */
export function ignoringCase(set: CodeSet): CodeSet {
  const added: [number, number][] = [];
  for (const [code, members] of foldings()) {
    if (!has(set, code)) continue;
    for (const member of members) added.push([member, member]);
  }
  return added.length === 0 ? set : codeSet([...ranges(set), ...added]);
}

function has(set: CodeSet, code: number): boolean {
  for (let at = 0; at < set.length; at += 2) {
    if (code >= (set[at] as number) && code <= (set[at + 1] as number)) return true;
  }
  return false;
}

const properties = new Map<string, CodeSet | undefined>();

/** The code points with a Unicode property (`L`, `Script=Greek`), or undefined when there is no such property. */
export function unicodeProperty(name: string): CodeSet | undefined {
  if (properties.has(name)) return properties.get(name);
  let test: RegExp;
  try {
    test = new RegExp(`^\\p{${name}}$`, 'u');
  } catch {
    properties.set(name, undefined);
    return undefined;
  }
  const set: number[] = [];
  let inside = false;
  for (let code = 0; code <= LAST; code++) {
    if (test.test(String.fromCodePoint(code)) === inside) continue;
    if (inside) set.push(code - 1);
    else set.push(code);
    inside = !inside;
  }
  if (inside) set.push(LAST);
  properties.set(name, set);
  return set;
}
