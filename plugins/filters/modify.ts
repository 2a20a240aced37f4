/**
 * modify: adds, sets, renames, copies, moves and removes top-level fields, by rules that run in file order, where all
 * conditions hold for the record as it came in.
 *
 * `set` and `hard_copy` replace the value where the field stands, and copies go to the end; Fluent Bit puts the first ones at
 * the end and the copy behind its original. Objects of both are equal.
 */
import { AccessorSyntaxError, defineFilter, many } from '../../src/plugin.ts';
import type { OptionProblem, PluginContext } from '../../src/plugin.ts';
import { PatternError } from '../shared/pattern.ts';
import { splitWords, UnclosedQuoteError } from '../shared/words.ts';
import { readCondition } from './modify/conditions.ts';
import type { RecordTest } from './modify/conditions.ts';
import { RuleError } from './modify/rule-error.ts';
import { readRule, RULE_NAMES } from './modify/rules.ts';
import type { Rule } from './modify/rules.ts';

interface Program {
  conditions: RecordTest[];
  rules: Rule[];
}

function rule(text: string) {
  return many().default([]).describe(text);
}

export default defineFilter({
  name: 'modify',
  summary: 'Adds, sets, renames, copies, moves and removes fields',
  options: {
    set: rule('KEY VALUE: sets the field, whether or not it is there.'),
    add: rule('KEY VALUE: adds the field if it is not there.'),
    remove: rule('KEY: removes the field.'),
    remove_wildcard: rule(
      'PREFIX: removes the fields whose names begin so; a star is an ordinary character.',
    ),
    remove_regex: rule('REGEX: removes the fields whose names match.'),
    move_to_start: rule('PREFIX: moves the fields whose names begin so to the start.'),
    move_to_end: rule('PREFIX: moves the fields whose names begin so to the end.'),
    rename: rule('KEY NEW: renames the field if NEW is not there.'),
    hard_rename: rule('KEY NEW: renames the field; a field NEW is replaced.'),
    copy: rule('KEY NEW: copies the field if NEW is not there.'),
    hard_copy: rule('KEY NEW: copies the field; a field NEW is replaced.'),
    condition: rule(
      'NAME PARAMETERS: the rules run only where all conditions hold: key_exists KEY, key_does_not_exist KEY, a_key_matches REGEX, no_key_matches REGEX, key_value_equals KEY VALUE, key_value_does_not_equal KEY VALUE, key_value_matches KEY REGEX, key_value_does_not_match KEY REGEX, matching_keys_have_matching_values REGEX REGEX, matching_keys_do_not_have_matching_values REGEX REGEX.',
    ),
  },
  example: `filters:
  - name: modify
    match: app.*
    condition: key_does_not_exist level
    rename: severity level
    add: level info`,
  check(_options, entries) {
    const problems: OptionProblem[] = [];
    const { rules } = readProgram(entries, problems);
    if (rules.length === 0 && problems.length === 0) {
      problems.push({
        message: 'There is no rule: no record changes. Write add, set, rename …',
        level: 'warning',
      });
    }
    return problems;
  },
  create(_options, context) {
    const { conditions, rules } = readProgram(context.entries, []);
    return {
      process(batch) {
        next: for (let index = 0; index < batch.length; index++) {
          for (const holds of conditions) if (!holds(batch.record(index))) continue next;
          for (const apply of rules) apply(batch, index);
        }
      },
    };
  },
});

/** Reads rules and conditions in file order; what cannot be read becomes a problem. */
function readProgram(entries: PluginContext['entries'], problems: OptionProblem[]): Program {
  const program: Program = { conditions: [], rules: [] };
  const seen = new Map<string, number>();
  for (const { key, value } of entries) {
    if (key !== 'condition' && !RULE_NAMES.has(key)) continue;
    const index = seen.get(key) ?? 0;
    seen.set(key, index + 1);
    const warn = (message: string): void => {
      problems.push({ key, index, message, level: 'warning' });
    };
    try {
      const words = splitWords(value);
      if (key === 'condition') program.conditions.push(readCondition(words, warn));
      else program.rules.push(readRule(key, words, warn));
    } catch (error) {
      if (!isMistake(error)) throw error;
      problems.push({ key, index, message: error.message });
    }
  }
  return program;
}

function isMistake(error: unknown): error is Error {
  return (
    error instanceof RuleError ||
    error instanceof PatternError ||
    error instanceof AccessorSyntaxError ||
    error instanceof UnclosedQuoteError
  );
}
