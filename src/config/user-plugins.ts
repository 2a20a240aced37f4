/**
 * Users' own plugins: `plugins: [./my-filter.ts, tailrace-plugin-x]`. A file or package whose default export is a plugin's
 * definition, or a list of them. It is code of whoever owns the configuration, and runs with the agent's rights.
 *
 * In such a module `tailrace` is this SDK, wherever the module lies: a filter beside the configuration needs no package.json.
 */
import { createRequire, findPackageJSON, registerHooks } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PluginDefinition } from '../plugin.ts';
import type { Section } from './documents.ts';
import type { Problems } from './problem.ts';
import type { ScalarNode } from './tree.ts';
import { describeNode } from './tree.ts';

const KINDS = new Set(['input', 'filter', 'output', 'parser']);

/** `.ts` from a checkout, `.js` in the package. */
const SDK = new URL(`../plugin${extname(import.meta.url)}`, import.meta.url).href;

let hooked = false;

/** The definitions of all `plugins` sections. What cannot be loaded is a problem at its line. */
export async function loadUserPlugins(
  sections: readonly Section[],
  problems: Problems,
): Promise<PluginDefinition[]> {
  const definitions: PluginDefinition[] = [];
  for (const { node, path } of sections) {
    if (node.kind === 'scalar' && node.empty) continue;
    if (node.kind !== 'list') {
      problems.report(
        node.place,
        path,
        `plugins is a list of files and packages, and this is ${describeNode(node)}: put a dash (-) before each`,
      );
      continue;
    }
    for (const [index, item] of node.items.entries()) {
      const itemPath = `${path}[${index}]`;
      if (item.kind !== 'scalar' || item.empty) {
        problems.report(
          item.place,
          itemPath,
          `a file or the name of a package is expected here, and this is ${describeNode(item)}`,
        );
      } else if (/\.(?:so|dll|dylib)$/.test(item.text)) {
        problems.report(
          item.place,
          itemPath,
          'this is a plugin for Fluent Bit (a C library), which Tailrace cannot load: a plugin of its own is a TypeScript or JavaScript file',
        );
      } else {
        definitions.push(...(await loadOne(item, itemPath, problems)));
      }
    }
  }
  return definitions;
}

async function loadOne(item: ScalarNode, path: string, problems: Problems): Promise<PluginDefinition[]> {
  if (!hooked) {
    hooked = true;
    registerHooks({
      resolve: (specifier, context, next) =>
        specifier === 'tailrace' ? { url: SDK, shortCircuit: true } : next(specifier, context),
    });
  }
  let exported: unknown;
  try {
    const loaded = (await import(locate(item.text, item.place.source.file))) as { default?: unknown };
    exported = loaded.default;
  } catch (error) {
    problems.report(item.place, path, `the plugin cannot be loaded: ${firstLine(error)}`);
    return [];
  }
  const found = Array.isArray(exported) ? (exported as unknown[]) : [exported];
  const definitions = found.filter(isDefinition);
  if (definitions.length < found.length || found.length === 0) {
    problems.report(
      item.place,
      path,
      'the default export is no plugin definition: write export default defineFilter({ … }), or defineInput, defineOutput, defineParser, or a list of these',
    );
  }
  return definitions;
}

/** The URL of a plugin's module; relative paths and packages are looked for from the configuration file on. */
function locate(specifier: string, configFile: string): string {
  const base = resolve(configFile);
  if (isAbsolute(specifier) || /^\.{1,2}\//.test(specifier) || /\.[cm]?[jt]s$/.test(specifier)) {
    return pathToFileURL(resolve(dirname(base), specifier)).href;
  }
  try {
    return pathToFileURL(createRequire(base).resolve(specifier)).href;
  } catch (error) {
    // A package that can only be imported, not required.
    const manifest =
      (error as NodeJS.ErrnoException).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'
        ? findPackageJSON(specifier, pathToFileURL(base))
        : undefined;
    if (manifest === undefined) throw error;
    const entry = importEntry((JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: unknown }).exports);
    if (entry === undefined) throw error;
    return pathToFileURL(join(dirname(manifest), entry)).href;
  }
}

/** The file for `import` in a package's `exports`. */
function importEntry(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  const conditions = exports as Record<string, unknown>;
  return importEntry(conditions['.'] ?? conditions['import'] ?? conditions['node'] ?? conditions['default']);
}

function isDefinition(value: unknown): value is PluginDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, name, options, create } = value as Partial<Record<string, unknown>>;
  return (
    typeof kind === 'string' &&
    KINDS.has(kind) &&
    typeof name === 'string' &&
    typeof options === 'object' &&
    options !== null &&
    Object.values(options).every(
      (option) => typeof option === 'object' && option !== null && 'spec' in option,
    ) &&
    typeof create === 'function'
  );
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split('\n', 1)[0] ?? '').replace(/ imported from .*$/, '');
}
