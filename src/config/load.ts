/**
 * Loads a configuration: a checked definition of the pipeline, or all that is wrong with it, each with its place.
 *
 * Three phases: *structure* (files, YAML, variables, keys and values), *context* (names, tags, ports, parsers, what the plugins
 * check themselves), *build*, which is the pipeline's. This module does the first two.
 */
import type { PluginRegistry } from '../plugin.ts';
import { checkOnFailure } from './check-on-failure.ts';
import { checkNames, stateNames } from './check-names.ts';
import { checkPlugin, checkTlsFiles } from './check-plugin.ts';
import { checkPorts } from './check-ports.ts';
import { checkRouting } from './check-routing.ts';
import type { ParserInstance, PipelineDefinition } from './definition.ts';
import { readDocuments } from './documents.ts';
import type { Documents, Section, SectionName } from './documents.ts';
import { Environment } from './environment.ts';
import { filterInstance, inputInstance, outputInstance } from './instances.ts';
import { readItems } from './items.ts';
import type { Item } from './items.ts';
import { checkMultilineNames, checkMultilineParsers } from './multiline-parsers.ts';
import { listParsers, readParserFiles } from './parsers.ts';
import type { ParserSections } from './parsers.ts';
import { Plugins } from './plugins.ts';
import type { Problem } from './problem.ts';
import { Problems } from './problem.ts';
import { readService } from './service.ts';
import type { Service } from './service.ts';
import { readParsers } from './used-parsers.ts';
import { checkLaterSections, checkStructured } from './structured.ts';
import { entryOf, isEmpty } from './tree.ts';
import type { Matcher } from './tags.ts';
import { describeRegexError, placeOfRegexError } from './regex-error.ts';
import { loadUserPlugins } from './user-plugins.ts';

export interface LoadOptions {
  /** The process's environment. */
  env: Readonly<Record<string, string | undefined>>;
  registry: PluginRegistry;
  /** Compiles the regular expressions of `match_regex`; throws an Error with a sentence. Without it they are JavaScript's. */
  compileRegex?: (pattern: string) => RegExp;
}

export interface LoadResult {
  /** Undefined when there is an error. */
  definition: PipelineDefinition | undefined;
  /** All of them, in the order of files and lines. */
  problems: Problem[];
}

/** Loads a configuration file. Never rejects for what stands in it. */
export async function loadConfig(file: string, options: LoadOptions): Promise<LoadResult> {
  const problems = new Problems();
  const documents = await readDocuments(file, problems);
  // With half of the text missing, all else that could be said might be wrong.
  if (documents.broken) return { definition: undefined, problems: problems.sorted(documents.files) };
  const definition = await new Loader(file, documents, options, problems).load();
  return {
    definition: problems.errors === 0 ? definition : undefined,
    problems: problems.sorted([...documents.files, ...(definition?.files ?? [])]),
  };
}

class Loader {
  private readonly file: string;
  private readonly documents: Documents;
  private readonly options: LoadOptions;
  private readonly problems: Problems;
  private readonly compileRegex: (pattern: string) => RegExp;

  constructor(file: string, documents: Documents, options: LoadOptions, problems: Problems) {
    this.file = file;
    this.documents = documents;
    this.options = options;
    this.problems = problems;
    this.compileRegex =
      options.compileRegex ?? ((pattern) => new RegExp(pattern.replace(/^\/(.*)\/$/s, '$1')));
  }

  async load(): Promise<PipelineDefinition | undefined> {
    const { problems, options } = this;
    const sections = await this.fillVariables();
    const named = (name: SectionName): Section[] => sections.filter((section) => section.name === name);
    const service = readService(named('service'), problems);
    const errors = problems.errors;
    const own = await loadUserPlugins(named('plugins'), problems);
    const plugins = new Plugins(options.registry, own, problems.errors > errors);
    const parserSections: ParserSections = {
      parsers: named('parsers').map(({ node, path }) => ({ node, path, fromFile: false })),
      multiline: named('multiline_parsers'),
      files: [],
    };
    await readParserFiles(service.parsersFiles, parserSections, problems);
    const parserItems = listParsers(parserSections, problems);
    const multiline = checkMultilineParsers(parserSections.multiline, this.compileRegex, problems);
    checkLaterSections(sections, problems);
    const items = await readItems(named('pipeline'), plugins, problems);
    checkStructured(items, problems);
    this.checkPresence(items, named('pipeline'));

    const matchers = this.compileMatches(items);
    for (const item of items) {
      const { definition, values, written, node, path } = item;
      if (
        definition !== undefined &&
        item.ok &&
        !checkPlugin({ definition, values, written, node, path }, problems)
      )
        item.ok = false;
    }
    checkMultilineNames(items, multiline, problems);
    const parsers = await readParsers({
      items,
      defined: parserItems,
      plugins,
      registry: options.registry,
      problems,
    });
    this.checkContext(items, matchers, service, plugins);
    const names = stateNames(items, problems);
    if (problems.errors > 0) return undefined;
    return this.define({ items, matchers, names, parsers, service, files: parserSections.files });
  }

  /** All sections with their variables filled in; those of `env` are defined first, nearer files before farther ones. */
  private async fillVariables(): Promise<Section[]> {
    const { problems } = this;
    const environment = new Environment(this.options.env);
    const own = this.documents.sections
      .filter(({ name }) => name === 'env')
      .toSorted((a, b) => a.depth - b.depth);
    for (const section of own) await environment.define(section, problems);
    return this.documents.sections
      .filter(({ name }) => name !== 'env' && name !== 'extensions')
      .map(({ name, node, path, place, depth }) => {
        return { name, node: environment.fill(node, path, problems), path, place, depth };
      });
  }

  private checkPresence(items: readonly Item[], pipelines: readonly Section[]): void {
    const { problems } = this;
    const [pipeline] = pipelines;
    if (pipeline === undefined) {
      const [section] = this.documents.sections;
      if (this.documents.unknownSections) return;
      problems.report(
        section?.place,
        '',
        `${section === undefined ? `${this.file} is empty` : 'the section pipeline is missing'}: write pipeline: with inputs and outputs`,
      );
      return;
    }
    for (const kind of ['input', 'output'] as const) {
      if (items.some((item) => item.kind === kind)) continue;
      // A list that is mistyped or has no valid item has been reported.
      const lists = pipelines.flatMap(({ node }) => (node.kind === 'map' ? node.entries : []));
      const reported = lists.some(
        ({ key, value }) =>
          !['inputs', 'filters', 'outputs'].includes(key.toLowerCase()) ||
          (key.toLowerCase() === `${kind}s` && !isEmpty(value)),
      );
      if (!reported)
        problems.report(
          pipeline.place,
          pipeline.path,
          `the pipeline has no ${kind}: write ${kind}s: with at least one`,
        );
    }
  }

  /** What filters and outputs take; those whose expression is wrong are missing. */
  private compileMatches(items: readonly Item[]): Map<Item, Matcher & { matchRegex: RegExp | undefined }> {
    const matchers = new Map<Item, Matcher & { matchRegex: RegExp | undefined }>();
    for (const item of items) {
      if (item.kind === 'input') continue;
      // A match that could not be read could have been anything.
      if (item.values['match'] === undefined && entryOf(item.node, 'match') !== undefined) continue;
      const written = item.written.find(({ key }) => key === 'match_regex');
      const match = item.values['match'] as string | undefined;
      try {
        matchers.set(item, {
          match,
          matchRegex: written === undefined ? undefined : this.compileRegex(written.node.text),
        });
      } catch (error) {
        const place = written === undefined ? item.node.place : placeOfRegexError(error, written.node);
        this.problems.report(place, written?.path ?? item.path, describeRegexError(error));
      }
    }
    return matchers;
  }

  private checkContext(
    items: readonly Item[],
    matchers: ReadonlyMap<Item, Matcher>,
    service: Service,
    plugins: Plugins,
  ): void {
    const { problems } = this;
    checkNames(items, problems);
    checkOnFailure(items, problems);
    checkRouting(items, matchers, problems);
    checkPorts(items, service.options, service.httpPort, plugins, problems);
    checkTlsFiles(items, problems);
  }

  private define(parts: {
    items: readonly Item[];
    matchers: ReadonlyMap<Item, { matchRegex: RegExp | undefined }>;
    names: ReadonlyMap<Item, string>;
    parsers: readonly ParserInstance[];
    service: Service;
    files: readonly string[];
  }): PipelineDefinition {
    const { items, matchers, names, parsers, service, files } = parts;
    const of = (kind: Item['kind']): Item[] => items.filter((item) => item.kind === kind);
    const regex = (item: Item): RegExp | undefined => matchers.get(item)?.matchRegex;
    const nameOf = (item: Item): string => names.get(item) ?? item.name;
    return {
      file: this.file,
      files: [...new Set([...this.documents.files, ...files])],
      service: service.options,
      parsers,
      inputs: of('input').map((item) => inputInstance(item, nameOf(item))),
      filters: of('filter').map((item) => filterInstance(item, nameOf(item), regex(item))),
      outputs: of('output').map((item) => outputInstance(item, nameOf(item), regex(item))),
    };
  }
}
