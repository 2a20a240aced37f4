/**
 * Which dead letters are meant by `--where`: the language of `tailrace tail`, on the record. What the letter says about the record is under
 * `dead_letter` (`dead_letter.status >= 500 and dead_letter.tag =~ "^app"`), in front of a field of that name.
 */
import type { StoredLetter } from '../delivery/dead-letters/letter.ts';
import type { LogRecord } from '../event/record.ts';
import { translateRegex } from '../parse/regex.ts';
import { compileExpression } from '../record/expression.ts';

export { ExpressionError } from '../record/expression.ts';

export type LetterFilter = (letter: StoredLetter) => boolean;

/** Compiles a condition. Throws ExpressionError. */
export function compileLetterFilter(where: string | undefined): LetterFilter {
  if (where === undefined) return () => true;
  const matches = compileExpression(where, { regex: (pattern) => translateRegex(pattern) });
  return (letter) => matches({ ...letter.record, dead_letter: about(letter) });
}

function about({ tag, output, status, reason, attempts, time }: StoredLetter): LogRecord {
  return { tag, output, reason, attempts, time, ...(status === undefined ? {} : { status }) };
}
