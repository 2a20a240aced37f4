/** The end of a string in a JSON text. */

const BACKSLASH = 0x5c;

/** The offset of the quote that closes the string opened at `opening`; the text's length without one. By `indexOf`: most of a log record is inside of strings. */
export function closingQuote(text: string, opening: number): number {
  for (let at = text.indexOf('"', opening + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((at - before) % 2 === 1) return at;
  }
  return text.length;
}
