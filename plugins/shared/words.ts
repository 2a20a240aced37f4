/** Splits the values of rules (`Condition key_value_equals "a key" text`) into words, as Fluent Bit does. */

/** The text has an opening quote without its closing one. */
export class UnclosedQuoteError extends Error {
  override name = 'UnclosedQuoteError';
}

/**
 * Words between spaces. One that begins with a quote goes on to its closing quote, and a backslash protects that quote and
 * itself; elsewhere quotes are ordinary characters. What is left after `limit` words is one more word, as it stands.
 */
export function splitWords(text: string, limit = Number.POSITIVE_INFINITY): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (text[at] === ' ') at++;
    if (at >= text.length) return words;
    if (words.length === limit) return [...words, text.slice(at)];
    const quote = text[at];
    if (quote === '"' || quote === "'") {
      const { word, end } = quotedWord(text, at, quote);
      words.push(word);
      at = end;
    } else {
      const space = text.indexOf(' ', at);
      const end = space === -1 ? text.length : space;
      words.push(text.slice(at, end));
      at = end;
    }
  }
}

function quotedWord(text: string, start: number, quote: string): { word: string; end: number } {
  let word = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === quote) return { word, end: at + 1 };
    const next = text[at + 1];
    if (char === '\\' && (next === quote || next === '\\')) {
      word += next;
      at++;
    } else {
      word += char;
    }
  }
  throw new UnclosedQuoteError(`The quote ${quote} at character ${start + 1} is not closed.`);
}
