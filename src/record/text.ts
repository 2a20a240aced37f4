/** How a value reads as text, where a template or a condition needs one. */
import { valueToJson } from '../event/json.ts';
import type { ReadonlyValue, Value } from '../event/record.ts';

/** Strings as they are, everything else as its JSON: `404.5`, `true`, `null`, `{"a":1}`. */
export function textOf(value: ReadonlyValue): string {
  return typeof value === 'string' ? value : valueToJson(value as Value);
}
