/** How deep JSON may nest: what we parse, others must be able to walk without running out of stack. */
import { nestsDeeper } from '../event/json-nesting.ts';

/** Objects and lists inside each other, the outermost included. */
export const MAX_JSON_DEPTH = 64;

/** Whether a JSON text nests deeper than {@link MAX_JSON_DEPTH}. Does not recurse; costs little where brackets are few. */
export function isTooDeep(text: string): boolean {
  if (text.length <= 2 * MAX_JSON_DEPTH || !hasManyBrackets(text)) return false;
  return nestsDeeper(text, MAX_JSON_DEPTH);
}

/** Whether there are opening brackets enough to be too deep, inside strings or not. */
function hasManyBrackets(text: string): boolean {
  let count = 0;
  for (let at = text.indexOf('{'); at !== -1; at = text.indexOf('{', at + 1)) {
    if (++count > MAX_JSON_DEPTH) return true;
  }
  for (let at = text.indexOf('['); at !== -1; at = text.indexOf('[', at + 1)) {
    if (++count > MAX_JSON_DEPTH) return true;
  }
  return false;
}
