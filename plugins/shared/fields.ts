/** What filters do with the fields of a record. */
import { isRecord, setKey } from '../../src/plugin.ts';
import type { LogRecord, Value } from '../../src/plugin.ts';

/** `"key":value` in JSON, ready to be spliced into a record's text. */
export function member(key: string, value: string): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}

/** A new record with the fields whose names are kept, in their order; values are shared. */
export function pick(record: LogRecord, keeps: (name: string) => boolean): LogRecord {
  const result: LogRecord = {};
  for (const name in record) if (keeps(name)) setKey(result, name, record[name] as Value);
  return result;
}

/** A deep copy. Not recursive: what comes from outside may be nested deeper than the stack. */
export function cloneValue(value: Value): Value {
  const root: { value: Value } = { value };
  const open: { into: LogRecord | Value[]; key: string | number; from: Value }[] = [
    { into: root, key: 'value', from: value },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { into, key, from } = next;
    if (Array.isArray(from)) {
      const list: Value[] = Array.from({ length: from.length }, () => null);
      place(into, key, list);
      for (const [index, item] of from.entries()) open.push({ into: list, key: index, from: item });
    } else if (isRecord(from)) {
      const copy: LogRecord = {};
      place(into, key, copy);
      // Placed before they are filled, so that the order of the fields stays.
      for (const name of Object.keys(from)) {
        setKey(copy, name, null);
        open.push({ into: copy, key: name, from: from[name] as Value });
      }
    } else {
      place(into, key, from);
    }
  }
  return root.value;
}

function place(into: LogRecord | Value[], key: string | number, value: Value): void {
  if (Array.isArray(into)) into[key as number] = value;
  else setKey(into, key as string, value);
}
