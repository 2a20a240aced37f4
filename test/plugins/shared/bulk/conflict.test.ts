import { describe, expect, it } from 'vitest';
import { conflictingField, moveConflict } from '../../../../plugins/shared/bulk/conflict.ts';
import type { ReadonlyRecord } from '../../../../src/plugin.ts';
import { parseExact } from '../../../contract/support.ts';

describe('conflictingField', () => {
  // The words of Elasticsearch 9.5.3 and OpenSearch 3.8.0.
  it.each([
    [
      `[1:6] failed to parse field [n] of type [long] in document with id 'c0'. Preview of field's value: 'abc'`,
      'n',
    ],
    [
      `failed to parse field [l.m] of type [long] in document with id 'c6'. Preview of field's value: 'zz'`,
      'l.m',
    ],
    ['[1:6] object mapping for [o] tried to parse field [o] as object, but found a concrete value', 'o'],
    [
      'Could not dynamically add mapping for field [o.x.y]. Existing mapping for [o.x] must be of type object but found [long].',
      'o.x.y',
    ],
  ])('%s', (reason, field) => {
    expect(conflictingField(`document_parsing_exception: ${reason}`)).toBe(field);
  });

  it.each([
    'strict_dynamic_mapping_exception: [1:2] mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed',
    "document_parsing_exception: [1:20] Duplicate field '@timestamp'",
    '',
  ])('is about no field: %s', (reason) => {
    expect(conflictingField(reason)).toBeUndefined();
  });
});

describe('moveConflict', () => {
  const moved = (json: string, field: string): string | undefined =>
    moveConflict(parseExact(json) as ReadonlyRecord, field)?.toString();

  it.each([
    ['{"n":"y","m":1}', 'n', '{"m":1,"_conflict":{"n":"y"}}'],
    ['{"n":{"b":12345678901234567890}}', 'n', '{"_conflict":{"n":"{\\"b\\":12345678901234567890}"}}'],
    ['{"n":null}', 'n', '{"_conflict":{"n":"null"}}'],
    ['{"a":{"b":1,"c":2}}', 'a.b', '{"a":{"c":2},"_conflict":{"a_b":"1"}}'],
    ['{"a.b":1,"a":{"c":1}}', 'a.b', '{"a":{"c":1},"_conflict":{"a_b":"1"}}'],
    ['{"a":{"b.c":[1]}}', 'a.b.c', '{"a":{},"_conflict":{"a_b_c":"[1]"}}'],
    ['{"l":[{"m":1},{"m":"x"}]}', 'l.m', '{"_conflict":{"l_m":"[{\\"m\\":1},{\\"m\\":\\"x\\"}]"}}'],
    ['{"o.x.y":1}', 'o.x', '{"_conflict":{"o_x":"1"}}'],
    ['{"n":"y","_conflict":{"m":"1"}}', 'n', '{"_conflict":{"m":"1","n":"y"}}'],
  ])('%s, %s', (json, field, expected) => {
    expect(moved(json, field)).toBe(expected);
  });

  it.each([
    ['{"n":1}', 'm'],
    ['{"n":1,"_conflict":"mine"}', 'n'],
    ['{"a":1}', '__proto__.x'],
    ['{}', 'constructor'],
  ])('finds nothing to move: %s, %s', (json, field) => {
    expect(moved(json, field)).toBeUndefined();
  });
});
