/** A rule or condition of modify that cannot be read. */

export class RuleError extends Error {
  override name = 'RuleError';
}

/** Throws unless a rule has the parameters that it takes (`['KEY', 'VALUE']`). */
export function requireParameters(rule: string, takes: readonly string[], words: readonly string[]): void {
  if (words.length === takes.length) return;
  const advice = words.length > takes.length ? ' Put one that has spaces in quotes.' : '';
  throw new RuleError(
    `${rule} takes ${takes.length === 1 ? 'one parameter' : `${takes.length} parameters`}, ${takes.join(' ')}, found ${words.length}.${advice}`,
  );
}
