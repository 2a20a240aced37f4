/** Tag matching: Fluent Bit's `match` (text with `*`) and `match_regex`. */

/** Whether a tag matches a pattern in which `*` stands for any run of characters. Linear in practice: no backtracking beyond the last star. */
export function matchesPattern(pattern: string, tag: string): boolean {
  let at = 0;
  let inPattern = 0;
  let star = -1;
  let resume = 0;
  while (at < tag.length) {
    if (pattern[inPattern] === '*') {
      star = inPattern++;
      resume = at;
    } else if (pattern[inPattern] === tag[at]) {
      inPattern++;
      at++;
    } else if (star >= 0) {
      inPattern = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[inPattern] === '*') inPattern++;
  return inPattern === pattern.length;
}

/** A test for tags; the regular expression wins over the pattern; with neither, no tag matches. */
export function compileMatch(
  match: string | undefined,
  matchRegex: RegExp | undefined,
): (tag: string) => boolean {
  if (matchRegex !== undefined) return (tag) => matchRegex.test(tag);
  if (match === undefined) return () => false;
  if (match === '*') return () => true;
  if (!match.includes('*')) return (tag) => tag === match;
  return (tag) => matchesPattern(match, tag);
}
