/**
 * The conditions of routes and processors:
 *
 *     condition:
 *       op: and                      # or `or`; default `and`
 *       rules:
 *         - { field: $level, op: in, value: [error, fatal] }
 *         - { field: $code, op: gte, value: 500, context: body }
 *
 * As in Fluent Bit a rule looks at the field as text: a missing field is the empty text, which as a number is 0, and so is any
 * text that does not start with a number. So `lt 5` holds for a record without the field.
 */
import type { ReadonlyRecord, ReadonlyValue } from '../event/record.ts';
import { AccessorSyntaxError, compileAccessor } from './accessor.ts';
import type { Accessor } from './accessor.ts';
import { textOf } from './text.ts';

/** Decides about one record; `metadata` is the event's, where it has any. */
export type Condition = (record: ReadonlyRecord, metadata?: ReadonlyRecord) => boolean;

/** A rule as written; values are still unchecked. */
export interface ConditionRule {
  field?: unknown;
  op?: unknown;
  value?: unknown;
  context?: unknown;
}

export interface ConditionDefinition {
  op?: unknown;
  rules?: unknown;
}

export interface ConditionOptions {
  /** Compiles a pattern; what it throws becomes a {@link ConditionError}. */
  regex: (pattern: string) => { test(text: string): boolean };
}

/** Thrown for a condition that is wrong; `path` leads to the offending key: `['rules', 1, 'op']`. */
export class ConditionError extends Error {
  override name = 'ConditionError';
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[]) {
    super(message);
    this.path = path;
  }
}

export const CONDITION_OPERATORS = [
  'eq',
  'neq',
  'gt',
  'gte',
  'lt',
  'lte',
  'in',
  'not_in',
  'regex',
  'not_regex',
] as const;
type Operator = (typeof CONDITION_OPERATORS)[number];

/** Where a rule looks: the record, or the metadata of its event. */
const CONTEXTS: Readonly<Record<string, 'body' | 'metadata'>> = {
  body: 'body',
  record: 'body',
  message: 'body',
  record_body: 'body',
  metadata: 'metadata',
  record_metadata: 'metadata',
  attributes: 'metadata',
};

/** Compiles a condition. Throws {@link ConditionError}. */
export function compileCondition(definition: ConditionDefinition, options: ConditionOptions): Condition {
  const op = definition.op === undefined ? 'and' : lower(definition.op);
  if (op !== 'and' && op !== 'or') {
    throw new ConditionError(`op is "and" or "or", found ${shown(definition.op)}.`, ['op']);
  }
  const { rules } = definition;
  if (!Array.isArray(rules) || rules.length === 0) {
    throw new ConditionError('A condition needs rules: a list of {field, op, value}.', ['rules']);
  }
  const tests = rules.map((rule: unknown, index) => compileRule(rule, ['rules', index], options));
  if (tests.length === 1) return tests[0] as Condition;
  if (op === 'and') {
    return (record, metadata) => {
      for (const test of tests) if (!test(record, metadata)) return false;
      return true;
    };
  }
  return (record, metadata) => {
    for (const test of tests) if (test(record, metadata)) return true;
    return false;
  };
}

function compileRule(rule: unknown, path: (string | number)[], options: ConditionOptions): Condition {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) {
    throw new ConditionError(`A rule is a map with field, op and value, found ${shown(rule)}.`, path);
  }
  const { field, op, value, context } = rule as ConditionRule;
  const access = compileField(field, [...path, 'field']);
  const operator = CONDITION_OPERATORS.find((name) => name === lower(op));
  if (operator === undefined) {
    throw new ConditionError(`op is one of ${CONDITION_OPERATORS.join(', ')}, found ${shown(op)}.`, [
      ...path,
      'op',
    ]);
  }
  const test = TESTS[operator](value, [...path, 'value'], options);
  const where = context === undefined ? 'body' : CONTEXTS[lower(context)];
  if (where === undefined) {
    throw new ConditionError(
      `context is body or metadata, found ${shown(context)}: events carry no group or OpenTelemetry scope here.`,
      [...path, 'context'],
    );
  }
  if (where === 'body') return (record) => test(access(record));
  return (_record, metadata) => test(metadata === undefined ? undefined : access(metadata));
}

function compileField(field: unknown, path: (string | number)[]): Accessor {
  if (typeof field !== 'string' || field === '') {
    throw new ConditionError(`field is a record accessor like $level, found ${shown(field)}.`, path);
  }
  try {
    return compileAccessor(field);
  } catch (error) {
    if (error instanceof AccessorSyntaxError) throw new ConditionError(`field: ${error.message}`, path);
    throw error;
  }
}

type Test = (value: ReadonlyValue | undefined) => boolean;

type TestCompiler = (value: unknown, path: (string | number)[], options: ConditionOptions) => Test;

const TESTS: Readonly<Record<Operator, TestCompiler>> = {
  eq: (value, path) => equals([scalar(value, path)]),
  neq: (value, path) => negated(equals([scalar(value, path)])),
  in: (value, path) => equals(list(value, path)),
  not_in: (value, path) => negated(equals(list(value, path))),
  gt: compares('gt', (value, limit) => value > limit),
  gte: compares('gte', (value, limit) => value >= limit),
  lt: compares('lt', (value, limit) => value < limit),
  lte: compares('lte', (value, limit) => value <= limit),
  regex: matches,
  not_regex: (value, path, options) => negated(matches(value, path, options)),
};

function negated(test: Test): Test {
  return (value) => !test(value);
}

function equals(wanted: readonly string[]): Test {
  const texts = new Set(wanted);
  // 500 and "500.0" are one number.
  const numbers = new Set(wanted.filter((text) => text.trim() !== '').map(Number));
  return (value) => {
    if (typeof value === 'number' && numbers.has(value)) return true;
    return texts.has(value === undefined ? '' : textOf(value));
  };
}

function compares(operator: Operator, holds: (value: number, limit: number) => boolean): TestCompiler {
  return (value, path) => {
    const wanted = scalar(value, path);
    const limit = Number(wanted);
    if (wanted.trim() === '' || Number.isNaN(limit)) {
      throw new ConditionError(`${operator} compares with a number, found "${wanted}".`, path);
    }
    return (field) => holds(numberOf(field), limit);
  };
}

function matches(value: unknown, path: (string | number)[], options: ConditionOptions): Test {
  const pattern = scalar(value, path);
  let regex: { test(text: string): boolean };
  try {
    regex = options.regex(pattern);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConditionError(`The regular expression "${pattern}" is not valid: ${reason}`, path);
  }
  return (field) => regex.test(field === undefined ? '' : textOf(field));
}

/** The number at the start of the text, 0 if there is none. */
function numberOf(value: ReadonlyValue | undefined): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return 0;
  const number = Number.parseFloat(value);
  return Number.isNaN(number) ? 0 : number;
}

function scalar(value: unknown, path: (string | number)[]): string {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  throw new ConditionError(`value is a text or a number, found ${shown(value)}.`, path);
}

function list(value: unknown, path: (string | number)[]): string[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConditionError(`value is a list with at least one entry, found ${shown(value)}.`, path);
  }
  return value.map((entry: unknown, index) => scalar(entry, [...path, index]));
}

function lower(value: unknown): string {
  return typeof value === 'string' ? value.toLowerCase() : '';
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value);
}
