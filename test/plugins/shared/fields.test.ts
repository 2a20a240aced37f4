import { expect, it } from 'vitest';
import { cloneValue, pick } from '../../../plugins/shared/fields.ts';
import { parseExact } from '../../../src/event/json.ts';
import type { LogRecord, Value } from '../../../src/plugin.ts';

it('picks fields in their order', () => {
  const record = parseExact('{"b":1,"__proto__":2,"a":3}') as LogRecord;
  expect(JSON.stringify(pick(record, (name) => name !== 'b'))).toBe('{"__proto__":2,"a":3}');
});

it.each([
  '1',
  '"x"',
  'null',
  '12345678901234567890',
  '[1,[2,{"a":[]}],{}]',
  '{"b":{"__proto__":{"c":1}},"a":[null]}',
])('clones %s', (text) => {
  const value = parseExact(text);
  const clone = cloneValue(value);
  expect(JSON.stringify(clone)).toBe(text);
});

it('clones what nests deeper than the stack', () => {
  let deep: Value = 'bottom';
  for (let level = 0; level < 100_000; level++) deep = [deep];
  let clone = cloneValue(deep);
  while (Array.isArray(clone)) clone = clone[0] as Value;
  expect(clone).toBe('bottom');
});

it('shares nothing with its original', () => {
  const value = { a: [{ b: 1 }] };
  const clone = cloneValue(value);
  value.a[0] = { b: 2 };
  value.a.push({ b: 3 });
  expect(clone).toEqual({ a: [{ b: 1 }] });
});
