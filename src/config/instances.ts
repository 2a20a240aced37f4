/** Items that were read → instances of the checked definition. The item's definition is there and its options are right. */
import { createHash } from 'node:crypto';
import type { FilterDefinition, InputDefinition, OutputDefinition } from '../plugin.ts';
import type { FilterInstance, InputInstance, OutputInstance, RetryLimit } from './definition.ts';
import { defaultTag } from './items.ts';
import type { Item } from './items.ts';
import type { Written } from './read-options.ts';

export function inputInstance(item: Item, stateName: string): InputInstance {
  const { definition, values } = item;
  return {
    ...commonParts(item, stateName),
    definition: definition as InputDefinition,
    tag: (values['tag'] as string | undefined) ?? defaultTag(item),
    memBufLimit: values['mem_buf_limit'] as number,
    storageType: values['storage.type'] as InputInstance['storageType'],
    pauseOnChunks: values['storage.pause_on_chunks_overlimit'] as boolean,
  };
}

export function filterInstance(
  item: Item,
  stateName: string,
  matchRegex: RegExp | undefined,
): FilterInstance {
  return {
    ...commonParts(item, stateName),
    definition: item.definition as FilterDefinition,
    match: item.values['match'] as string | undefined,
    matchRegex,
  };
}

export function outputInstance(
  item: Item,
  stateName: string,
  matchRegex: RegExp | undefined,
): OutputInstance {
  const { values } = item;
  const workers = values['workers'] as number | undefined;
  return {
    ...commonParts(item, stateName),
    definition: item.definition as OutputDefinition,
    match: values['match'] as string | undefined,
    matchRegex,
    retryLimit: values['retry_limit'] as RetryLimit,
    retryMaxAge: values['retry_max_age'] as number,
    diskLimit: values['storage.total_limit_size'] as number,
    whenFull: values['storage.when_full'] as OutputInstance['whenFull'],
    onFailure: values['on_failure'] as string | undefined,
    // Fluent Bit's 0 means no thread of its own; the plugin's number is right for that.
    workers: workers === 0 ? undefined : workers,
  };
}

function commonParts(
  item: Item,
  stateName: string,
): Omit<FilterInstance, 'definition' | 'match' | 'matchRegex'> {
  const { node, name, values, written } = item;
  const own = item.definition?.options ?? {};
  return {
    options: Object.fromEntries(Object.keys(own).map((key) => [key, values[key]])),
    entries: written
      .filter(({ key }) => Object.hasOwn(own, key))
      .map(({ key, node: { text } }) => ({ key, value: text })),
    position: node.place.source.position(node.place.offset),
    fingerprint: fingerprintOf(item.definition?.name ?? '', written),
    name,
    alias: values['alias'] as string | undefined,
    stateName,
    logLevel: values['log_level'] as FilterInstance['logLevel'],
    logSuppressInterval: values['log_suppress_interval'] as number,
  };
}

/** A hash of all that is written about an instance, secrets included. */
export function fingerprintOf(name: string, written: readonly Written[]): string {
  return createHash('sha256')
    .update(JSON.stringify([name, ...written.map(({ key, node }) => [key, node.text])]))
    .digest('hex');
}
