/** Reads a bracketed character class of Ruby's syntax, with nesting, intersection and POSIX brackets, into a set. */
import { complement, ignoringCase, intersection, NOTHING, single, union } from './code-set.ts';
import { posixClass, propertyClass, shorthandClass } from './code-classes.ts';
import type { CodeSet } from './code-set.ts';
import type { Scanner } from './regex-scanner.ts';

const MAX_DEPTH = 50;

/**
 * Reads a class with the scanner behind its `[`, which stands at `start`. Case is folded here and not by the caller, because a
 * negation must come after it.
 */
export function readClass(scanner: Scanner, start: number, ignoreCase: boolean, depth = 0): CodeSet {
  if (depth > MAX_DEPTH) scanner.fail(`classes are nested more than ${MAX_DEPTH} deep`, start);
  const negative = scanner.take('^');
  let left: CodeSet | undefined;
  let set: CodeSet = NOTHING;
  // A bracket that comes first is a character, as in "[]a]".
  let first = true;
  for (;;) {
    if (scanner.done) scanner.fail('this class is not closed by "]"', start);
    if (!first && scanner.take(']')) break;
    if (scanner.take('&&')) {
      left = left === undefined ? set : intersection(left, set);
      set = NOTHING;
      first = false;
      continue;
    }
    set = union(set, member(scanner, start, ignoreCase, depth));
    first = false;
  }
  if (left !== undefined) set = intersection(left, set);
  if (ignoreCase) set = ignoringCase(set);
  return negative ? complement(set) : set;
}

/** One member: a character, a range, or a class inside. */
function member(scanner: Scanner, start: number, ignoreCase: boolean, depth: number): CodeSet {
  const at = scanner.at;
  const low = element(scanner, start, ignoreCase, depth);
  if (typeof low !== 'number') return low;
  // A hyphen before the end of the class is a character.
  if (scanner.match(/-(?!\]|&&)/y, scanner.at) === null) return single(low);
  scanner.at += 1;
  const highAt = scanner.at;
  const high = element(scanner, start, ignoreCase, depth);
  if (typeof high !== 'number') {
    return scanner.fail(
      'a range goes from one character to another; write "\\-" for the hyphen itself',
      highAt,
    );
  }
  if (high < low) scanner.fail('this range goes backwards', at);
  return [low, high];
}

/** A code point, or the set of what stands for several. */
function element(scanner: Scanner, start: number, ignoreCase: boolean, depth: number): number | CodeSet {
  const at = scanner.at;
  const posix = scanner.match(/\[:(\^?)([a-z]*):\]/y, at);
  if (posix !== null) {
    const set = posixClass(posix[2] ?? '');
    if (set === undefined) return scanner.fail(`"[:${posix[2]}:]" is no POSIX class`, at);
    scanner.at += posix[0].length;
    return posix[1] === '^' ? complement(set) : set;
  }
  const character = scanner.next();
  if (character === '[') return readClass(scanner, at, ignoreCase, depth + 1);
  if (character !== '\\') return character.codePointAt(0) ?? 0;
  if (scanner.done) return scanner.fail('this class is not closed by "]"', start);
  const letter = scanner.peek();
  const set = shorthandClass(letter);
  if (set !== undefined) {
    scanner.at += 1;
    return set;
  }
  if (letter === 'b') {
    scanner.at += 1;
    return 0x08;
  }
  if (letter === 'p' || letter === 'P') return readProperty(scanner, at);
  if (letter === 'R' || letter === 'X') return scanner.fail(`"\\${letter}" cannot stand in a class`, at);
  return scanner.escapedCharacter(at);
}

/** `\p{…}`, `\p{^…}`, `\P{…}`, with the scanner before the letter. */
export function readProperty(scanner: Scanner, start: number): CodeSet {
  const found = scanner.match(/([pP])\{(\^?)([^}]*)\}/y, scanner.at);
  if (found === null) return scanner.fail('"\\p" needs the name of a property: "\\p{Alpha}"', start);
  const [text, letter, caret, name = ''] = found;
  const set = propertyClass(name);
  if (set === undefined) return scanner.fail(`"${name}" is no character property`, start);
  scanner.at += text.length;
  return (letter === 'P') === (caret === '^') ? set : complement(set);
}
