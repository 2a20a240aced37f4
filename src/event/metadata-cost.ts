/** What the metadata of a chunk's records costs: objects on the heap, unlike the records, which are bytes. An estimate, rounded up. */
import type { LogRecord, Value } from './record.ts';

/** An object or list, and a member of one: key and value. Bytes. */
const OBJECT = 64;
const MEMBER = 24;
/** A text beside its characters, which are one byte or two each. */
const TEXT = 16;

/** Bytes. What several records refer to counts once. */
export function metadataCost(metadata: readonly (LogRecord | undefined)[]): number {
  const seen = new Set<object>();
  let cost = metadata.length * 8;
  for (const entry of metadata) if (entry !== undefined) cost += costOf(entry, seen);
  return cost;
}

function costOf(value: Value, seen: Set<object>): number {
  if (typeof value === 'string') return TEXT + value.length;
  if (typeof value !== 'object' || value === null) return 0;
  if (seen.has(value)) return 0;
  seen.add(value);
  let cost = OBJECT;
  if (Array.isArray(value)) {
    for (const item of value) cost += MEMBER + costOf(item, seen);
    return cost;
  }
  for (const key of Object.keys(value)) cost += MEMBER + costOf(value[key] as Value, seen);
  return cost;
}
