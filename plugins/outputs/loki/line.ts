/** How a record becomes the text of a log line. */
import { valueToJson } from '../../../src/plugin.ts';
import type { ByteSink, ReadonlyRecord, ReadonlyValue, Slice, Value } from '../../../src/plugin.ts';
import { keyValueLine, parseItems } from './key-value.ts';
import type { Remove } from './removal.ts';

export interface LineOptions {
  format: 'json' | 'key_value';
  /** Of a record with a single key only the value; `raw`: texts without quotes. */
  dropSingleKey: 'off' | 'on' | 'raw';
  remove: Remove | undefined;
}

/**
 * Writes the line of a record to the sink. False when it is the record's own text, which then was not copied. `record` is the parsed
 * record where somebody has it already.
 */
export type WriteLine = (
  slice: Slice,
  index: number,
  record: ReadonlyRecord | undefined,
  sink: ByteSink,
) => boolean;

/** Compiles the options; undefined where all lines are the records' own texts. */
export function compileLine({ format, dropSingleKey, remove }: LineOptions): WriteLine | undefined {
  const drop = dropSingleKey !== 'off';
  if (format === 'key_value') {
    return (slice, index, _record, sink) => {
      const items = parseItems(slice.json(index));
      sink.text(keyValueLine(remove === undefined ? items : remove(items), drop));
      return true;
    };
  }
  if (!drop && remove === undefined) return undefined;
  return (slice, index, parsed, sink) => {
    const record = parsed ?? slice.record(index);
    const rest = remove === undefined ? record : remove(record);
    const only = drop ? onlyValue(rest) : undefined;
    if (only !== undefined) {
      const raw = dropSingleKey === 'raw' && typeof only === 'string';
      sink.text(raw ? only : valueToJson(only as Value));
      return true;
    }
    if (rest === record) return false;
    sink.text(valueToJson(rest as Value));
    return true;
  };
}

function onlyValue(record: ReadonlyRecord): ReadonlyValue | undefined {
  const keys = Object.keys(record);
  return keys.length === 1 ? record[keys[0] as string] : undefined;
}
