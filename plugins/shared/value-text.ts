/** Values of records where text is wanted. */
import { valueToJson } from '../../src/plugin.ts';
import type { ReadonlyValue, Value } from '../../src/plugin.ts';

/** Text as it is, everything else as JSON; undefined for null and for what is not there. */
export function valueText(value: ReadonlyValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? undefined : valueToJson(value as Value);
}
