/** Tags and matches of the whole pipeline: records that would vanish, plugins that would see none. */
import { defaultTag } from './items.ts';
import type { Item } from './items.ts';
import type { Problems } from './problem.ts';
import { canTake } from './tags.ts';
import type { Matcher } from './tags.ts';
import { entryOf, quoteText, textOf } from './tree.ts';

/** Tags of an input as patterns; undefined when they are only known at run time. */
function tagsOf(item: Item): readonly string[] | undefined {
  const { node, definition, ok, values } = item;
  const tag = textOf(node, 'tag') === undefined ? defaultTag(item) : values['tag'];
  if (definition === undefined || !ok || typeof tag !== 'string' || entryOf(node, 'routes') !== undefined)
    return undefined;
  if (definition.kind !== 'input' || definition.tags === undefined) return [tag];
  try {
    const tags = definition.tags(values, tag);
    return tags === 'any' ? undefined : tags;
  } catch {
    return undefined;
  }
}

/** Tags that no output takes, outputs and filters that no tag can reach. */
export function checkRouting(
  items: readonly Item[],
  matchers: ReadonlyMap<Item, Matcher>,
  problems: Problems,
): void {
  const inputs = items.filter(({ kind }) => kind === 'input');
  const outputs = items.filter(({ kind }) => kind === 'output');
  const byInput = inputs.map((item) => ({ item, tags: tagsOf(item) }));
  // A filter that is not known may make tags of its own.
  const filtersKnown = items.every(({ kind, definition }) => kind !== 'filter' || definition !== undefined);
  const certain = filtersKnown && byInput.every(({ tags }) => tags !== undefined);
  // A match whose expression is wrong could have been anything.
  const unclear = outputs.some((item) => !matchers.has(item) || (!item.ok && hasNoMatch(matchers.get(item))));
  let vanishing = false;
  for (const { item, tags } of byInput) {
    for (const tag of tags ?? []) {
      if (
        unclear ||
        outputs.length === 0 ||
        outputs.some((output) => canTake(matchers.get(output) as Matcher, tag))
      )
        continue;
      vanishing = true;
      const written = entryOf(item.node, 'tag');
      const matches = [
        ...new Set(
          outputs.map((output) => describeMatch(matchers.get(output))).filter((text) => text !== ''),
        ),
      ];
      const what =
        matches.length === 0
          ? 'no output has a match'
          : `the outputs match ${matches.slice(0, 5).join(', ')}`;
      problems.report(
        written?.value.place ?? item.node.place,
        written === undefined ? item.path : `${item.path}.tag`,
        `no output takes the tag ${quoteText(tag)}, its records would vanish: ${what}`,
      );
    }
  }
  for (const item of items) {
    const matcher = matchers.get(item);
    if (item.kind === 'input' || matcher === undefined) continue;
    if (hasNoMatch(matcher)) {
      // With a mistake in it, the match may well be what is mistyped.
      if (!item.ok) continue;
      const routed = inputs.some(({ node }) => entryOf(node, 'routes') !== undefined);
      if (item.kind === 'output' && routed) continue;
      problems.report(
        item.node.place,
        item.path,
        `match is missing: ${item.kind === 'output' ? 'it gets no record' : 'it sees no record'}; write match: '*' for all`,
        {
          level: vanishing && item.kind === 'output' ? 'error' : 'warning',
        },
      );
    } else if (
      certain &&
      inputs.length > 0 &&
      !byInput.some(({ tags }) => (tags ?? []).some((tag) => canTake(matcher, tag)))
    ) {
      const written = item.written.find(
        ({ key }) => key === (matcher.matchRegex === undefined ? 'match' : 'match_regex'),
      );
      const tags = byInput.flatMap((input) => input.tags ?? []);
      problems.warn(
        written?.node.place ?? item.node.place,
        written?.path ?? item.path,
        `no tag can reach this ${item.kind}: the match is ${describeMatch(matcher)}, the tags are ${tags.slice(0, 5).map(quoteText).join(', ')}`,
      );
    }
  }
}

function hasNoMatch(matcher: Matcher | undefined): boolean {
  return matcher?.match === undefined && matcher?.matchRegex === undefined;
}

function describeMatch(matcher: Matcher | undefined): string {
  if (matcher === undefined) return '';
  if (matcher.matchRegex !== undefined) return String(matcher.matchRegex);
  return matcher.match === undefined ? '' : quoteText(matcher.match);
}
