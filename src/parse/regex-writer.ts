/**
 * Writes the tree of a regular expression in V8's syntax, without any flag.
 *
 * Flags are avoided on purpose: V8's linear engine, which takes over from a runaway match, knows neither `i`, `u` nor `v`. So case
 * folding is spelled out in the sets, and characters beyond U+FFFF as the surrogate pairs that they are in a string. A set that
 * holds all of those, like the dot, is written as a plain class where it is repeated without bound and what follows cannot begin
 * inside a pair (`[^ ]* `); elsewhere as `(?:[^…\uD800-\uDFFF]|[\uD800-\uDBFF][\uDC00-\uDFFF])`, so that a pair counts as one
 * character and is never torn.
 */
import {
  ASTRAL,
  complement,
  includes,
  intersection,
  intersects,
  NOTHING,
  onlyMember,
  PAIRED,
  ranges,
  single,
  SURROGATES,
  union,
  ANYTHING,
} from './code-set.ts';
import type { CodeSet } from './code-set.ts';
import type { Anchor, RegexNode, RegexTree } from './regex-ast.ts';

export interface WrittenRegex {
  /** For a text that may hold line ends. */
  source: string;
  /** For a text without \n, where lines begin and end with the text: faster, and exact where JavaScript knows more line ends. */
  lineSource: string;
  /** Per capture of the tree: the number of the capture in the source. */
  numbers: readonly number[];
  /** The linear engine can run it. */
  linearSafe: boolean;
  /** In a text of several lines, a match of `lineSource` may differ from that of `source`. */
  sensitive: boolean;
}

/** The linear engine unrolls counted repeats up to this many copies, nested ones multiplied. */
const LINEAR_COPIES = 16;
/** Longest source that a counted repeat is unrolled to. */
const UNROLLED_LENGTH = 4000;

/** What can come behind a part: characters that it may begin with, and whether the expression may end there. */
interface Follow {
  set: CodeSet;
  end: boolean;
}

export function writeRegex(tree: RegexTree): WrittenRegex {
  const whole = new Writer(false);
  const line = new Writer(true);
  const source = whole.write(tree.root);
  const lineSource = line.write(tree.root);
  return {
    source,
    lineSource,
    numbers: tree.names.map((_, at) => whole.numbers.get(at + 1) ?? 0),
    linearSafe: whole.linearSafe && line.linearSafe,
    sensitive: isSensitive(tree.root),
  };
}

/**
 * Not sensitive is an expression with `^` at most as its first part and `$` as its last, where the way to the end is the same
 * whichever `$` is reached: nothing is lazy, no alternative comes first.
 */
function isSensitive(root: RegexNode): boolean {
  const items = root.kind === 'sequence' ? [...root.items] : [root];
  if (isAnchor(items[0], 'line-start')) items.shift();
  if (!isAnchor(items.at(-1), 'line-end')) return items.some(holdsLineAnchor);
  items.pop();
  return items.some((item) => holdsLineAnchor(item) || holdsPreference(item));
}

function isAnchor(node: RegexNode | undefined, anchor: Anchor): boolean {
  return node?.kind === 'anchor' && node.anchor === anchor;
}

function holdsLineAnchor(node: RegexNode): boolean {
  return some(node, (part) => part.kind === 'anchor' && !part.anchor.endsWith('word-boundary'));
}

function holdsPreference(node: RegexNode): boolean {
  return some(node, (part) => {
    if (part.kind === 'choice') return asSet(part) === undefined;
    return part.kind === 'repeat' && part.mode !== 'greedy';
  });
}

/** Whether a part, or one inside it, passes a test. */
function some(node: RegexNode, test: (part: RegexNode) => boolean): boolean {
  if (test(node)) return true;
  switch (node.kind) {
    case 'sequence':
      return node.items.some((item) => some(item, test));
    case 'choice':
      return node.options.some((option) => some(option, test));
    case 'repeat':
    case 'capture':
    case 'atomic':
    case 'look':
      return some(node.node, test);
    case 'set':
    case 'anchor':
    case 'reference':
      break;
  }
  return false;
}

const LINE_ANCHORS: Readonly<Record<Anchor, string>> = {
  'line-start': '^',
  'line-end': '$',
  'text-start': '^',
  'text-end': '$',
  'text-end-or-line-end': '$',
  'word-boundary': '\\b',
  'no-word-boundary': '\\B',
};

const TEXT_ANCHORS: Readonly<Record<Anchor, string>> = {
  'line-start': '(?m:^)',
  'line-end': '(?m:$)',
  'text-start': '^',
  'text-end': '$',
  'text-end-or-line-end': '(?=\\n?$)',
  'word-boundary': '\\b',
  'no-word-boundary': '\\B',
};

class Writer {
  /** Number in the source by capture of the tree. */
  readonly numbers = new Map<number, number>();
  linearSafe = true;
  private readonly oneLine: boolean;
  private captures = 0;
  /** Copies that the repeats around make of a part. */
  private copies = 1;

  constructor(oneLine: boolean) {
    this.oneLine = oneLine;
  }

  write(root: RegexNode): string {
    const source = this.node(root, { set: NOTHING, end: true });
    // References may point forward: their numbers are known only now.
    return source.replaceAll(/\0(\d+)\0/g, (_, index: string) => String(this.numbers.get(Number(index))));
  }

  private node(node: RegexNode, follow: Follow): string {
    switch (node.kind) {
      case 'set':
        return writeSet(node.set);
      case 'sequence':
        return this.sequence(node.items, follow);
      case 'choice':
        return this.choice(node.options, follow);
      case 'repeat':
        return this.repeat(node, follow);
      case 'capture': {
        this.numbers.set(node.index, ++this.captures);
        return `(${this.node(node.node, follow)})`;
      }
      case 'atomic':
        return this.atomic(node.node);
      case 'look': {
        if (!node.behind) this.linearSafe = false;
        const inside = this.node(node.node, { set: ANYTHING, end: true });
        return `(?${node.behind ? '<' : ''}${node.negative ? '!' : '='}${inside})`;
      }
      case 'anchor': {
        const anchors = this.oneLine ? LINE_ANCHORS : TEXT_ANCHORS;
        if (anchors[node.anchor].startsWith('(?=')) this.linearSafe = false;
        return anchors[node.anchor];
      }
      case 'reference':
        break;
    }
    this.linearSafe = false;
    return `(?:\\\0${node.index}\0)`;
  }

  private sequence(items: readonly RegexNode[], follow: Follow): string {
    const behind: Follow[] = [];
    let next = follow;
    for (let at = items.length - 1; at >= 0; at--) {
      behind[at] = next;
      next = before(items[at] as RegexNode, next);
    }
    return items
      .map((item, at) => {
        const source = this.node(item, behind[at] as Follow);
        return item.kind === 'choice' && asSet(item) === undefined ? `(?:${source})` : source;
      })
      .join('');
  }

  private choice(options: readonly RegexNode[], follow: Follow): string {
    const set = asSet({ kind: 'choice', options });
    if (set !== undefined) return writeSet(set);
    return options.map((option) => this.node(option, follow)).join('|');
  }

  /** A group that gives nothing back: looked at ahead, captured, and matched as what it was. */
  private atomic(node: RegexNode): string {
    this.linearSafe = false;
    const number = ++this.captures;
    return `(?=(${this.node(node, { set: ANYTHING, end: true })}))(?:\\${number})`;
  }

  private repeat(node: RegexNode & { kind: 'repeat' }, follow: Follow): string {
    const { min, max } = node;
    let { mode } = node;
    const set = asSet(node.node);
    if (mode === 'possessive') {
      // Giving characters back is no use when what follows cannot match one of them.
      if (set === undefined || intersects(set, follow.set)) {
        return this.atomic({ ...node, mode: 'greedy' });
      }
      mode = 'greedy';
    }
    const lazy = mode === 'lazy' ? '?' : '';
    if (set !== undefined && includes(set, ASTRAL) && max === Infinity && min <= 1) {
      const torn = intersects(follow.set, PAIRED) || (mode === 'lazy' && min > 0 && follow.end);
      if (!torn) return `${writeClass(set)}${quantifier(min, max)}${lazy}`;
    }
    return this.counted(node.node, min, max, lazy, this.around(node, follow));
  }

  /** What can follow one round of a repeat: another round, or what follows all. */
  private around(node: RegexNode & { kind: 'repeat' }, follow: Follow): Follow {
    return node.max > 1 ? before(node.node, follow, true) : follow;
  }

  private counted(node: RegexNode, min: number, max: number, lazy: string, follow: Follow): string {
    const count = max === Infinity ? Math.max(min, 1) : max;
    const outer = this.copies;
    const exact = min > LINEAR_COPIES && (max === min || max === Infinity) && !holdsCapture(node);
    this.copies = outer * (exact ? Math.min(count, LINEAR_COPIES) : Math.max(count, 1));
    const source = atom(node, this.node(node, follow));
    if (exact && source.length * (min / LINEAR_COPIES + 1) <= UNROLLED_LENGTH) {
      if (this.copies > LINEAR_COPIES) this.linearSafe = false;
      this.copies = outer;
      const blocks = Math.floor((min - 1) / LINEAR_COPIES);
      const rest = min - blocks * LINEAR_COPIES;
      const last = quantifier(rest, max === Infinity ? Infinity : rest);
      return `${`${source}{${LINEAR_COPIES}}`.repeat(blocks)}${source}${last}${lazy}`;
    }
    if (outer * Math.max(count, 1) > LINEAR_COPIES) this.linearSafe = false;
    this.copies = outer;
    return `${source}${quantifier(min, max)}${lazy}`;
  }
}

/** What can stand where a part begins, given what follows it; `again` when the part may come once more. */
function before(node: RegexNode, follow: Follow, again = false): Follow {
  const first = firstOf(node);
  if (!first.nullable && !again) return { set: first.set, end: false };
  return { set: union(first.set, follow.set), end: follow.end };
}

function firstOf(node: RegexNode): { set: CodeSet; nullable: boolean } {
  switch (node.kind) {
    case 'set':
      return { set: node.set, nullable: false };
    case 'sequence': {
      let set: CodeSet = NOTHING;
      for (const item of node.items) {
        const first = firstOf(item);
        set = union(set, first.set);
        if (!first.nullable) return { set, nullable: false };
      }
      return { set, nullable: true };
    }
    case 'choice': {
      const options = node.options.map(firstOf);
      return {
        set: union(...options.map((option) => option.set)),
        nullable: options.some((option) => option.nullable),
      };
    }
    case 'repeat': {
      const first = firstOf(node.node);
      return { set: first.set, nullable: first.nullable || node.min === 0 };
    }
    case 'capture':
    case 'atomic':
      return firstOf(node.node);
    case 'look':
      return { set: NOTHING, nullable: true };
    case 'anchor':
      if (node.anchor === 'line-end' || node.anchor === 'text-end-or-line-end') {
        return { set: single(0x0a), nullable: false };
      }
      return { set: NOTHING, nullable: node.anchor !== 'text-end' };
    case 'reference':
      break;
  }
  return { set: ANYTHING, nullable: true };
}

/** The set of a part that takes exactly one character: a set, or a choice of such. */
function asSet(node: RegexNode): CodeSet | undefined {
  if (node.kind === 'set') return node.set;
  if (node.kind !== 'choice') return undefined;
  const sets = node.options.map(asSet);
  return sets.every((set) => set !== undefined) ? union(...sets) : undefined;
}

/** Whether writing a part makes a capture; an emulated atomic group does. */
function holdsCapture(node: RegexNode): boolean {
  return some(
    node,
    (part) =>
      part.kind === 'capture' ||
      part.kind === 'atomic' ||
      (part.kind === 'repeat' && part.mode === 'possessive'),
  );
}

/** A source that a quantifier can stand behind. */
function atom(node: RegexNode, source: string): string {
  if (node.kind === 'capture' || node.kind === 'reference') return source;
  const set = asSet(node);
  // A set is written as one unit, class or group; only a single character beyond U+FFFF is two units.
  if (set !== undefined && (onlyMember(set) ?? 0) <= 0xffff) return source;
  return `(?:${source})`;
}

function quantifier(min: number, max: number): string {
  if (max === Infinity) {
    if (min === 0) return '*';
    return min === 1 ? '+' : `{${min},}`;
  }
  if (min === 0 && max === 1) return '?';
  if (min === max) return min === 1 ? '' : `{${min}}`;
  return `{${min},${max}}`;
}

/** A set as an expression for exactly one character. */
function writeSet(set: CodeSet): string {
  const only = onlyMember(set);
  if (only !== undefined) return writeCode(only);
  const astral = intersection(set, ASTRAL);
  if (astral.length === 0) return writeClass(set);
  if (includes(set, ASTRAL)) {
    const plain = intersection(set, complement(union(SURROGATES, ASTRAL)));
    const pair = '[\\uD800-\\uDBFF][\\uDC00-\\uDFFF]';
    return plain.length === 0 ? `(?:${pair})` : `(?:${writeClass(plain)}|${pair})`;
  }
  const plain = intersection(set, complement(ASTRAL));
  const parts = pairs(astral);
  if (plain.length > 0) parts.unshift(writeClass(plain));
  return `(?:${parts.join('|')})`;
}

/** Astral ranges as pairs of classes: first half, second half. */
function pairs(astral: CodeSet): string[] {
  /** First halves by the class of their second halves. */
  const heads = new Map<string, [number, number][]>();
  const add = (low: number, high: number, from: number, to: number): void => {
    const key = writeClass([from, to]);
    const list = heads.get(key);
    if (list === undefined) heads.set(key, [[low, high]]);
    else list.push([low, high]);
  };
  for (const [low, high] of ranges(astral)) {
    let from = low;
    while (from <= high) {
      const head = headOf(from);
      const tail = tailOf(from);
      if (tail === 0xdc00 && headOf(high + 1) > head) {
        const lastHead = headOf(high + 1) - 1;
        add(head, lastHead, 0xdc00, 0xdfff);
        from = codeOf(lastHead, 0xdfff) + 1;
      } else {
        const to = Math.min(high, codeOf(head, 0xdfff));
        add(head, head, tail, tailOf(to));
        from = to + 1;
      }
    }
  }
  return [...heads].map(([tails, list]) => `${writeClass(list.flat())}${tails}`);
}

function headOf(code: number): number {
  return 0xd800 + ((code - 0x10000) >> 10);
}

function tailOf(code: number): number {
  return 0xdc00 + ((code - 0x10000) & 0x3ff);
}

function codeOf(head: number, tail: number): number {
  return 0x10000 + ((head - 0xd800) << 10) + (tail - 0xdc00);
}

/** A set as a class over UTF-16 units; what lies beyond U+FFFF is left out, its halves stay if the set holds them. */
function writeClass(set: CodeSet): string {
  const last = set.at(-1) ?? -1;
  const negative = last >= 0xffff;
  const written = (negative ? ranges(complement(set)) : ranges(set)).filter(([low]) => low <= 0xffff);
  const parts = written.map(([low, high]) => {
    const end = Math.min(high, 0xffff);
    if (low === end) return writeCode(low);
    return `${writeCode(low)}${end === low + 1 ? '' : '-'}${writeCode(end)}`;
  });
  if (!negative && written.length === 1 && written[0]?.[0] === written[0]?.[1]) return parts.join('');
  return `[${negative ? '^' : ''}${parts.join('')}]`;
}

/** A code point as a literal, inside and outside of classes. */
function writeCode(code: number): string {
  if (code > 0xffff) return writeCode(headOf(code)) + writeCode(tailOf(code));
  const character = String.fromCharCode(code);
  if (/[A-Za-z0-9_ ]/.test(character)) return character;
  if (code > 0x20 && code < 0x7f) return `\\${character}`;
  return `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
