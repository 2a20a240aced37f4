/**
 * Regular expressions as Fluent Bit takes them (Ruby's syntax by Onigmo) made into V8's: read into a tree, written anew. What has
 * no equivalent is refused with a sentence and its place, because an expression that compiles and silently matches nothing is the
 * worst outcome.
 *
 * Known to differ: `\b` knows ASCII words only; `$` in a text of several lines also stands before \r; a group inside a repeat
 * holds what the last round matched, nothing if that round did not come by it.
 */
import { RegexSyntaxError } from './regex-ast.ts';
import { canExplode } from './regex-danger.ts';
import { readRegex } from './regex-reader.ts';
import { writeRegex } from './regex-writer.ts';
import type { RegexFlags } from './regex-reader.ts';

export { RegexSyntaxError } from './regex-ast.ts';

/**
 * Longest text, in UTF-16 units, that an expression which is not {@link TranslatedRegex.linearSafe} may be run on: with such a one,
 * nothing stops a runaway match.
 */
export const UNSAFE_TEXT_LIMIT = 8192;

/** An expression ready to run. */
export class TranslatedRegex {
  /** For any text. Has no flags and no named groups. */
  readonly regex: RegExp;
  /** Names of the captures in order; empty text for one without a name. With named groups, plain parentheses do not capture. */
  readonly groups: readonly string[];
  /** Per entry of `groups`: its number in a match. */
  readonly numbers: readonly number[];
  /**
   * False when V8's linear engine cannot take over from a runaway match (look-ahead, references, atomic groups, large repeat
   * counts): run it on texts up to {@link UNSAFE_TEXT_LIMIT} only.
   */
  readonly linearSafe: boolean;
  /** For a text of one line; undefined when it is the same. */
  private readonly line: RegExp | undefined;
  /** A match of `line` may differ from that of `regex` where the text has several lines: look for them first. */
  private readonly sensitive: boolean;

  constructor(parts: {
    source: string;
    lineSource: string;
    groups: readonly string[];
    numbers: readonly number[];
    linearSafe: boolean;
    sensitive: boolean;
  }) {
    this.regex = compile(parts.source);
    this.line = parts.lineSource === parts.source ? undefined : compile(parts.lineSource);
    this.sensitive = parts.sensitive;
    this.groups = parts.groups;
    this.numbers = parts.numbers;
    this.linearSafe = parts.linearSafe;
  }

  /** The match, with captures by number ({@link numbers}), or null. */
  exec(text: string): RegExpExecArray | null {
    const { line } = this;
    if (line === undefined) return this.regex.exec(text);
    if (this.sensitive) return (text.includes('\n') ? this.regex : line).exec(text);
    return line.exec(text) ?? (text.includes('\n') ? this.regex.exec(text) : null);
  }

  test(text: string): boolean {
    const { line } = this;
    if (line === undefined) return this.regex.test(text);
    return (text.includes('\n') ? this.regex : line).test(text);
  }
}

/** V8 compiles at the first match, once per width of the text: only then it says that an expression is too large. */
function compile(source: string): RegExp {
  const regex = new RegExp(source);
  regex.test('');
  regex.test('\u0100');
  return regex;
}

/**
 * Translates an expression, bare or between slashes with the flags i, m, x and o behind (`/…/im`).
 *
 * @throws RegexSyntaxError when it is wrong or cannot be translated.
 */
export function translateRegex(pattern: string): TranslatedRegex {
  const { body, flags, offset } = unwrap(pattern);
  const tree = readRegex(body, flags, offset);
  const written = writeRegex(tree);
  if (!written.linearSafe && canExplode(tree.root)) {
    throw new RegexSyntaxError(
      'One hostile line could hold up the agent for ever: the expression repeats a repeat, and the linear engine cannot run it. Write it without look-ahead, back-references and large repeat counts, or without the repeat inside of a repeat',
      0,
    );
  }
  try {
    return new TranslatedRegex({ ...written, groups: tree.names });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RegexSyntaxError(
      `The expression is too large for the regular expression engine: ${error.message}.`,
      0,
    );
  }
}

/** Takes the slashes off. A path like `/var/log` is no expression between slashes: its end is no flag. */
function unwrap(pattern: string): { body: string; flags: RegexFlags; offset: number } {
  const found = /^\/([^]*)\/([imxo]*)$/.exec(pattern);
  const letters = found?.[2] ?? '';
  return {
    body: found?.[1] ?? pattern,
    flags: {
      ignoreCase: letters.includes('i'),
      dotAll: letters.includes('m'),
      extended: letters.includes('x'),
    },
    offset: found === null ? 0 : 1,
  };
}
