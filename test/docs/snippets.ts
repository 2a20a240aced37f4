/** What the documentation shows as YAML, so that tests and the suite of the chart can hold it against what there is. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parse } from 'yaml';

export const ROOT = join(import.meta.dirname, '../..');

/** A fenced block that says `yaml`. */
export interface Snippet {
  /** `docs/syslog.md:10`: of the line of its fence. */
  at: string;
  text: string;
  /** What it is, by its keys. */
  kind: 'pipeline' | 'values' | 'manifest' | 'container' | 'foreign';
}

/** Keys at the top of a configuration, or of its pipeline where that word is left out. */
const PIPELINE = new Set(['pipeline', 'parsers', 'service', 'inputs', 'filters', 'outputs']);
const VALUES = new Set(
  Object.keys(
    parse(readFileSync(join(ROOT, 'helm/tailrace/values.yaml'), 'utf8')) as Record<string, unknown>,
  ),
);

/** Every page that a reader may come to. */
export function pages(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  return [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'helm/tailrace/README.md',
    'test/services/README.md',
    ...docs.filter((name) => name.endsWith('.md')).map((name) => join('docs', name)),
  ];
}

export function snippets(): Snippet[] {
  return pages().flatMap((page) => snippetsOf(readFileSync(join(ROOT, page), 'utf8'), page));
}

/** Throws where it cannot be said what a snippet is. */
export function snippetsOf(text: string, page: string): Snippet[] {
  return [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => {
    const [, yaml = ''] = match;
    const at = `${relative(ROOT, join(ROOT, page))}:${text.slice(0, match.index).split('\n').length}`;
    return { at, text: yaml, kind: kindOf(yaml, at) };
  });
}

function kindOf(yaml: string, at: string): Snippet['kind'] {
  // Of another program, which its first line names.
  if (yaml.startsWith('# Filebeat')) return 'foreign';
  const top = parse(yaml) as Record<string, unknown>;
  const keys = Object.keys(top);
  if (keys.includes('apiVersion')) return 'manifest';
  if (keys.length === 1 && Array.isArray(top['env'])) return 'container';
  if (keys.every((key) => PIPELINE.has(key))) return 'pipeline';
  if (keys.every((key) => VALUES.has(key))) return 'values';
  throw new Error(`${at} is neither a configuration nor values of the chart: ${keys.join(', ')}.`);
}
