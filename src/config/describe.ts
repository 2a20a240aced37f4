/** What a plugin is and takes, as data: for `tailrace plugins` and the reference pages. */
import type { PluginDefinition } from '../plugin.ts';
import type { OptionFields } from './options.ts';
import { sharedOptions } from './shared-options.ts';

export interface OptionDescription {
  key: string;
  aliases: readonly string[];
  /** In the reference's words; an enumeration with its words. */
  type: string;
  /** As it would be written. */
  default: string | undefined;
  description: string;
  required: boolean;
  /** May be given as a list. */
  multiple: boolean;
  deprecated: string | undefined;
  /** Why the key has no effect. */
  ignored: string | undefined;
}

export interface PluginDescription {
  kind: PluginDefinition['kind'];
  name: string;
  aliases: readonly string[];
  summary: string;
  example: string | undefined;
  /** The plugin's own options. */
  options: OptionDescription[];
  /** What all plugins of its kind take; those that the plugin declares itself are left out. */
  shared: OptionDescription[];
}

export function describePlugin({
  kind,
  name,
  aliases = [],
  summary,
  example,
  options,
}: PluginDefinition): PluginDescription {
  const shared = kind === 'parser' ? {} : sharedOptions[kind];
  return {
    kind,
    name,
    aliases,
    summary,
    example,
    options: describeOptions(options),
    shared: describeOptions(
      Object.fromEntries(Object.entries(shared).filter(([key]) => !Object.hasOwn(options, key))),
    ),
  };
}

export function describeOptions(fields: OptionFields): OptionDescription[] {
  return Object.entries(fields).map(([key, { spec }]) => ({
    key,
    aliases: spec.aliases,
    type: spec.values === undefined ? spec.type : spec.values.join(' | '),
    default: spec.defaultText,
    description: spec.description,
    required: spec.required,
    multiple: spec.multiple,
    deprecated: spec.deprecated,
    ignored: spec.ignored,
  }));
}
