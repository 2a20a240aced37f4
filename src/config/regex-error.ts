/** Says what is wrong with a regular expression, and where, as far as the compiler knows. */
import type { Place } from './source-text.ts';
import type { ScalarNode } from './tree.ts';

export function describeRegexError(error: unknown): string {
  if (!(error instanceof Error)) return `the regular expression is wrong: ${String(error)}`;
  const offset = offsetOf(error);
  const where = offset === undefined ? '' : ` at character ${offset + 1}`;
  return `the regular expression is wrong${where}: ${error.message.replace(/\.$/, '')}`;
}

/** The place of the mistake: exact where the text stands in the file as it is, else where it begins. */
export function placeOfRegexError(error: unknown, { place, text }: ScalarNode): Place {
  const { source, offset } = place;
  const start = /['"]/.test(source.text[offset] ?? '') ? offset + 1 : offset;
  const inText = offsetOf(error);
  return inText !== undefined && source.text.startsWith(text, start)
    ? { source, offset: start + inText }
    : place;
}

function offsetOf(error: unknown): number | undefined {
  return error instanceof Error && 'offset' in error && typeof error.offset === 'number'
    ? error.offset
    : undefined;
}
