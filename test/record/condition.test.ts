import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../src/event/record.ts';
import { compileCondition, ConditionError } from '../../src/record/condition.ts';
import type { ConditionDefinition } from '../../src/record/condition.ts';

const options = { regex: (pattern: string) => new RegExp(pattern) };

function holds(definition: ConditionDefinition, record: LogRecord, metadata?: LogRecord): boolean {
  return compileCondition(definition, options)(record, metadata);
}

function rule(op: string, value: unknown, field = '$f'): ConditionDefinition {
  return { rules: [{ field, op, value }] };
}

describe('operators', () => {
  it.each<[string, unknown, LogRecord, boolean]>([
    ['eq', 'error', { f: 'error' }, true],
    ['EQ', 'error', { f: 'ERROR' }, false],
    ['eq', 500, { f: 500 }, true],
    ['eq', 500, { f: '500' }, true],
    ['eq', '404.50', { f: 404.5 }, true],
    ['eq', 'true', { f: true }, true],
    ['eq', 'null', { f: null }, true],
    ['eq', '12345678901234567890', { f: 12345678901234567890n }, true],
    ['eq', '{"a":1}', { f: { a: 1 } }, true],
    ['eq', 'x', {}, false],
    ['neq', 'x', { f: 'y' }, true],
    ['neq', 'x', {}, true],
    ['gt', 5, { f: 6 }, true],
    ['gt', 5, { f: 5 }, false],
    ['gte', 404.5, { f: 404.5 }, true],
    ['gte', '404.5', { f: '500 ms' }, true],
    ['gte', 404.5, { f: true }, false],
    ['gte', 0, {}, true],
    ['lt', 5, { f: '4' }, true],
    ['lt', 5, {}, true],
    ['lt', 5, { f: 'no number' }, true],
    ['lt', -5, {}, false],
    ['lte', 5, { f: 5n }, true],
    ['lte', 5, { f: 5.1 }, false],
    ['regex', '^(error|fatal)$', { f: 'fatal' }, true],
    ['regex', '^4', { f: 404 }, true],
    ['regex', '.', {}, false],
    ['not_regex', '.', {}, true],
    ['not_regex', 'a', { f: 'a' }, false],
    ['in', ['a', 7], { f: 7 }, true],
    ['in', ['a', 7], { f: 'b' }, false],
    ['not_in', ['a', 7], { f: 'b' }, true],
    ['not_in', ['a', 7], { f: '7' }, false],
    ['not_in', ['a'], {}, true],
  ])('%s %j on %j is %s', (op, value, record, result) => {
    expect(holds(rule(op, value), record)).toBe(result);
  });

  it('looks into nested fields', () => {
    expect(holds(rule('eq', 'x', "$r['ip'][0]"), { r: { ip: ['x'] } })).toBe(true);
  });
});

describe('rules together', () => {
  const rules = [
    { field: '$a', op: 'eq', value: 1 },
    { field: '$b', op: 'eq', value: 2 },
  ];

  it.each<[unknown, LogRecord, boolean]>([
    ['and', { a: 1, b: 2 }, true],
    ['and', { a: 1 }, false],
    [undefined, { a: 1 }, false],
    ['OR', { b: 2 }, true],
    ['or', {}, false],
  ])('%s on %j is %s', (op, record, result) => {
    expect(holds({ op, rules }, record)).toBe(result);
  });

  it.each(['metadata', 'record_metadata', 'Attributes'])(
    'look at the metadata with the context %s',
    (context) => {
      const definition = { rules: [{ field: '$f', op: 'eq', value: 'x', context }] };
      expect(holds(definition, { f: 'y' }, { f: 'x' })).toBe(true);
      expect(holds(definition, { f: 'x' }, { f: 'y' })).toBe(false);
      expect(holds(definition, { f: 'x' })).toBe(false);
    },
  );
});

describe('mistakes', () => {
  it.each<[ConditionDefinition, (string | number)[], string]>([
    [{ op: 'xor', rules: [] }, ['op'], 'op is "and" or "or", found "xor".'],
    [{ rules: [] }, ['rules'], 'A condition needs rules'],
    [{}, ['rules'], 'A condition needs rules'],
    [{ rules: ['x'] }, ['rules', 0], 'found "x"'],
    [{ rules: [{ op: 'eq', value: 1 }] }, ['rules', 0, 'field'], 'found nothing'],
    [rule('eq', 1, '$a.b'), ['rules', 0, 'field'], 'cannot follow'],
    [rule('equals', 1), ['rules', 0, 'op'], 'op is one of eq, neq'],
    [rule('eq', undefined), ['rules', 0, 'value'], 'found nothing'],
    [rule('eq', ''), ['rules', 0, 'value'], 'found ""'],
    [rule('gt', 'many'), ['rules', 0, 'value'], 'gt compares with a number, found "many".'],
    [rule('in', 'a'), ['rules', 0, 'value'], 'a list'],
    [rule('in', ['a', {}]), ['rules', 0, 'value', 1], 'found {}'],
    [rule('regex', '('), ['rules', 0, 'value'], 'The regular expression "(" is not valid'],
    [
      { rules: [{ field: '$f', op: 'eq', value: 1, context: 'group_metadata' }] },
      ['rules', 0, 'context'],
      'no group',
    ],
  ])('%j', (definition, path, message) => {
    let error: unknown;
    try {
      compileCondition(definition, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConditionError);
    expect(error).toMatchObject({ path, message: expect.stringContaining(message) });
  });
});
