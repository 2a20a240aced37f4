/**
 * What property tests must leave out: V8 of Node 26.10 reads a key that is one escaped character as a backslash, where an object of the
 * same shape before it had that key. After `JSON.parse('{"x":1,"\\\\":2}')`, `JSON.parse('{"x":1,"\\"":2}')` has the key `\`.
 */

/** Whether a key is read as it is written. */
export function isReadRight(key: string): boolean {
  return key.length !== 1 || JSON.stringify(key).length === 3;
}

/** Whether all keys in a value are. */
export function readsRight(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => isReadRight(key) && readsRight(inner));
}
