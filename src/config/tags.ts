/** What can be said about tags and matches before any record has come: `*` stands for any text on both sides. */

/** Whether some text matches both patterns. */
export function patternsMeet(a: string, b: string): boolean {
  // Which positions of `b` can be reached after each position of `a`; a star may stand for nothing.
  let reach = skipStars(b, new Set([0]));
  for (const letter of a) {
    const next = new Set<number>(letter === '*' ? reach : []);
    for (const at of reach) {
      if (letter === '*') {
        for (let end = at; end <= b.length; end++) next.add(end);
      } else {
        if (b[at] === '*') next.add(at);
        else if (b[at] === letter) next.add(at + 1);
      }
    }
    reach = skipStars(b, next);
    if (reach.size === 0) return false;
  }
  return reach.has(b.length);
}

function skipStars(pattern: string, positions: Set<number>): Set<number> {
  for (const at of positions) if (pattern[at] === '*') positions.add(at + 1);
  return positions;
}

/** What an output or filter takes. */
export interface Matcher {
  match: string | undefined;
  matchRegex: RegExp | undefined;
}

/** Whether a matcher can take a tag, or a tag of a pattern. Without certainty the answer is true. */
export function canTake({ match, matchRegex }: Matcher, tag: string): boolean {
  if (matchRegex !== undefined) return tag.includes('*') || matchRegex.test(tag);
  return match !== undefined && patternsMeet(match, tag);
}
