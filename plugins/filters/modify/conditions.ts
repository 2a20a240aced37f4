/** The conditions of modify. Values match as texts; `true` and `false` are texts to a regular expression, numbers never match. */
import { compileAccessor } from '../../../src/plugin.ts';
import type { ReadonlyRecord, ReadonlyValue } from '../../../src/plugin.ts';
import { compilePattern, UNBOUNDED_WARNING } from '../../shared/pattern.ts';
import type { Pattern } from '../../shared/pattern.ts';
import { requireParameters, RuleError } from './rule-error.ts';

export type RecordTest = (record: ReadonlyRecord) => boolean;

interface Kind {
  takes: readonly string[];
  compile(a: string, b: string, pattern: (text: string) => Pattern): RecordTest;
}

const KINDS = new Map<string, Kind>([
  ['key_exists', { takes: ['KEY'], compile: (key) => exists(key) }],
  ['key_does_not_exist', { takes: ['KEY'], compile: (key) => not(exists(key)) }],
  ['a_key_matches', { takes: ['REGEX'], compile: (keys, _, pattern) => someKey(pattern(keys)) }],
  ['no_key_matches', { takes: ['REGEX'], compile: (keys, _, pattern) => not(someKey(pattern(keys))) }],
  ['key_value_equals', { takes: ['KEY', 'VALUE'], compile: (key, text) => equals(key, text) }],
  // A field that is missing makes both a test and its negation false.
  [
    'key_value_does_not_equal',
    { takes: ['KEY', 'VALUE'], compile: (key, text) => both(exists(key), not(equals(key, text))) },
  ],
  [
    'key_value_matches',
    { takes: ['KEY', 'REGEX'], compile: (key, text, pattern) => valueMatches(key, pattern(text)) },
  ],
  [
    'key_value_does_not_match',
    {
      takes: ['KEY', 'REGEX'],
      compile: (key, text, pattern) => both(exists(key), not(valueMatches(key, pattern(text)))),
    },
  ],
  [
    'matching_keys_have_matching_values',
    {
      takes: ['REGEX', 'REGEX'],
      compile: (keys, values, pattern) => allMatch(pattern(keys), pattern(values)),
    },
  ],
  [
    'matching_keys_do_not_have_matching_values',
    {
      takes: ['REGEX', 'REGEX'],
      compile: (keys, values, pattern) => not(allMatch(pattern(keys), pattern(values))),
    },
  ],
]);

/** Compiles a condition from its words. Throws RuleError, PatternError or AccessorSyntaxError. */
export function readCondition(words: readonly string[], warn: (message: string) => void): RecordTest {
  const [name = '', ...parameters] = words;
  const kind = KINDS.get(name.toLowerCase());
  if (kind === undefined) {
    throw new RuleError(`"${name}" is no condition: use one of ${[...KINDS.keys()].join(', ')}.`);
  }
  requireParameters(name.toLowerCase(), kind.takes, parameters);
  const [a = '', b = ''] = parameters;
  return kind.compile(a, b, (text) => {
    const pattern = compilePattern(text);
    if (!pattern.bounded) warn(UNBOUNDED_WARNING);
    return pattern;
  });
}

function not(test: RecordTest): RecordTest {
  return (record) => !test(record);
}

function both(first: RecordTest, second: RecordTest): RecordTest {
  return (record) => first(record) && second(record);
}

function exists(key: string): RecordTest {
  const access = compileAccessor(key);
  return (record) => access(record) !== undefined;
}

function equals(key: string, text: string): RecordTest {
  const access = compileAccessor(key);
  return (record) => access(record) === text;
}

function valueMatches(key: string, pattern: Pattern): RecordTest {
  const access = compileAccessor(key);
  return (record) => matches(pattern, access(record));
}

function someKey(pattern: Pattern): RecordTest {
  return (record) => {
    for (const key in record) if (pattern.test(key)) return true;
    return false;
  };
}

function allMatch(keys: Pattern, values: Pattern): RecordTest {
  return (record) => {
    for (const key in record) if (keys.test(key) && !matches(values, record[key])) return false;
    return true;
  };
}

function matches(pattern: Pattern, value: ReadonlyValue | undefined): boolean {
  if (typeof value === 'string') return pattern.test(value);
  return typeof value === 'boolean' && pattern.test(String(value));
}
