/** `tailrace plugins`: what is there, and the options of one plugin, both from the plugins' own declarations. */
import { registry } from '../../plugins/index.ts';
import { describePlugin } from '../config/describe.ts';
import type { OptionDescription } from '../config/describe.ts';
import type { PluginDefinition, PluginRegistry } from '../plugin.ts';
import { EXIT, UserError } from './exit.ts';
import type { ExitCode } from './exit.ts';

const KINDS = ['input', 'parser', 'filter', 'output'] as const;

export async function plugins(name?: string): Promise<ExitCode> {
  process.stdout.write(
    name === undefined ? await list(registry) : await describe(registry, name.toLowerCase()),
  );
  return EXIT.ok;
}

/** The plugins of a kind, each once, in alphabetical order. */
export async function definitions(
  from: PluginRegistry,
  kind: (typeof KINDS)[number],
): Promise<PluginDefinition[]> {
  const found = new Map<string, PluginDefinition>();
  for (const name of from.names(kind)) {
    const definition = await from.load(kind, name);
    if (definition !== undefined) found.set(definition.name, definition);
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function list(from: PluginRegistry): Promise<string> {
  let text = '';
  for (const kind of KINDS) {
    const found = await definitions(from, kind);
    if (found.length === 0) continue;
    text += `${kind}s\n`;
    for (const { name, summary } of found) text += `  ${name.padEnd(18)} ${summary}\n`;
    text += '\n';
  }
  return `${text}Options of one: tailrace plugins NAME\n`;
}

async function describe(from: PluginRegistry, name: string): Promise<string> {
  const found: PluginDefinition[] = [];
  for (const kind of KINDS) {
    const definition = await from.load(kind, name);
    if (definition !== undefined) found.push(definition);
  }
  if (found.length === 0) {
    throw new UserError(`There is no plugin "${name}". See what is there: tailrace plugins`, EXIT.usage);
  }
  return found.map((definition) => describeOne(definition)).join('\n');
}

function describeOne(definition: PluginDefinition): string {
  const { kind, name, aliases, summary, options, shared, example } = describePlugin(definition);
  const also = aliases.length === 0 ? '' : ` (also: ${aliases.join(', ')})`;
  let text = `${kind} ${name}${also}: ${summary}\n`;
  const effective = options.filter(({ ignored }) => ignored === undefined);
  for (const option of effective) text += describeOption(option);
  const ignored = options.filter((option) => option.ignored !== undefined).map(({ key }) => key);
  if (ignored.length > 0) text += `\n  Accepted without effect: ${ignored.join(', ')}\n`;
  if (shared.length > 0) {
    const keys = shared.filter((option) => option.ignored === undefined).map(({ key }) => key);
    text += `\n  Every ${kind} also takes: ${keys.join(', ')}\n`;
  }
  if (example !== undefined) text += `\nExample:\n${example.trimEnd().replaceAll(/^/gm, '  ')}\n`;
  return text;
}

function describeOption(option: OptionDescription): string {
  const parts = [option.type];
  if (option.multiple && option.type !== 'list') parts.push('may be a list');
  if (option.required) parts.push('required');
  if (option.default) parts.push(`default ${option.default}`);
  let text = `\n  ${[option.key, ...option.aliases].join(', ')}  (${parts.join('; ')})\n`;
  if (option.description !== '') text += `      ${option.description}\n`;
  if (option.deprecated !== undefined) text += `      Deprecated: ${option.deprecated}\n`;
  return text;
}
