/** `replace_dots`: keys without dots, at every depth, as text. Where two keys become one, the second gets another `_`. */
import { recordToJson, setKey } from '../../../src/plugin.ts';
import type { LogRecord, ReadonlyRecord, ReadonlyValue, Value } from '../../../src/plugin.ts';

/** The JSON text of a record, with `_` for every dot in a key. */
export function withoutDots(record: ReadonlyRecord): Buffer {
  return Buffer.from(recordToJson(replaced(record) as LogRecord));
}

function replaced(value: ReadonlyValue): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map(replaced);
  const result: LogRecord = {};
  for (const [key, member] of Object.entries(value)) {
    let name = key.replaceAll('.', '_');
    while (name !== key && (Object.hasOwn(result, name) || Object.hasOwn(value, name))) name += '_';
    setKey(result, name, replaced(member));
  }
  return result;
}

function isList(value: ReadonlyRecord | readonly ReadonlyValue[]): value is readonly ReadonlyValue[] {
  return Array.isArray(value);
}
