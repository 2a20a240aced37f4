/** Reads parsers: the `parsers` sections, the files of `parsers_file`, and the stock parsers that are named. */
import { dirname, isAbsolute, join } from 'node:path';
import type { ParserInstance } from './definition.ts';
import { isClassic, readClassic } from './classic-file.ts';
import { readSource, UnreadableError } from './files.ts';
import { fingerprintOf } from './instances.ts';
import type { Plugins } from './plugins.ts';
import type { Problems } from './problem.ts';
import { readOptions } from './read-options.ts';
import type { Written } from './read-options.ts';
import type { Place } from './source-text.ts';
import { SourceText } from './source-text.ts';
import type { ConfigNode, Located, MapNode } from './tree.ts';
import { describeNode, entryOf, quoteText, textOf } from './tree.ts';
import { checkPlugin } from './check-plugin.ts';
import { readYaml } from './yaml-document.ts';
import type { StockParser } from '../plugin.ts';

/** Where Fluent Bit's packages put the stock parsers, which need no file here. */
const STOCK_FILE = /^(?:\/fluent-bit\/etc\/|\/etc\/fluent-bit\/)?parsers(?:_multiline)?\.conf$/;

/** Fluent Bit takes the keys of all formats in every parser, so files hold them. */
const PARSER_KEYS = new Set([
  'regex',
  'time_key',
  'time_format',
  'time_offset',
  'time_zone',
  'time_system_timezone',
  'time_keep',
  'time_strict',
  'types',
  'skip_empty_values',
  'logfmt_no_bare_keys',
  'decode_field',
  'decode_field_as',
]);

/** A parser as written. */
export interface ParserItem extends Located<MapNode> {
  name: string;
  namePlace: Place;
  /** Named by `parsers_file`: mistakes in what nobody uses there are only warnings. */
  fromFile: boolean;
}

/** Lists of `parsers` and `multiline_parsers`, from wherever they come. */
export interface ParserSections {
  parsers: (Located & { fromFile: boolean })[];
  multiline: Located[];
  /** Files that were read. */
  files: string[];
}

/** Reads the files that `parsers_file` names. Relative ones are looked for beside the file that names them, then in the working directory. */
export async function readParserFiles(
  written: readonly Written[],
  sections: ParserSections,
  problems: Problems,
): Promise<void> {
  for (const { node, path } of written) {
    const beside = isAbsolute(node.text) ? node.text : join(dirname(node.place.source.file), node.text);
    const source = await readFirst([beside, node.text]);
    if (source instanceof UnreadableError) {
      if (source.missing && STOCK_FILE.test(node.text)) {
        problems.warn(
          node.place,
          path,
          `there is no ${node.text}: Fluent Bit's stock parsers are built in, remove the line`,
        );
      } else {
        problems.report(
          node.place,
          path,
          `the parsers file ${quoteText(node.text)} cannot be read: ${source.message}`,
        );
      }
      continue;
    }
    sections.files.push(source.file);
    const root = isClassic(source.text) ? readClassic(source, problems) : readYaml(source, problems);
    if (root === undefined) continue;
    if (root.kind !== 'map') {
      problems.report(
        root.place,
        '',
        `a parsers file is a map with parsers, and this is ${describeNode(root)}`,
      );
      continue;
    }
    for (const { key, place, value } of root.entries) {
      if (key.toLowerCase() === 'parsers') sections.parsers.push({ node: value, path: key, fromFile: true });
      else if (key.toLowerCase() === 'multiline_parsers') sections.multiline.push({ node: value, path: key });
      else
        problems.report(
          place,
          key,
          'a parsers file holds parsers and multiline_parsers: put everything else into the configuration',
        );
    }
  }
}

async function readFirst(files: readonly string[]): Promise<SourceText | UnreadableError> {
  let failure = new UnreadableError('there is no such file', true);
  for (const file of new Set(files)) {
    try {
      return await readSource(file);
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      if (!error.missing) return error;
      failure = error;
    }
  }
  return failure;
}

/** The parsers of all sections, by name. */
export function listParsers(sections: ParserSections, problems: Problems): Map<string, ParserItem> {
  const items = new Map<string, ParserItem>();
  for (const { node, path, fromFile } of sections.parsers) {
    for (const item of listMaps({ node, path }, 'a parser', problems)) {
      const entry = entryOf(item.node, 'name');
      const name = textOf(item.node, 'name');
      if (entry === undefined || name === undefined) {
        problems.report(
          entry?.place ?? item.node.place,
          item.path,
          'name is missing: a parser has name and format',
        );
        continue;
      }
      const other = items.get(name);
      if (other === undefined) {
        items.set(name, { ...item, name, namePlace: entry.value.place, fromFile });
        continue;
      }
      const { file, line } = other.namePlace.source.position(other.namePlace.offset);
      const message = `there is a parser ${quoteText(name)} already, in ${file}:${line}`;
      // Fluent Bit keeps the first; across files that is how a stock parser is replaced.
      if (other.namePlace.source === entry.value.place.source)
        problems.report(entry.value.place, `${item.path}.name`, `${message}: give one of them another name`);
      else problems.warn(entry.value.place, `${item.path}.name`, `${message}: this one is not used`);
    }
  }
  return items;
}

/** The maps of a list; all else is a problem. */
export function listMaps({ node, path }: Located, what: string, problems: Problems): Located<MapNode>[] {
  if (node.kind === 'scalar' && node.empty) return [];
  if (node.kind !== 'list') {
    problems.report(
      node.place,
      path,
      `a list is expected here, and this is ${describeNode(node)}: begin each item with a dash, - name: …`,
    );
    return [];
  }
  return node.items.flatMap((item: ConfigNode, index) => {
    if (item.kind === 'map') return [{ node: item, path: `${path}[${index}]` }];
    problems.report(
      item.place,
      `${path}[${index}]`,
      `${what} is a map that begins with - name: …, and this is ${describeNode(item)}`,
    );
    return [];
  });
}

/** Reads and checks one parser; undefined when it has an error. */
export async function readParser(
  item: ParserItem,
  plugins: Plugins,
  problems: Problems,
): Promise<ParserInstance | undefined> {
  const { node, path, name } = item;
  const format = entryOf(node, 'format');
  if (format === undefined || format.value.kind !== 'scalar' || format.value.empty) {
    problems.report(
      format?.place ?? node.place,
      path,
      `format is missing: write one of ${plugins.names('parser').join(', ')}`,
    );
    return undefined;
  }
  const definition = await plugins.find(
    'parser',
    { node: format.value, path: `${path}.${format.key}` },
    problems,
  );
  if (definition === undefined) return undefined;
  const options = readOptions({ node, path }, definition.options, {
    problems,
    owner: `a parser with format ${definition.name}`,
    skip: ['name', 'format'],
    unknown(key, place, keyPath) {
      if (!PARSER_KEYS.has(key.toLowerCase())) return undefined;
      problems.note(place, keyPath, `has no effect: a parser with format ${definition.name} does not use it`);
      return 'noted';
    },
  });
  if (!options.ok) return undefined;
  if (!checkPlugin({ definition, values: options.values, written: options.written, node, path }, problems))
    return undefined;
  const position = node.place.source.position(node.place.offset);
  const entries = options.written.map((written) => ({ key: written.key, value: written.node.text }));
  return {
    definition,
    name,
    options: options.values,
    entries,
    position,
    fingerprint: fingerprintOf(definition.name, options.written),
  };
}

/** A stock parser as if it were written. */
export function stockItem(stock: StockParser): ParserItem {
  const source = new SourceText(`stock parser ${stock.name}`, '');
  const place = { source, offset: 0 };
  const entries = Object.entries({ name: stock.name, format: stock.format, ...stock.options }).map(
    ([key, text]) => ({
      key,
      place,
      value: { kind: 'scalar', place, text, empty: false, secret: false } as const,
    }),
  );
  return {
    node: { kind: 'map', place, entries },
    path: `parsers.${stock.name}`,
    name: stock.name,
    namePlace: place,
    fromFile: true,
  };
}
