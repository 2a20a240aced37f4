/** `on_failure` names another output, and never leads back to where it began (DELIVERY.md, rule 25). */
import type { Item } from './items.ts';
import type { Problems } from './problem.ts';
import { suggestion } from './suggest.ts';
import { quoteText } from './tree.ts';

export function checkOnFailure(items: readonly Item[], problems: Problems): void {
  const outputs = new Map(items.filter(({ kind }) => kind === 'output').map((item) => [item.name, item]));
  for (const item of outputs.values()) {
    const target = targetOf(item);
    if (target === undefined) continue;
    const written = item.written.find(({ key }) => key === 'on_failure');
    const say = (message: string): void =>
      problems.report(written?.node.place ?? item.node.place, written?.path ?? item.path, message);
    if (!outputs.has(target)) {
      const meant = suggestion(
        target,
        [...outputs.keys()].filter((name) => name !== item.name),
      );
      say(
        `there is no output ${quoteText(target)}${meant === undefined ? ': write the alias of another output' : ` — did you mean ${quoteText(meant)}?`}`,
      );
    } else if (leadsBack(item.name, outputs)) {
      say(`what ${quoteText(item.name)} gives up comes back to it: on_failure must not go in a circle`);
    }
  }
}

function targetOf({ values }: Item): string | undefined {
  const target = values['on_failure'];
  return typeof target === 'string' ? target : undefined;
}

function leadsBack(name: string, outputs: ReadonlyMap<string, Item>): boolean {
  const seen = new Set<string>();
  let at: string | undefined = name;
  while (at !== undefined && !seen.has(at)) {
    seen.add(at);
    const item = outputs.get(at);
    at = item === undefined ? undefined : targetOf(item);
  }
  return at === name;
}
