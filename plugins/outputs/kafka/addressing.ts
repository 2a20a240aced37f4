/** Where a record goes: its topic and the key of its message, by the options and by its fields. */
import type { ReadonlyRecord, Rejection, Slice } from '../../../src/plugin.ts';
import { isTopicName } from '../../shared/kafka/options.ts';
import { fieldReader, textOf } from './values.ts';

export interface AddressingOptions {
  /** The first is for records that name none. */
  topics: readonly string[];
  topicKey: string | undefined;
  /** Records may name topics that are not in the list. */
  dynamicTopic: boolean;
  messageKey: string | undefined;
  messageKeyField: string | undefined;
}

/** Topic and key of each record of an attempt. */
export interface Addresses {
  topic(index: number): string;
  key(index: number): Buffer | undefined;
  rejected: readonly Rejection[];
}

export type Address = (slices: readonly Slice[], records: number) => Addresses;

/** Of a name in a message. */
const SHOWN = 60;

export function makeAddressing(options: AddressingOptions): Address {
  const { topics, topicKey, messageKey, messageKeyField } = options;
  const defaultTopic = topics[0] ?? '';
  const fixedKey = messageKey === undefined ? undefined : Buffer.from(messageKey);
  if (topicKey === undefined && messageKeyField === undefined) {
    const same: Addresses = { topic: () => defaultTopic, key: () => fixedKey, rejected: [] };
    return () => same;
  }
  const known = new Set(topics);
  const readTopic = topicKey === undefined ? undefined : fieldReader(topicKey);
  const readKey = messageKeyField === undefined ? undefined : fieldReader(messageKeyField);

  /** The topic that a record names; undefined where it names one that cannot be. */
  const topicOf = (record: ReadonlyRecord): string | undefined => {
    const value = readTopic?.(record);
    if (typeof value !== 'string' || value === '') return defaultTopic;
    if (known.has(value)) return value;
    if (!options.dynamicTopic) return defaultTopic;
    return isTopicName(value) ? value : undefined;
  };

  return (slices, records) => {
    const named = Array.from({ length: records }, () => defaultTopic);
    const keys = Array.from({ length: records }, () => fixedKey);
    const rejected: Rejection[] = [];
    let index = 0;
    for (const slice of slices) {
      for (let at = 0; at < slice.length; at++, index++) {
        const record = slice.record(at);
        const topic = topicOf(record);
        if (topic === undefined) {
          const value = textOf(readTopic?.(record) ?? null).slice(0, SHOWN);
          rejected.push({
            index,
            reason: `No topic can be called ${JSON.stringify(value)}, as the record's ${topicKey ?? ''} says.`,
          });
        } else named[index] = topic;
        const key = readKey?.(record);
        if (key !== undefined && key !== null) keys[index] = Buffer.from(textOf(key));
      }
    }
    return { topic: (at) => named[at] ?? defaultTopic, key: (at) => keys[at], rejected };
  };
}
