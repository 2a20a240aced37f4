/** Context phase for one instance: the plugin's own check, and the files that its TLS keys name. */
import { existsSync } from 'node:fs';
import type { OptionProblem, PluginDefinition } from '../plugin.ts';
import type { Item } from './items.ts';
import type { Problems } from './problem.ts';
import type { Written } from './read-options.ts';
import { quoteText } from './tree.ts';
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

/** Files of keys and certificates must be there. */
export function checkTlsFiles(items: readonly Item[], problems: Problems): void {
  for (const { definition, values, written } of items) {
    if (definition === undefined || !Object.hasOwn(definition.options, 'tls') || values['tls'] !== true)
      continue;
    for (const { key, node, path } of written) {
      if (!/^tls\.(?:ca_file|ca_path|crt_file|key_file)$/.test(key) || existsSync(node.text)) continue;
      problems.report(
        node.place,
        path,
        `there is no ${key === 'tls.ca_path' ? 'directory' : 'file'} ${quoteText(node.text)}: check the path`,
      );
    }
  }
}
