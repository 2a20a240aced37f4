/**
 * Cuts a top-level member with a text value out of a JSON object's text, before it is parsed: that is how the time key leaves a
 * record. `delete` on the parsed object would make it a slow dictionary, and the text would have to be written anew.
 *
 * The search goes by the quoted key. What it finds is a key, and not a piece of a text, because no unescaped quote stands inside
 * a string; whether it is a key of the outermost object is counted from the start.
 */
import { stringEnd } from './json-depth.ts';

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
  private readonly quotedKey: string;

  constructor(key: string) {
    this.quotedKey = JSON.stringify(key);
  }

  /**
   * Looks for the member. False when it is not there, there twice, or written in a way that wants a real parser (escapes, a
   * value that is no text): parse the text instead. A second member whose key is written with escapes is not seen: look for the
   * key in what `rest` parses to.
   */
  cut(text: string): boolean {
    const { quotedKey } = this;
    let found = -1;
    let depth = 0;
    let scanned = 0;
    for (let at = text.indexOf(quotedKey); at !== -1; at = text.indexOf(quotedKey, at + 1)) {
      if (at === 0 || text.charCodeAt(at - 1) === BACKSLASH) continue;
      if (text.charCodeAt(skipBlank(text, at + quotedKey.length)) !== COLON) continue;
      depth = depthAt(text, scanned, at, depth);
      scanned = at;
      if (depth !== 1) continue;
      if (found !== -1) return false;
      found = at;
    }
    return found !== -1 && this.cutAt(text, found);
  }

  private cutAt(text: string, key: number): boolean {
    const value = skipBlank(text, skipBlank(text, key + this.quotedKey.length) + 1);
    if (text.charCodeAt(value) !== QUOTE) return false;
    const end = text.indexOf('"', value + 1);
    if (end === -1) return false;
    this.value = text.slice(value + 1, end);
    if (this.value.includes('\\')) return false;
    const before = skipBlankBack(text, key - 1);
    const after = skipBlank(text, end + 1);
    const opener = text.charCodeAt(before);
    if (opener !== OPEN && opener !== COMMA) return false;
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
