/** The check of options that are record accessors. */
import { AccessorSyntaxError, compileAccessor } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';

/** The problem of an accessor under `key`, if there is one; none where the option is not set. */
export function accessorProblems(key: string, accessor: string | undefined): OptionProblem[] {
  if (accessor === undefined) return [];
  try {
    compileAccessor(accessor);
    return [];
  } catch (error) {
    if (error instanceof AccessorSyntaxError) return [{ key, message: `cannot be read: ${error.message}` }];
    throw error;
  }
}
