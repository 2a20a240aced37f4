/** How deep JSON may nest: what we parse, others must be able to walk without running out of stack. */

/** Objects and lists inside each other, the outermost included. */
export const MAX_JSON_DEPTH = 64;

/** Whether a JSON text nests deeper than {@link MAX_JSON_DEPTH}. Does not recurse; costs little where brackets are few. */
export function isTooDeep(text: string): boolean {
  if (text.length <= 2 * MAX_JSON_DEPTH || !hasManyBrackets(text)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22:
        at = stringEnd(text, at);
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > MAX_JSON_DEPTH) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
      default:
    }
  }
  return false;
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

/** The closing quote of the string that opens at `start`, or the end of the text. */
export function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at;
    if (code === 0x5c) at++;
  }
  return at;
}
