/** Which of several matchers take a tag: computed once per tag and remembered, within a bound, for tags come from data. */

/** Tags remembered at most; then all are forgotten and computed again. */
const MAX_TAGS = 16_384;

export class RoutingTable<T> {
  private readonly entries: readonly { matches: (tag: string) => boolean; target: T }[];
  private readonly routes = new Map<string, readonly T[]>();

  /** Targets in the order in which they are to be used. */
  constructor(entries: readonly { matches: (tag: string) => boolean; target: T }[]) {
    this.entries = entries;
  }

  /** The targets whose matcher takes the tag, in order. */
  lookup(tag: string): readonly T[] {
    let targets = this.routes.get(tag);
    if (targets === undefined) {
      if (this.routes.size >= MAX_TAGS) this.routes.clear();
      targets = this.entries.filter((entry) => entry.matches(tag)).map((entry) => entry.target);
      this.routes.set(tag, targets);
    }
    return targets;
  }
}
