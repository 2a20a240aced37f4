/** The shape of a log record: a plain JSON object, and the two traps of handling one. */

/** A value that a record can hold. Integers beyond 2^53 are bigint, so that their digits survive. */
export type Value = string | number | bigint | boolean | null | Value[] | LogRecord;

/** A record. Keys are data from outside: `__proto__` is a legal key, so write with {@link setKey} unless the key is a constant. */
export type LogRecord = { [key: string]: Value };

/** A record that its reader may not change. */
export type ReadonlyRecord = { readonly [key: string]: ReadonlyValue };
export type ReadonlyValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly ReadonlyValue[]
  | ReadonlyRecord;

/** Sets an own property, also for the key `__proto__`, which plain assignment would take for the prototype. */
export function setKey(record: LogRecord, key: string, value: Value): void {
  if (key === '__proto__') {
    Object.defineProperty(record, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  } else {
    record[key] = value;
  }
}

/** The own value of a key, never something inherited. */
export function getKey(record: ReadonlyRecord, key: string): ReadonlyValue | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Whether a value is a map (not null, not a list). */
export function isRecord(value: unknown): value is LogRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
