/** Reads a configuration file and all that it includes into one list of sections, in the order in which they count. */
import { realpathSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { readSource, UnreadableError } from './files.ts';
import type { Problems } from './problem.ts';
import type { Place } from './source-text.ts';
import { serviceOptions } from './service-options.ts';
import { suggestion } from './suggest.ts';
import type { ConfigNode, ListNode, Located } from './tree.ts';
import { describeNode } from './tree.ts';
import { readYaml } from './yaml-document.ts';

export const SECTIONS = [
  'env',
  'includes',
  'service',
  'pipeline',
  'parsers',
  'multiline_parsers',
  'plugins',
  'upstream_servers',
  'stream_processor',
  'customs',
  'extensions',
] as const;

export type SectionName = (typeof SECTIONS)[number];

const IN_PIPELINE = new Set(['inputs', 'filters', 'outputs', 'input', 'filter', 'output']);

/** A top-level section of one of the files. */
export interface Section extends Located {
  name: SectionName;
  /** The key's place. */
  place: Place;
  /** Includes between the file that was named first and this one: nearer sections win over farther ones. */
  depth: number;
}

export interface Documents {
  sections: Section[];
  /** Files that were read. */
  files: string[];
  /** A file is no valid YAML: what is missing in the sections cannot be told. */
  broken: boolean;
  /** There are keys at the top that are no sections: what seems to be missing may be under one of them. */
  unknownSections: boolean;
}

/** Reads `file` and its includes. Never rejects for what is in them. */
export async function readDocuments(file: string, problems: Problems): Promise<Documents> {
  const documents: Documents = { sections: [], files: [], broken: false, unknownSections: false };
  await new Reader(documents, problems).read(file, undefined, []);
  return documents;
}

class Reader {
  private readonly documents: Documents;
  private readonly problems: Problems;
  private readonly done = new Set<string>();

  constructor(documents: Documents, problems: Problems) {
    this.documents = documents;
    this.problems = problems;
  }

  /** `chain` holds the real paths of the files that led here; `from` the place that includes this one. */
  async read(file: string, from: Located | undefined, chain: readonly string[]): Promise<void> {
    let real: string;
    let root: ConfigNode | undefined;
    const errors = this.problems.errors;
    try {
      const source = await readSource(file);
      real = realpathSync(file);
      if (chain.includes(real)) {
        this.problems.report(
          from?.node.place,
          from?.path ?? '',
          `${file} includes itself in the end: the includes run in a circle`,
        );
        return;
      }
      if (this.done.has(real)) {
        this.problems.report(
          from?.node.place,
          from?.path ?? '',
          `${file} is included twice: its plugins would be there twice`,
        );
        return;
      }
      this.done.add(real);
      this.documents.files.push(file);
      root = readYaml(source, this.problems);
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      const message =
        from === undefined
          ? `Reading ${file}: ${error.message}.`
          : `${file} cannot be included: ${error.message}`;
      this.problems.report(from?.node.place, from?.path ?? '', message);
      this.documents.broken = true;
      return;
    }
    if (this.problems.errors > errors) this.documents.broken = true;
    if (root === undefined) return;
    if (root.kind !== 'map') {
      this.problems.report(
        root.place,
        '',
        `a configuration is a map of sections (service:, pipeline:, …), and this is ${describeNode(root)}`,
      );
      this.documents.broken = true;
      return;
    }
    const seen = new Set<string>();
    for (const { key, place, value } of root.entries) {
      const name = SECTIONS.find((section) => section === key.toLowerCase());
      if (name === undefined) {
        this.unknownSection(key, place);
      } else if (seen.has(name) && name !== 'pipeline') {
        this.problems.report(place, key, 'the section is there twice: put both into one');
      } else if (name === 'includes') {
        await this.include({ node: value, path: key }, file, [...chain, real]);
      } else {
        this.documents.sections.push({ name, node: value, path: key, place, depth: chain.length });
      }
      if (name !== undefined) seen.add(name);
    }
  }

  private unknownSection(key: string, place: Place): void {
    this.documents.unknownSections = true;
    if (IN_PIPELINE.has(key.toLowerCase())) {
      this.problems.report(
        place,
        key,
        `unknown section: ${key.toLowerCase().replace(/s?$/, 's')} belong under pipeline`,
      );
      return;
    }
    if (Object.hasOwn(serviceOptions, key.toLowerCase())) {
      this.problems.report(place, key, 'unknown section: this is a key of the section service');
      return;
    }
    const meant = suggestion(key, SECTIONS);
    this.problems.report(
      place,
      key,
      `unknown section${meant === undefined ? `: there are ${SECTIONS.join(', ')}` : ` — did you mean "${meant}"?`}`,
    );
  }

  private async include({ node, path }: Located, file: string, chain: readonly string[]): Promise<void> {
    if (node.kind === 'map') {
      this.problems.report(
        node.place,
        path,
        'includes is a list of files, and this is a map: put a dash (-) before each file',
      );
      return;
    }
    if (node.kind === 'scalar' && node.empty) return;
    const list: ListNode = node.kind === 'list' ? node : { kind: 'list', place: node.place, items: [node] };
    for (const [index, item] of list.items.entries()) {
      const itemPath = node.kind === 'list' ? `${path}[${index}]` : path;
      if (item.kind !== 'scalar' || item.text.trim() === '') {
        this.problems.report(
          item.place,
          itemPath,
          `a file name is expected here, and this is ${describeNode(item)}`,
        );
      } else if (item.text.includes('${')) {
        this.problems.report(
          item.place,
          itemPath,
          'variables are not filled in here, for they may be defined in the files that are included: write the path itself',
        );
      } else {
        await this.includeOne(item.text, { node: item, path: itemPath }, file, chain);
      }
    }
  }

  private async includeOne(
    written: string,
    from: Located,
    file: string,
    chain: readonly string[],
  ): Promise<void> {
    const target = isAbsolute(written) ? written : join(dirname(file), written);
    if (!/[*?[\]{}]/.test(written)) {
      await this.read(target, from, chain);
      return;
    }
    const found: string[] = [];
    for await (const match of glob(target)) found.push(match);
    found.sort();
    if (found.length === 0) this.problems.warn(from.node.place, from.path, `${target} matches no file`);
    for (const match of found) {
      // A pattern that takes in the including file itself does not mean it.
      if (!chain.includes(realpathSync(match))) await this.read(match, from, chain);
    }
  }
}
