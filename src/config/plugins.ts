/** Finds the definition of a plugin that a configuration names: the user's own, then the registry's. */
import type { PluginDefinition, PluginRegistry } from '../plugin.ts';
import type { Problems } from './problem.ts';
import { suggestion } from './suggest.ts';
import type { Located, ScalarNode } from './tree.ts';
import { quote } from './tree.ts';

export type PluginKind = PluginDefinition['kind'];
type DefinitionOf<K extends PluginKind> = Extract<PluginDefinition, { kind: K }>;

const KINDS: readonly PluginKind[] = ['input', 'filter', 'output', 'parser'];

export class Plugins {
  private readonly registry: PluginRegistry;
  private readonly own = new Map<string, PluginDefinition>();

  /** A module could not be loaded, which has been reported: a name that is missing may be from there. */
  private readonly incomplete: boolean;

  constructor(registry: PluginRegistry, own: readonly PluginDefinition[], incomplete: boolean) {
    this.registry = registry;
    this.incomplete = incomplete;
    for (const definition of own) {
      for (const name of [definition.name, ...(definition.aliases ?? [])])
        this.own.set(`${definition.kind} ${name.toLowerCase()}`, definition);
    }
  }

  /** All names of a kind. */
  names(kind: PluginKind): string[] {
    const own = [...this.own.keys()]
      .filter((key) => key.startsWith(`${kind} `))
      .map((key) => key.slice(kind.length + 1));
    return [...own, ...this.registry.names(kind)];
  }

  /** The plugin with a name; without one a problem is reported at `name`. */
  async find<K extends PluginKind>(
    kind: K,
    name: Located<ScalarNode>,
    problems: Problems,
  ): Promise<DefinitionOf<K> | undefined> {
    const wanted = name.node.text.trim().toLowerCase();
    const definition = await this.load(kind, wanted, name, problems);
    if (definition === 'broken') return undefined;
    if (definition === undefined && !this.incomplete)
      problems.report(name.node.place, name.path, this.explainMissing(kind, name.node));
    return definition as DefinitionOf<K> | undefined;
  }

  private async load(
    kind: PluginKind,
    wanted: string,
    { node, path }: Located<ScalarNode>,
    problems: Problems,
  ): Promise<PluginDefinition | undefined | 'broken'> {
    const own = this.own.get(`${kind} ${wanted}`);
    if (own !== undefined) return own;
    try {
      return await this.registry.load(kind, wanted);
    } catch (error) {
      problems.report(
        node.place,
        path,
        `the plugin ${wanted} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      );
      return 'broken';
    }
  }

  private explainMissing(kind: PluginKind, name: ScalarNode): string {
    const wanted = name.text.trim().toLowerCase();
    const later = this.registry.later?.(kind) ?? [];
    const known = later.find((plugin) => plugin.name === wanted);
    if (known !== undefined) {
      const where = kind === 'parser' ? 'format' : kind;
      const hint = known.hint === undefined ? '' : `: ${known.hint}`;
      return `Tailrace does not have the ${where} ${wanted} yet (Fluent Bit has it)${hint}; there are ${this.names(kind).join(', ')}`;
    }
    const elsewhere = KINDS.find(
      (other) => other !== kind && other !== 'parser' && this.names(other).includes(wanted),
    );
    if (elsewhere !== undefined && kind !== 'parser')
      return `${wanted} is ${article(elsewhere)}, no ${kind}: it belongs under pipeline.${elsewhere}s`;
    const meant =
      suggestion(wanted, this.names(kind)) ??
      suggestion(
        wanted,
        later.map((plugin) => plugin.name),
      );
    const what = kind === 'parser' ? 'format of a parser' : kind;
    return `unknown ${what} ${quote(name)}${meant === undefined ? `: there are ${this.names(kind).join(', ')}` : ` — did you mean "${meant}"?`}`;
  }

  /** What Fluent Bit's plugin of this name listens on, where ours is not there yet. */
  laterListener(kind: PluginKind, name: string): { port?: number; udp?: boolean } | undefined {
    return this.registry.later?.(kind).find((plugin) => plugin.name === name);
  }
}

function article(word: string): string {
  return /^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`;
}
