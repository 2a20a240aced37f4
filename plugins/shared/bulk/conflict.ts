/**
 * Mapping conflicts: a field that the index has as a number, and the record as a text. `on_mapping_conflict: stringify` moves such a field
 * under `_conflict`, as text:
 *
 *     {"took":"soon","log":"a"}  →  {"log":"a","_conflict":{"took":"soon"}}
 *
 * Which field it is stands in the server's reason alone; the words are those of Elasticsearch 7 to 9 and OpenSearch 1 to 3.
 */
import { isRecord, recordToJson, setKey, valueToJson } from '../../../src/plugin.ts';
import type { LogRecord, ReadonlyRecord, Value } from '../../../src/plugin.ts';

const CONFLICT_KEY = '_conflict';

/** Each names the field. The first that fits counts. */
const REASONS = [
  /failed to parse field \[(.+?)\] of type \[/,
  /object mapping for \[.+?\] tried to parse field \[(.+?)\] as object/,
  /object mapping \[(.+?)\] can't be changed/,
  /Could not dynamically add mapping for field \[(.+?)\]\. Existing mapping for/,
  /mapper \[(.+?)\] cannot be changed from type/,
  /mapper \[(.+?)\] of different type/,
];

/** The field that a reason names; undefined when it is about something else. */
export function conflictingField(reason: string): string | undefined {
  for (const pattern of REASONS) {
    const field = pattern.exec(reason)?.[1];
    if (field !== undefined) return field;
  }
  return undefined;
}

/** The record's JSON text with the field moved; undefined where the field is not found, or `_conflict` holds something else. */
export function moveConflict(record: ReadonlyRecord, field: string): Buffer | undefined {
  // Decoded for this alone.
  const changed = record as LogRecord;
  const taken = takeOut(changed, field);
  if (taken === undefined) return undefined;
  const own = Object.hasOwn(changed, CONFLICT_KEY) ? changed[CONFLICT_KEY] : undefined;
  if (own !== undefined && !isRecord(own)) return undefined;
  const conflicts: LogRecord = own ?? {};
  // With dots, the store would make objects of it, which are a conflict again.
  setKey(conflicts, field.replaceAll('.', '_'), typeof taken === 'string' ? taken : valueToJson(taken));
  changed[CONFLICT_KEY] = conflicts;
  return Buffer.from(recordToJson(changed));
}

/**
 * Takes a field out by its path in the mapping, where `a.b` may be a key with a dot, or a key of a map; a field of maps in a list goes with
 * the whole list.
 */
function takeOut(map: LogRecord, path: string): Value | undefined {
  if (Object.hasOwn(map, path)) return remove(map, path);
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const key = path.slice(0, dot);
    if (!Object.hasOwn(map, key)) continue;
    const value = map[key];
    if (Array.isArray(value)) return remove(map, key);
    if (!isRecord(value)) continue;
    const taken = takeOut(value, path.slice(dot + 1));
    if (taken !== undefined) return taken;
  }
  return longerKey(map, path);
}

/** The store has `a` as a number and the record a key `a.b`, which it reads as a map under `a`. */
function longerKey(map: LogRecord, path: string): Value | undefined {
  const key = Object.keys(map).find((name) => name.startsWith(`${path}.`));
  return key === undefined ? undefined : remove(map, key);
}

function remove(map: LogRecord, key: string): Value | undefined {
  const value = map[key];
  delete map[key];
  return value;
}
