/** `--where` of the dlq commands. */
import { compileLetterFilter, ExpressionError } from '../../pipeline/letter-filter.ts';
import type { LetterFilter } from '../../pipeline/letter-filter.ts';
import { EXIT, UserError } from '../exit.ts';

/** Throws UserError that points at the mistake. */
export function readWhere(text: string | undefined): LetterFilter {
  try {
    return compileLetterFilter(text);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new UserError(
      `--where: ${error.message}\n  ${text ?? ''}\n  ${' '.repeat(error.column - 1)}^`,
      EXIT.usage,
    );
  }
}
