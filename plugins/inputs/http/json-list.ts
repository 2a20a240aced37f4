/** Cuts the text of a JSON list into the texts of its items, so that records keep the text that they came with. */
import { closingQuote } from '../../shared/closing-quote.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;

/** Calls `take` with the text of each item, white space around it removed. `text` must be a valid list without such space around it. */
export function splitList(text: string, take: (item: string) => void): void {
  const last = text.length - 1;
  let depth = 0;
  let start = 1;
  for (let at = 1; at < last; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = closingQuote(text, at);
        break;
      case 0x5b:
      case 0x7b:
        depth++;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
      case COMMA:
        if (depth > 0) break;
        take(text.slice(start, at).trim());
        start = at + 1;
        break;
      default:
    }
  }
  const rest = text.slice(start, last).trim();
  // Only an empty list ends in nothing: a comma before the bracket is no JSON.
  if (rest !== '') take(rest);
}
