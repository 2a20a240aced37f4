/** Which parsers a pipeline gets: all that are defined, and the stock parsers that it names; all of them where data may choose. */
import type { PluginRegistry } from '../plugin.ts';
import type { ParserInstance } from './definition.ts';
import type { Item } from './items.ts';
import { readParser, stockItem } from './parsers.ts';
import type { ParserItem } from './parsers.ts';
import type { Plugins } from './plugins.ts';
import { Problems } from './problem.ts';
import type { Written } from './read-options.ts';
import { suggestion } from './suggest.ts';
import { quoteText, splitNames } from './tree.ts';

interface Sources {
  items: readonly Item[];
  /** By name. */
  defined: ReadonlyMap<string, ParserItem>;
  plugins: Plugins;
  registry: PluginRegistry;
  problems: Problems;
}

/** Reads and checks the parsers; a name without a parser is a problem where it stands. */
export async function readParsers({
  items,
  defined,
  plugins,
  registry,
  problems,
}: Sources): Promise<ParserInstance[]> {
  const named = items.flatMap(namedParsers);
  const defaults = items.flatMap(defaultParsers);
  const missing = named.filter(({ name }) => !defined.has(name));
  const any = items.some(choosesAny);
  const needsStock = any || missing.length > 0 || defaults.some((name) => !defined.has(name));
  const stock = needsStock ? ((await registry.stockParsers?.()) ?? []) : [];
  const names = [...defined.keys(), ...stock.map(({ name }) => name)];
  for (const { name, written } of missing) {
    if (!names.includes(name)) problems.report(written.node.place, written.path, unknownParser(name, names));
  }
  const wanted = new Set([...named.map(({ name }) => name), ...defaults]);
  const parsers: ParserInstance[] = [];
  for (const item of defined.values()) {
    // A file full of parsers of which one is wrong and not used runs as well without it.
    const own = new Problems();
    const parser = await readParser(item, plugins, own);
    if (parser !== undefined) parsers.push(parser);
    for (const problem of own.list) {
      if (item.fromFile && !wanted.has(item.name) && problem.level === 'error') problem.level = 'warning';
      problems.list.push(problem);
    }
  }
  for (const one of stock) {
    if (!(any || wanted.has(one.name)) || defined.has(one.name)) continue;
    const parser = await readParser(stockItem(one), plugins, problems);
    if (parser !== undefined) parsers.push(parser);
  }
  return parsers;
}

/** Whether an instance's data may choose among all parsers. */
function choosesAny({ definition, values, ok }: Item): boolean {
  return (
    ok && definition !== undefined && 'anyParser' in definition && (definition.anyParser?.(values) ?? false)
  );
}

/** The parsers that an instance names in its options. */
function namedParsers({ definition, written }: Item): { name: string; written: Written }[] {
  const keys =
    definition !== undefined && 'parserOptions' in definition ? (definition.parserOptions ?? []) : [];
  return written
    .filter(({ key }) => keys.includes(key))
    .flatMap((one) => {
      const { text } = one.node;
      const spec = definition?.options[one.key]?.spec;
      // Of a family, the text begins with what the key ends in.
      const value = spec?.family === true ? text.slice(text.indexOf(' ') + 1) : text;
      const names = spec?.type === 'list' ? splitNames(value) : [value.trim()];
      return names.map((name) => ({ name, written: one }));
    });
}

/** The parsers that an instance uses though nobody names them. */
function defaultParsers({ definition, values, ok }: Item): readonly string[] {
  if (!ok || definition === undefined || !('defaultParsers' in definition)) return [];
  return definition.defaultParsers?.(values) ?? [];
}

/** What to say of a parser that is not there. */
function unknownParser(name: string, names: Iterable<string>): string {
  const meant = suggestion(name, names);
  return `there is no parser ${quoteText(name)}${meant === undefined ? ': define it under parsers, or in a parsers_file' : ` — did you mean "${meant}"?`}`;
}
