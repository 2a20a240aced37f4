/**
 * Cuts a top-level member with a text value out of a JSON object's text, before it is parsed: that is how the time key leaves a
 * record. `delete` on the parsed object would make it a slow dictionary, and the text would have to be written anew.
 *
 * The search goes by the quoted key. What it finds is a key, and not a piece of a text, because no unescaped quote stands inside
 * a string; whether it is a key of the outermost object is counted from the start.
 */
import { stringEnd } from '../event/json-nesting.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Looks for one key; the fields hold what was found. */
export class MemberCutter {
  /** The member's value, a text without escapes. */
  value = '';
  /** The object's text without the member. Valid JSON exactly if the whole was. */
  rest = '';
  /** The key as written, with its closing quote: a search that begins with a quote would stop at each. */
  private readonly needle: string;

  constructor(key: string) {
    this.needle = JSON.stringify(key).slice(1);
  }

  /**
   * Looks for the member. False when it is not there, or is written in a way that wants a real parser (escapes, a value that is no
   * text): parse the text instead. Only the first such member is cut: look for the key in what `rest` parses to.
   */
  cut(text: string): boolean {
    const { needle } = this;
    let depth = 0;
    let scanned = 0;
    for (let found = text.indexOf(needle); found !== -1; found = text.indexOf(needle, found + 1)) {
      const key = found - 1;
      if (key < 1 || text.charCodeAt(key) !== QUOTE || text.charCodeAt(key - 1) === BACKSLASH) continue;
      const colon = skipBlank(text, found + needle.length);
      if (text.charCodeAt(colon) !== COLON) continue;
      const value = skipBlank(text, colon + 1);
      const end = text.charCodeAt(value) === QUOTE ? text.indexOf('"', value + 1) : -1;
      const before = skipBlankBack(text, key - 1);
      // The first member, and one that the last bracket follows, are of the outermost object without counting.
      if (before !== 0 && (end === -1 || skipBlank(text, end + 1) !== text.length - 1)) {
        depth = depthAt(text, scanned, key, depth);
        scanned = key;
        if (depth !== 1) continue;
      }
      return end !== -1 && this.cutAt(text, { before, key, value, end });
    }
    return false;
  }

  private cutAt(text: string, at: { before: number; key: number; value: number; end: number }): boolean {
    const { before, key } = at;
    this.value = text.slice(at.value + 1, at.end);
    if (this.value.includes('\\')) return false;
    const opener = text.charCodeAt(before);
    if (opener !== OPEN && opener !== COMMA) return false;
    const after = skipBlank(text, at.end + 1);
    if (text.charCodeAt(after) === COMMA) {
      const next = skipBlank(text, after + 1);
      if (text.charCodeAt(next) !== QUOTE) return false;
      this.rest = text.slice(0, key) + text.slice(next);
      return true;
    }
    if (text.charCodeAt(after) !== CLOSE) return false;
    // Of "{,…}" nothing but "{}" would be left.
    if (opener === COMMA && text.charCodeAt(skipBlankBack(text, before - 1)) === OPEN) return false;
    this.rest = text.slice(0, opener === COMMA ? before : key) + text.slice(after);
    return true;
  }
}

/** The depth of brackets at `to`, given that at `from`, where no string is open. */
function depthAt(text: string, from: number, to: number, depthBefore: number): number {
  let depth = depthBefore;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(text, at);
    else if (code === OPEN || code === 0x5b) depth++;
    else if (code === CLOSE || code === 0x5d) depth--;
  }
  return depth;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  return at;
}

function skipBlankBack(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at--;
  return at;
}
