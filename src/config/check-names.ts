/** Names of instances: for people (metrics, logs), and in the state. */
import { createHash } from 'node:crypto';
import type { Item } from './items.ts';
import type { Problems } from './problem.ts';
import { quoteText } from './tree.ts';

/** Two instances of a kind with one name: metrics, logs and the state could not tell them apart. */
export function checkNames(items: readonly Item[], problems: Problems): void {
  const names = new Map<string, Item>();
  for (const item of items) {
    const key = `${item.kind} ${item.name}`;
    const other = names.get(key);
    if (other === undefined) {
      names.set(key, item);
      continue;
    }
    const written = [item, other]
      .map((one) => one.written.find((option) => option.key === 'alias'))
      .find((one) => one !== undefined);
    const first = other.written.find((option) => option.key === 'alias')?.node.place ?? other.node.place;
    const { file, line } = first.source.position(first.offset);
    problems.report(
      written?.node.place ?? item.node.place,
      written?.path ?? item.path,
      `the name ${quoteText(item.name)} is taken already, by the ${other.kind} in ${file}:${line}: choose another alias`,
    );
  }
}

/**
 * Names in the state (DELIVERY.md, rule 7): the alias, else the plugin's name; several unnamed instances of a plugin are told
 * apart by a hash of their target options, never by their number.
 */
export function stateNames(items: readonly Item[], problems: Problems): Map<Item, string> {
  const names = new Map<Item, string>();
  const unnamed = new Map<string, Item[]>();
  const taken = new Map<string, Item>();
  for (const item of items) {
    if (item.definition === undefined || item.kind === 'filter') continue;
    const alias = item.values['alias'];
    if (typeof alias === 'string' && alias !== '') {
      names.set(item, alias);
      taken.set(`${item.kind} ${alias}`, item);
      continue;
    }
    const key = `${item.kind} ${item.definition.name}`;
    unnamed.set(key, [...(unnamed.get(key) ?? []), item]);
  }
  for (const group of unnamed.values()) {
    for (const item of group) {
      const { kind, definition, node, path } = item;
      const plugin = definition?.name ?? '';
      const name = group.length === 1 ? plugin : `${plugin}#${hashOf(targetOf(item, group))}`;
      const other = taken.get(`${kind} ${name}`);
      names.set(item, name);
      if (other === undefined) {
        taken.set(`${kind} ${name}`, item);
      } else if (keepsState(item)) {
        const { file, line } = other.node.place.source.position(other.node.place.offset);
        problems.report(
          node.place,
          path,
          `after a restart nothing would tell this ${kind} from the one in ${file}:${line}, and positions are kept for each: give one of them an alias`,
        );
      } else {
        names.set(item, `${name}.${item.ordinal}`);
      }
    }
  }
  return names;
}

function targetKeys({ definition, kind }: Item): readonly string[] {
  if (definition === undefined || !('target' in definition) || definition.target === undefined) {
    return kind === 'input' && definition !== undefined && Object.hasOwn(definition.options, 'path')
      ? ['path']
      : [];
  }
  return definition.target;
}

/** Outputs have marks, inputs that read again have positions; the others keep nothing. */
function keepsState(item: Item): boolean {
  return item.kind === 'output' || targetKeys(item).length > 0;
}

/** What tells an instance apart: where it reads or writes, and only if that is the same, which tags. */
function targetOf(item: Item, group: readonly Item[]): string {
  const keys = targetKeys(item);
  const target = textsOf(item, keys);
  const alone = group.every((other) => other === item || textsOf(other, keys) !== target);
  return alone
    ? target
    : textsOf(item, [...keys, ...(item.kind === 'input' ? ['tag'] : ['match', 'match_regex'])]);
}

function textsOf({ written }: Item, keys: readonly string[]): string {
  return JSON.stringify(
    written.filter(({ key }) => keys.includes(key)).map(({ key, node }) => [key, node.text]),
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
