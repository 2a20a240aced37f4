/** "Did you mean …?": the nearest of some names, by edit distance. */

/** The name that was most probably meant, or undefined when none is near. */
export function suggestion(written: string, names: Iterable<string>): string | undefined {
  const wanted = normal(written);
  if (wanted === '') return undefined;
  let best: string | undefined;
  let bestDistance = wanted.length <= 1 ? 1 : wanted.length <= 3 ? 2 : wanted.length <= 7 ? 3 : 4;
  const all = [...names];
  for (const name of all) {
    const known = normal(name);
    // Of two that are equally near the one that is only cut short was meant: time_kee is time_keep, not time_key.
    const distance = editDistance(wanted, known, bestDistance) - (known.startsWith(wanted) ? 0.5 : 0);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  if (best !== undefined || wanted.length < 4) return best;
  // A part of the name, or the name with something added: `from_head`, `tail_input`.
  return all
    .filter(
      (name) => normal(name).includes(wanted) || (normal(name).length >= 4 && wanted.includes(normal(name))),
    )
    .toSorted((a, b) => a.length - b.length)[0];
}

/** `Read-From-Head`, `readFromHead` and `read_from_head` are the same word. */
function normal(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '');
}

/** Optimal string alignment (insert, delete, replace, swap neighbours); `limit` or more is not computed exactly. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let smallest = i;
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min(
        (previous[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (previous[j - 1] as number) + cost,
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, (before[j - 2] as number) + 1);
      row.push(value);
      smallest = Math.min(smallest, value);
    }
    if (smallest >= limit) return limit;
    before = previous;
    previous = row;
  }
  return previous[b.length] as number;
}
