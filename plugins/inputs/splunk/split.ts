/**
 * Cuts a body into its envelopes: JSON objects one behind the other, with or without white space between them, or in a list. What is no
 * object is a piece of its own, and the next object is looked for behind it: a broken event does not take others with it.
 */
import { closingQuote } from '../../shared/closing-quote.ts';

/** How often an object that does not end is skipped in one body: each time the rest is read to its end. */
const MAX_ENDLESS = 16;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** Calls `take` with the text of each piece; with undefined where there is no object. */
export function splitEnvelopes(body: string, take: (text: string | undefined) => void): void {
  let at = skipBlank(body, 0);
  const isList = body.charCodeAt(at) === OPEN_LIST;
  if (isList) at++;
  let endless = 0;
  for (;;) {
    at = skipBlank(body, at);
    const code = body.charCodeAt(at);
    if (Number.isNaN(code)) break;
    if (isList && (code === COMMA || (code === CLOSE_LIST && skipBlank(body, at + 1) === body.length))) {
      at++;
      continue;
    }
    const end = code === OPEN ? endOfObject(body, at) : -1;
    if (end !== -1) {
      take(body.slice(at, end));
      at = end;
      continue;
    }
    take(undefined);
    if (code === OPEN) endless++;
    at = endless < MAX_ENDLESS ? nextObject(body, at + 1) : body.length;
  }
}

/** The offset behind the object that begins there; -1 when it does not end. */
function endOfObject(body: string, start: number): number {
  let depth = 0;
  for (let at = start; at < body.length; at++) {
    const code = body.charCodeAt(at);
    if (code === QUOTE) {
      at = closingQuote(body, at);
    } else if (code === OPEN) {
      depth++;
    } else if (code === CLOSE) {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

/** Where the next line begins with an object: anywhere else a bracket may be inside of what is broken. */
function nextObject(body: string, from: number): number {
  for (let line = body.indexOf('\n', from); line !== -1; line = body.indexOf('\n', line + 1)) {
    const at = skipBlank(body, line);
    if (body.charCodeAt(at) === OPEN) return at;
  }
  return body.length;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at++;
  }
}
