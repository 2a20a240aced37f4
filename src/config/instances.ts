/** Reads the plugins of the pipeline sections: one instance per list item, by the plugin's declared options. */
import { createHash } from 'node:crypto';
import type { FilterInstance, InputInstance, OutputInstance } from './definition.ts';
import type { LogLevel } from '../telemetry/log.ts';
import type { FilterDefinition, InputDefinition, OutputDefinition } from '../plugin.ts';
import type { Section } from './documents.ts';
import { LATER_KEYS, laterKey } from './later.ts';
import type { Plugins } from './plugins.ts';
import type { Problems } from './problem.ts';
import { readOptions } from './read-options.ts';
import type { Written } from './read-options.ts';
import { optionsOf, sharedOptions, STRUCTURED } from './shared-options.ts';
import type { PipelineKind } from './shared-options.ts';
import { suggestion } from './suggest.ts';
import type { ConfigNode, Located, MapNode, ScalarNode } from './tree.ts';
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
          `unknown key${meant === undefined ? ': a pipeline has inputs, filters and outputs' : ` — did you mean "${meant}"?`}`,
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
  item.definition = (await plugins.find(
    kind,
    { node: name.value as ScalarNode, path: `${path}.${name.key}` },
    problems,
  )) as Definition | undefined;
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
    unknown: (key, place, keyPath, value) =>
      laterKey(LATER_KEYS[kind], key, value, { node: { ...node, place }, path: keyPath }, problems),
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
  const storage = values['storage.type'];
  if (storage === 'filesystem' || storage === 'memrb')
    found.push([
      'storage.type',
      `Tailrace does not have the ${storage} buffer yet: write memory, or remove the line`,
    ]);
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

/** The instance's common part; `definition` is there and its options are right. */
function instanceOf<D extends Definition>(
  item: Item,
): {
  definition: D;
  options: Record<string, unknown>;
  entries: { key: string; value: string }[];
  position: InputInstance['position'];
  fingerprint: string;
  name: string;
  alias: string | undefined;
  stateName: string;
  logLevel: LogLevel | undefined;
  logSuppressInterval: number;
} {
  const definition = item.definition as D;
  const { values } = item;
  const options: Record<string, unknown> = {};
  for (const key of Object.keys(definition.options)) options[key] = values[key];
  return {
    definition,
    options,
    entries: entriesOf(item),
    position: item.node.place.source.position(item.node.place.offset),
    fingerprint: fingerprintOf(definition.name, item.written),
    name: item.name,
    alias: values['alias'] as string | undefined,
    stateName: '',
    logLevel: values['log_level'] as LogLevel | undefined,
    logSuppressInterval: values['log_suppress_interval'] as number,
  };
}

/** The plugin's own keys as written. */
export function entriesOf({
  definition,
  written,
}: Pick<Item, 'definition' | 'written'>): { key: string; value: string }[] {
  const own = definition?.options ?? {};
  return written
    .filter(({ key }) => Object.hasOwn(own, key))
    .map(({ key, node }) => ({ key, value: node.text }));
}

/** A hash of all that is written about an instance, secrets included. */
export function fingerprintOf(name: string, written: readonly Written[]): string {
  return createHash('sha256')
    .update(JSON.stringify([name, ...written.map(({ key, node }) => [key, node.text])]))
    .digest('hex');
}

export function inputInstance(item: Item): InputInstance {
  const { values, plugin, ordinal } = item;
  return {
    ...instanceOf<InputDefinition>(item),
    tag: (values['tag'] as string | undefined) ?? `${plugin ?? item.kind}.${ordinal}`,
    memBufLimit: values['mem_buf_limit'] as number,
  };
}

export function filterInstance(item: Item, matchRegex: RegExp | undefined): FilterInstance {
  return {
    ...instanceOf<FilterDefinition>(item),
    match: item.values['match'] as string | undefined,
    matchRegex,
  };
}

export function outputInstance(item: Item, matchRegex: RegExp | undefined): OutputInstance {
  const { values } = item;
  const workers = values['workers'] as number | undefined;
  return {
    ...instanceOf<OutputDefinition>(item),
    match: values['match'] as string | undefined,
    matchRegex,
    retryLimit: values['retry_limit'] as OutputInstance['retryLimit'],
    workers: workers === 0 ? undefined : workers,
  };
}
