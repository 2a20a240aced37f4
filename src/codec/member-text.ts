/** The text of a top-level member of a JSON object, exactly as it stands: parsing and writing it anew would change numbers and spacing. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x5b, 0x7b]);
const CLOSE = new Set([0x5d, 0x7d]);
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * The text of the value under `key`; undefined when it is not there, or not on one line. `object` must be valid JSON. Of several members with the key
 * it is the last one's, as with `JSON.parse`.
 */
export function memberText(object: string, key: string): string | undefined {
  let found: string | undefined;
  let depth = 0;
  let name = '';
  let start = 0;
  for (let at = 0; at < object.length; at++) {
    const code = object.charCodeAt(at);
    if (code === QUOTE) {
      at = closingQuote(object, at);
    } else if (OPEN.has(code)) {
      depth++;
      if (depth === 1) start = at + 1;
    } else if (code === COLON && depth === 1) {
      name = object.slice(start, at).trim();
      start = at + 1;
    } else if (depth === 1 && (code === COMMA || CLOSE.has(code))) {
      if (name !== '' && JSON.parse(name) === key) found = object.slice(start, at).trim();
      name = '';
      start = at + 1;
      if (code !== COMMA) depth--;
    } else if (CLOSE.has(code)) {
      depth--;
    }
  }
  return found === undefined || /[\r\n]/.test(found) ? undefined : found;
}

function closingQuote(text: string, opening: number): number {
  let at = opening + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
