/**
 * Reads a regular expression in Ruby's syntax (Onigmo, ONIG_SYNTAX_RUBY with UTF-8, as Fluent Bit compiles them) into a tree.
 * What the tree cannot hold is refused with a sentence and its place.
 *
 * https://github.com/k-takata/Onigmo/blob/master/doc/RE
 */
import { readClass, readProperty } from './regex-class-reader.ts';
import { ANYTHING, codeSet, complement, ignoringCase, single } from './code-set.ts';
import { shorthandClass } from './code-classes.ts';
import type { CodeSet } from './code-set.ts';
import type { Anchor, RegexNode, RegexTree } from './regex-ast.ts';
import { Scanner } from './regex-scanner.ts';

export interface RegexFlags {
  ignoreCase: boolean;
  /** Ruby's `m`: the dot takes line ends too. */
  dotAll: boolean;
  /** Ruby's `x`: white space and comments between the parts are skipped. */
  extended: boolean;
}

const NOT_LINE_END = complement(single(0x0a));
/** Groups inside groups: more is no pattern but an attempt on the stack. */
const MAX_DEPTH = 250;

const ANCHORS: Readonly<Record<string, Anchor>> = {
  A: 'text-start',
  // A search begins at the start of the text here, always.
  G: 'text-start',
  Z: 'text-end-or-line-end',
  z: 'text-end',
  b: 'word-boundary',
  B: 'no-word-boundary',
};

const REFUSED_ESCAPES: Readonly<Record<string, string>> = {
  K: '"\\K" (keep) cannot be translated; capture the part that is wanted in a named group',
  X: '"\\X" (a whole grapheme) cannot be translated; use "." for one character',
  g: '"\\g<…>" (a call of a group) cannot be translated; write the group out where it is called',
  M: '"\\M-…" (a meta character) is not supported; write the character as "\\x{…}"',
};

/** Reads `pattern`, which begins at `offset` of what the user wrote. */
export function readRegex(pattern: string, flags: RegexFlags, offset: number): RegexTree {
  return new Reader(pattern, flags, offset).read();
}

class Reader {
  private readonly scanner: Scanner;
  private flags: RegexFlags;
  private readonly names: string[] = [];
  private readonly references: { name: string; at: number; node: { index: number } }[] = [];
  /** With named groups, Ruby makes plain parentheses mere groups. */
  private readonly named: boolean;
  private depth = 0;

  constructor(pattern: string, flags: RegexFlags, offset: number) {
    this.scanner = new Scanner(pattern, offset);
    this.flags = flags;
    this.named = hasNamedGroup(pattern);
  }

  read(): RegexTree {
    const root = this.choice();
    if (!this.scanner.done)
      this.fail('")" closes a group that was not opened; write "\\)" for the character');
    for (const reference of this.references) this.resolve(reference);
    return { root, names: this.names };
  }

  private fail(message: string, at = this.scanner.at): never {
    return this.scanner.fail(message, at);
  }

  private resolve({ name, at, node }: { name: string; at: number; node: { index: number } }): void {
    if (/^\d+$/.test(name)) {
      if (this.named) this.fail('a reference by number does not go with named groups; use "\\k<name>"', at);
      node.index = Number(name);
      if (node.index < 1 || node.index > this.names.length)
        this.fail(`there is no group ${name} to refer to`, at);
      return;
    }
    const index = this.names.indexOf(name);
    if (index === -1) this.fail(`there is no group named "${name}" to refer to`, at);
    if (this.names.includes(name, index + 1)) {
      this.fail(`"${name}" names several groups, a reference to it cannot be translated`, at);
    }
    node.index = index + 1;
  }

  private choice(): RegexNode {
    if (++this.depth > MAX_DEPTH) this.fail(`groups are nested more than ${MAX_DEPTH} deep`);
    const options: RegexNode[] = [];
    do options.push(this.sequence());
    while (this.scanner.take('|'));
    this.depth--;
    return options.length === 1 ? (options[0] as RegexNode) : { kind: 'choice', options };
  }

  private sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (!this.scanner.done && this.scanner.peek() !== '|' && this.scanner.peek() !== ')') {
      const start = this.scanner.at;
      const item = this.item();
      if (item === undefined) continue;
      items.push(this.quantified(item, start));
    }
    return items.length === 1 ? (items[0] as RegexNode) : { kind: 'sequence', items };
  }

  /** One part without its quantifier; undefined for what matches nothing by itself: a comment, white space. */
  private item(): RegexNode | undefined {
    const { scanner } = this;
    const start = scanner.at;
    const character = scanner.next();
    if (this.flags.extended) {
      if (/\s/.test(character)) return undefined;
      if (character === '#') {
        scanner.skipUntil('\n');
        return undefined;
      }
    }
    switch (character) {
      case '.':
        return { kind: 'set', set: this.flags.dotAll ? ANYTHING : NOT_LINE_END };
      case '^':
        return { kind: 'anchor', anchor: 'line-start' };
      case '$':
        return { kind: 'anchor', anchor: 'line-end' };
      case '[':
        return { kind: 'set', set: readClass(scanner, start, this.flags.ignoreCase) };
      case '(':
        return this.group(start);
      case '\\':
        return this.escape(start);
      case '*':
      case '+':
      case '?':
        return this.fail(
          `"${character}" has nothing to repeat; write "\\${character}" for the character`,
          start,
        );
      default:
        if (character === '{' && this.interval(start) !== undefined) {
          this.fail('the repeat count "{…}" has nothing to repeat; write "\\{" for the character', start);
        }
        return this.literal(character);
    }
  }

  private literal(character: string): RegexNode {
    return this.characters(single(character.codePointAt(0) ?? 0));
  }

  private characters(set: CodeSet): RegexNode {
    return { kind: 'set', set: this.flags.ignoreCase ? ignoringCase(set) : set };
  }

  // ------------------------------------------------------------ quantifiers

  private quantified(item: RegexNode, start: number): RegexNode {
    const { scanner } = this;
    let node = item;
    for (;;) {
      if (this.flags.extended) this.skipSpace();
      const at = scanner.at;
      const range = this.range();
      if (range === undefined) return node;
      if (node.kind === 'anchor') this.fail('a place ("^", "$", "\\b" …) cannot be repeated', start);
      const { min, max, braces } = range;
      if (max < min) this.fail(`the repeat count asks for at least ${min} and at most ${max}`, at);
      let mode: 'greedy' | 'lazy' | 'possessive' = 'greedy';
      // After braces, "+" is a second repeat in Ruby, and "?" after {n} makes it optional.
      if (braces && min === max && scanner.peek() === '?') mode = 'greedy';
      else if (scanner.take('?')) mode = 'lazy';
      else if (!braces && scanner.take('+')) mode = 'possessive';
      node = { kind: 'repeat', node, min, max, mode };
    }
  }

  private range(): { min: number; max: number; braces: boolean } | undefined {
    const { scanner } = this;
    if (scanner.take('*')) return { min: 0, max: Infinity, braces: false };
    if (scanner.take('+')) return { min: 1, max: Infinity, braces: false };
    if (scanner.take('?')) return { min: 0, max: 1, braces: false };
    const interval = this.interval(scanner.at);
    if (interval === undefined) return undefined;
    scanner.at += interval.length;
    return { ...interval, braces: true };
  }

  /** `{2}`, `{2,}`, `{,2}`, `{2,3}` at a place; anything else is a literal brace. */
  private interval(at: number): { min: number; max: number; length: number } | undefined {
    const found = this.scanner.match(/\{(?:(\d+)(,(\d*))?|,(\d+))\}/y, at);
    if (found === null) return undefined;
    const [text, low, comma, high, only] = found;
    const min = low === undefined ? 0 : Number(low);
    let max = only === undefined ? min : Number(only);
    if (comma !== undefined) max = high === '' ? Infinity : Number(high);
    if (min > 100_000 || (max > 100_000 && max !== Infinity))
      this.fail('the repeat count is above 100000', at);
    return { min, max, length: text.length };
  }

  private skipSpace(): void {
    const { scanner } = this;
    for (;;) {
      const space = scanner.match(/\s+|#[^\n]*/y, scanner.at);
      if (space === null) return;
      scanner.at += space[0].length;
    }
  }

  // ------------------------------------------------------------ groups

  private group(start: number): RegexNode | undefined {
    const { scanner } = this;
    if (!scanner.take('?')) {
      if (this.named) return this.inside(start);
      return this.capture('', start);
    }
    if (scanner.take('#')) {
      if (!scanner.skipUntil(')')) this.fail('the comment "(?#" is not closed by ")"', start);
      return undefined;
    }
    if (scanner.take(':')) return this.inside(start);
    if (scanner.take('>')) return { kind: 'atomic', node: this.inside(start) };
    const look = scanner.match(/<?[=!]/y, scanner.at);
    if (look !== null) {
      scanner.at += look[0].length;
      const node = this.inside(start);
      return { kind: 'look', node, behind: look[0].length === 2, negative: look[0].endsWith('!') };
    }
    const named = scanner.match(/<([^>]*)>|'([^']*)'/y, scanner.at);
    if (named !== null) {
      const name = named[1] ?? named[2] ?? '';
      if (!/^[\p{L}\p{M}_][\p{L}\p{M}\p{N}_]*$/u.test(name)) {
        this.fail(
          `"${name}" is no name for a group: letters, digits and "_" are, not beginning with a digit`,
          start,
        );
      }
      scanner.at += named[0].length;
      return this.capture(name, start);
    }
    if (scanner.peek() === '~') this.fail('"(?~…)" (anything without …) cannot be translated', start);
    if (scanner.peek() === '(') this.fail('"(?(…)…|…)" (a condition) cannot be translated; use "|"', start);
    return this.options(start);
  }

  private capture(name: string, start: number): RegexNode {
    this.names.push(name);
    const index = this.names.length;
    return { kind: 'capture', index, node: this.inside(start) };
  }

  /** The content of a group up to its parenthesis; flags set inside end there. */
  private inside(start: number): RegexNode {
    const outer = this.flags;
    const node = this.choice();
    if (!this.scanner.take(')')) this.fail('this group is not closed by ")"', start);
    this.flags = outer;
    return node;
  }

  /** `(?i)`, which holds to the end of the enclosing group, alternatives included, and `(?i:…)`. */
  private options(start: number): RegexNode {
    const { scanner } = this;
    const found = scanner.match(/([imx]*)(?:-([imx]*))?([:)])/y, scanner.at);
    if (found === null) this.fail('this kind of group "(?…" is not known', start);
    const [text, on = '', off = '', end] = found;
    scanner.at += text.length;
    const outer = this.flags;
    const flags = { ...outer };
    for (const [letters, value] of [[on, true] as const, [off, false] as const]) {
      if (letters.includes('i')) flags.ignoreCase = value;
      if (letters.includes('m')) flags.dotAll = value;
      if (letters.includes('x')) flags.extended = value;
    }
    this.flags = flags;
    if (end === ')') return this.choice();
    const node = this.choice();
    if (!scanner.take(')')) this.fail('this group is not closed by ")"', start);
    this.flags = outer;
    return node;
  }

  // ------------------------------------------------------------ escapes

  private escape(start: number): RegexNode {
    const { scanner } = this;
    if (scanner.done)
      this.fail('the expression ends in a single "\\"; write "\\\\" for the character', start);
    const letter = scanner.peek();
    const refused = REFUSED_ESCAPES[letter];
    if (refused !== undefined && Object.hasOwn(REFUSED_ESCAPES, letter)) this.fail(refused, start);
    if (Object.hasOwn(ANCHORS, letter)) {
      scanner.next();
      return { kind: 'anchor', anchor: ANCHORS[letter] as Anchor };
    }
    if (letter === 'R') {
      scanner.next();
      return LINE_BREAK;
    }
    if (letter === 'k') return this.namedReference(start);
    if (/[1-9]/.test(letter)) {
      const digits = scanner.match(/\d+/y, scanner.at)?.[0] ?? '';
      // Ruby takes two digits or more for an octal escape where there are not so many groups.
      if (digits.length === 1 || Number(digits) <= this.names.length) {
        scanner.at += digits.length;
        return this.reference(digits, start);
      }
    }
    const set = shorthandClass(letter);
    if (set !== undefined) {
      scanner.next();
      return { kind: 'set', set };
    }
    if (letter === 'p' || letter === 'P') return this.characters(readProperty(scanner, start));
    return this.characters(single(scanner.escapedCharacter(start)));
  }

  private namedReference(start: number): RegexNode {
    const { scanner } = this;
    const found = scanner.match(/k(?:<([^>]*)>|'([^']*)')/y, scanner.at);
    if (found === null) this.fail('"\\k" needs the name of a group: "\\k<name>"', start);
    const name = found[1] ?? found[2] ?? '';
    if (name.startsWith('-') || /.[+-]\d+$/.test(name)) {
      this.fail(
        'a reference relative to its place or with a level cannot be translated; use the name alone',
        start,
      );
    }
    scanner.at += found[0].length;
    return this.reference(name, start);
  }

  private reference(name: string, at: number): RegexNode {
    if (this.flags.ignoreCase) this.fail('a reference to a group cannot ignore case', at);
    const node = { kind: 'reference' as const, index: 0 };
    this.references.push({ name, at, node });
    return node;
  }
}

const LINE_BREAK: RegexNode = {
  kind: 'choice',
  options: [
    {
      kind: 'sequence',
      items: [
        { kind: 'set', set: single(0x0d) },
        { kind: 'set', set: single(0x0a) },
      ],
    },
    {
      kind: 'set',
      set: codeSet([
        [0x0a, 0x0d],
        [0x85, 0x85],
        [0x2028, 0x2029],
      ]),
    },
  ],
};

/** Whether an unescaped `(?<name>` stands in a pattern, outside of classes. */
function hasNamedGroup(pattern: string): boolean {
  const bare = pattern.replaceAll(/\\[^]|\[\^?\]?(?:\\[^]|\[:[^\]]*:\]|[^\]\\])*\]/g, '');
  return /\(\?(?:<[^=!]|')/.test(bare);
}
