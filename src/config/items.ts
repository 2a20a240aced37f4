/** Reads the plugins of the pipeline sections: one instance per list item, by the plugin's declared options. */
import type { FilterDefinition, InputDefinition, OutputDefinition } from '../plugin.ts';
import { SECTIONS } from './documents.ts';
import type { Section } from './documents.ts';
import type { Plugins } from './plugins.ts';
import type { Problems } from './problem.ts';
import { readOptions } from './read-options.ts';
import { NO_RING } from './service-options.ts';
import type { Written } from './read-options.ts';
import { optionsOf, sharedOptions, STRUCTURED } from './shared-options.ts';
import type { PipelineKind } from './shared-options.ts';
import { suggestion } from './suggest.ts';
import type { ConfigNode, Located, MapNode } from './tree.ts';
import { describeNode, entryOf, textOf } from './tree.ts';

type Definition = InputDefinition | FilterDefinition | OutputDefinition;

/** An item of `inputs`, `filters` or `outputs`: as it is written, whether it is right or not. */
export interface Item extends Located<MapNode> {
  kind: PipelineKind;
  /** Number within its kind, in file order: `<plugin>.<n>`. */
  ordinal: number;
  /** The plugin's name as written, lower case; undefined without one. */
  plugin: string | undefined;
  /** Alias, else `<plugin>.<n>`. */
  name: string;
  definition: Definition | undefined;
  values: Record<string, unknown>;
  written: readonly Written[];
  /** All options could be read. */
  ok: boolean;
}

/** The tag of an input that has none written. */
export function defaultTag({ definition, plugin, kind, ordinal }: Item): string {
  const own = definition?.kind === 'input' ? definition.defaultTag : undefined;
  return own ?? `${plugin ?? kind}.${ordinal}`;
}

const LISTS: readonly { key: string; kind: PipelineKind }[] = [
  { key: 'inputs', kind: 'input' },
  { key: 'filters', kind: 'filter' },
  { key: 'outputs', kind: 'output' },
];

/** All plugins of all pipeline sections, in order. */
export async function readItems(
  sections: readonly Section[],
  plugins: Plugins,
  problems: Problems,
): Promise<Item[]> {
  const items: Item[] = [];
  const counts: Record<PipelineKind, number> = { input: 0, filter: 0, output: 0 };
  for (const { node, path, place } of sections) {
    if (node.kind !== 'map') {
      problems.report(
        node.kind === 'scalar' && node.empty ? place : node.place,
        path,
        `pipeline is a map with inputs, filters and outputs, and this is ${describeNode(node)}`,
      );
      continue;
    }
    const seen = new Set<string>();
    for (const { key, place: keyPlace, value } of node.entries) {
      const list = LISTS.find((one) => one.key === key.toLowerCase());
      if (list === undefined) {
        const meant = suggestion(
          key,
          LISTS.map((one) => one.key),
        );
        problems.report(
          keyPlace,
          `${path}.${key}`,
          (SECTIONS as readonly string[]).includes(key.toLowerCase())
            ? 'this is a section of its own: it stands beside pipeline, without indentation'
            : `unknown key${meant === undefined ? ': a pipeline has inputs, filters and outputs' : ` — did you mean "${meant}"?`}`,
        );
      } else if (seen.has(list.key)) {
        problems.report(keyPlace, `${path}.${key}`, `${list.key} are there twice: put all into one list`);
      } else {
        seen.add(list.key);
        for (const located of listItems(value, `${path}.${key}`, list.key, problems)) {
          items.push(await readItem(located, list.kind, counts[list.kind]++, plugins, problems));
        }
      }
    }
  }
  return items;
}

function listItems(node: ConfigNode, path: string, key: string, problems: Problems): Located<MapNode>[] {
  if (node.kind === 'scalar' && node.empty) return [];
  if (node.kind !== 'list') {
    problems.report(
      node.place,
      path,
      `${key} is a list, and this is ${describeNode(node)}: begin each plugin with a dash, - name: …`,
    );
    return [];
  }
  const items: Located<MapNode>[] = [];
  for (const [index, item] of node.items.entries()) {
    const itemPath = `${path}[${index}]`;
    if (item.kind === 'map') items.push({ node: item, path: itemPath });
    else
      problems.report(
        item.place,
        itemPath,
        `a plugin is a map that begins with - name: …, and this is ${describeNode(item)}`,
      );
  }
  return items;
}

async function readItem(
  { node, path }: Located<MapNode>,
  kind: PipelineKind,
  ordinal: number,
  plugins: Plugins,
  problems: Problems,
): Promise<Item> {
  const plugin = textOf(node, 'name')?.trim().toLowerCase();
  const item: Item = {
    kind,
    node,
    path,
    ordinal,
    plugin,
    name: `${plugin ?? kind}.${ordinal}`,
    definition: undefined,
    values: {},
    written: [],
    ok: false,
  };
  const name = entryOf(node, 'name');
  if (name === undefined) {
    problems.report(node.place, path, missingName(node, kind, plugins));
    return item;
  }
  if (name.value.kind !== 'scalar' || name.value.empty) {
    problems.report(
      name.place,
      `${path}.${name.key}`,
      `the name of ${kind === 'filter' ? 'a' : 'an'} ${kind} plugin is expected here, and this is ${describeNode(name.value)}`,
    );
    return item;
  }
  item.definition = await plugins.find(kind, { node: name.value, path: `${path}.${name.key}` }, problems);
  const rules = { problems, owner: plugin ?? kind, skip: STRUCTURED[kind] };
  if (item.definition === undefined) {
    // The plugin's own keys are unknown; those that all have in common can be read.
    const options = readOptions({ node, path }, sharedOptions[kind], { ...rules, unknown: () => 'refused' });
    return finish(item, options.values, options.written, false);
  }
  const own = item.definition.options;
  const fields = optionsOf(kind, own);
  const options = readOptions({ node, path }, fields, {
    ...rules,
    owner: item.definition.name,
    unknown(key, place, keyPath) {
      const other = LISTS.find(
        (list) => list.kind !== kind && Object.hasOwn(sharedOptions[list.kind], key.toLowerCase()),
      );
      if (other === undefined) return undefined;
      problems.report(
        place,
        keyPath,
        `unknown key: ${key} is a key of ${other.key}, and this is one of the ${kind}s`,
      );
      return 'refused';
    },
  });
  const ok = refuseLater(item, options.values, options.written, problems) && options.ok;
  return finish(item, options.values, options.written, ok);
}

function finish(item: Item, values: Record<string, unknown>, written: readonly Written[], ok: boolean): Item {
  item.values = values;
  item.written = written;
  item.ok = ok;
  const { alias } = values;
  if (typeof alias === 'string' && alias !== '') item.name = alias;
  return item;
}

/** Values of shared keys that Tailrace does not have yet. */
function refuseLater(
  { path }: Item,
  values: Record<string, unknown>,
  written: readonly Written[],
  problems: Problems,
): boolean {
  const found: [key: string, message: string][] = [];
  if (values['storage.type'] === 'memrb') found.push(['storage.type', NO_RING]);
  if (values['routable'] === false)
    found.push(['routable', 'Tailrace does not have this yet: remove the line']);
  if (values['rate_gate'] === true)
    found.push(['rate_gate', 'Tailrace does not have the rate gate yet: remove the line']);
  for (const [key, message] of found) {
    const at = written.find((one) => one.key === key);
    problems.report(at?.node.place, at?.path ?? path, message);
  }
  return found.length === 0;
}

function missingName(node: MapNode, kind: PipelineKind, plugins: Plugins): string {
  const [first] = node.entries;
  const names = plugins.names(kind);
  if (first !== undefined && names.includes(first.key.toLowerCase()))
    return `name is missing: write - name: ${first.key.toLowerCase()}, and its keys below`;
  for (const key of ['plugin', 'type']) {
    const value = textOf(node, key);
    if (value !== undefined && names.includes(value.toLowerCase()))
      return `name is missing — did you mean name: ${value} instead of ${key}: ${value}?`;
  }
  const meant = node.entries.map((entry) => entry.key).find((key) => suggestion(key, ['name']) !== undefined);
  return meant === undefined
    ? `name is missing: which ${kind} is it? Write - name: …`
    : `name is missing — did you mean name instead of ${meant}?`;
}
