/** Runs a plugin's own check (context phase) and puts its problems where they belong. */
import type { OptionProblem, PluginDefinition } from '../plugin.ts';
import type { Problems } from './problem.ts';
import type { Written } from './read-options.ts';
import type { MapNode } from './tree.ts';

export interface Checked {
  definition: PluginDefinition;
  values: Record<string, unknown>;
  written: readonly Written[];
  node: MapNode;
  path: string;
}

/** False when the plugin found an error. */
export function checkPlugin(
  { definition, values, written, node, path }: Checked,
  problems: Problems,
): boolean {
  const own = written.filter(({ key }) => Object.hasOwn(definition.options, key));
  let found: readonly OptionProblem[];
  try {
    found =
      definition.check?.(
        values,
        own.map((one) => ({ key: one.key, value: one.node.text })),
      ) ?? [];
  } catch (error) {
    found = [
      {
        message: `checking the options of ${definition.name} ended in a defect of the plugin: ${error instanceof Error ? error.message : String(error)}`,
      },
    ];
  }
  for (const { key, index, message, level } of found) {
    const entries = own.filter((one) => one.key === key);
    const at = entries[index ?? 0] ?? entries[0];
    const where = key === undefined || at !== undefined ? '' : `${key}: `;
    problems.report(at?.node.place ?? node.place, at?.path ?? path, `${where}${message.replace(/\.$/, '')}`, {
      level: level ?? 'error',
      secret: at?.secret ?? false,
    });
  }
  return found.every(({ level }) => level === 'warning');
}
