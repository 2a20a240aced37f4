/** Regular expressions in the rules of filters: compiled from Ruby's syntax, bounded where they could run away. */
import { RegexSyntaxError, translateRegex, UNSAFE_TEXT_LIMIT } from '../../src/plugin.ts';

/** Says what to write instead of a pattern that could run away; for a plugin's `check`. */
export const UNBOUNDED_WARNING = `Look-ahead, back-references and large repeat counts can take very long: this expression sees only the first ${UNSAFE_TEXT_LIMIT} characters of a text. Write it without them if you can.`;

export interface Pattern {
  test(text: string): boolean;
  /** False when it looks at the beginning of long texts only: see {@link UNBOUNDED_WARNING}. */
  readonly bounded: boolean;
}

/** Thrown for a pattern that does not compile; the message is a sentence. */
export class PatternError extends Error {
  override name = 'PatternError';
}

/** Compiles a pattern in Ruby's syntax, plain or as `/…/flags`. Throws {@link PatternError}. */
export function compilePattern(text: string): Pattern {
  try {
    const regex = translateRegex(text);
    if (regex.linearSafe) return { bounded: true, test: (value) => regex.test(value) };
    // Nothing stops a runaway match of such an expression but the length of the text.
    return {
      bounded: false,
      test: (value) =>
        regex.test(value.length > UNSAFE_TEXT_LIMIT ? value.slice(0, UNSAFE_TEXT_LIMIT) : value),
    };
  } catch (error) {
    if (!(error instanceof RegexSyntaxError)) throw error;
    throw new PatternError(
      `The regular expression "${text}" is wrong at character ${error.offset + 1}: ${error.message}`,
    );
  }
}
