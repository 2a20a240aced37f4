/**
 * grep: keeps or drops records by regular expressions on one of their fields.
 *
 * A rule matches texts only: a missing field, a number, a boolean, a list or a map never does. What `logical_op` makes of them:
 *
 *     legacy  in file order: an `exclude` that matches drops the record, the first `regex` decides it for good
 *     AND     the record is kept (`regex`) or dropped (`exclude`) when all rules match
 *     OR      … when at least one does
 */
import { AccessorSyntaxError, compileAccessor, defineFilter, enumOf, many } from '../../src/plugin.ts';
import type { Accessor, OptionProblem, PluginContext, ReadonlyRecord } from '../../src/plugin.ts';
import { compilePattern, PatternError, UNBOUNDED_WARNING } from '../shared/pattern.ts';
import type { Pattern } from '../shared/pattern.ts';

interface Rule {
  exclude: boolean;
  access: Accessor;
  pattern: Pattern;
}

type Entries = PluginContext['entries'];
type Operator = 'legacy' | 'AND' | 'OR';

export default defineFilter({
  name: 'grep',
  summary: 'Keeps or drops records by regular expressions on a field',
  options: {
    regex: many().default([]).describe('KEY REGEX: keeps records in which the field matches.'),
    exclude: many().default([]).describe('KEY REGEX: drops records in which the field matches.'),
    logical_op: enumOf('legacy', 'AND', 'OR')
      .default('legacy')
      .describe(
        'legacy: rules run in file order, an exclude that matches drops, the first regex decides. AND, OR: all rules or any; then only one of regex and exclude may be used.',
      ),
  },
  example: `filters:
  - name: grep
    match: app.*
    exclude: path ^/health`,
  check(options, entries) {
    const problems: OptionProblem[] = [];
    readRules(entries, problems);
    return [...problems, ...checkCombination(entries, options.logical_op)];
  },
  create(options, context) {
    const keep = compileRules(readRules(context.entries, []), options.logical_op);
    return {
      process(batch) {
        batch.retain((index) => keep(batch.record(index)));
      },
    };
  },
});

/** The rules in file order; those that cannot be read become problems instead. */
function readRules(entries: Entries, problems: OptionProblem[]): Rule[] {
  const rules: Rule[] = [];
  const seen = { regex: 0, exclude: 0 };
  for (const { key, value } of entries) {
    if (key !== 'regex' && key !== 'exclude') continue;
    const index = seen[key]++;
    try {
      const { field, expression } = splitRule(value);
      const pattern = compilePattern(expression);
      if (!pattern.bounded) problems.push({ key, index, message: UNBOUNDED_WARNING, level: 'warning' });
      rules.push({ exclude: key === 'exclude', access: compileAccessor(field), pattern });
    } catch (error) {
      if (
        !(error instanceof RuleError || error instanceof AccessorSyntaxError || error instanceof PatternError)
      ) {
        throw error;
      }
      problems.push({ key, index, message: error.message });
    }
  }
  return rules;
}

class RuleError extends Error {
  override name = 'RuleError';
}

const RULE = /^ *(\$[^ []*(?:\[(?:'[^']*'|"[^"]*"|\d+)\])*|[^ ]+) (.+)$/s;

/** The field up to the first space outside quotes, and all the rest, further spaces included. */
function splitRule(value: string): { field: string; expression: string } {
  const [, field, expression] = RULE.exec(value) ?? [];
  if (field === undefined || expression === undefined) {
    throw new RuleError(`"${value}" is not a rule: write KEY REGEX, with a space in between.`);
  }
  return { field, expression };
}

function checkCombination(entries: Entries, operator: Operator): OptionProblem[] {
  const rules = entries.filter(({ key }) => key === 'regex' || key === 'exclude');
  const [first] = rules;
  if (first === undefined) {
    return [{ message: 'There is no rule: every record passes. Write regex or exclude.', level: 'warning' }];
  }
  if (operator !== 'legacy') {
    const other = rules.find(({ key }) => key !== first.key);
    if (other === undefined) return [];
    const message = `logical_op ${operator} cannot mix regex and exclude: use one of them, or two grep filters one after the other.`;
    return [{ key: other.key, index: 0, message }];
  }
  const deciding = rules.findIndex(({ key }) => key === 'regex');
  const behind = deciding === -1 ? undefined : rules[deciding + 1];
  if (behind === undefined) return [];
  const index = rules.slice(0, deciding + 1).filter(({ key }) => key === behind.key).length;
  const message =
    'This rule never runs: with logical_op legacy the first regex decides, as in Fluent Bit. Write logical_op: AND or OR, or put it before that regex.';
  return [{ key: behind.key, index, message, level: 'warning' }];
}

function matches({ access, pattern }: Rule, record: ReadonlyRecord): boolean {
  const value = access(record);
  return typeof value === 'string' && pattern.test(value);
}

/** Whether a record stays. */
function compileRules(rules: readonly Rule[], operator: Operator): (record: ReadonlyRecord) => boolean {
  const [first] = rules;
  if (first === undefined) return () => true;
  if (rules.length === 1) return (record) => matches(first, record) !== first.exclude;
  if (operator === 'legacy') {
    return (record) => {
      for (const rule of rules) {
        const matched = matches(rule, record);
        if (!rule.exclude) return matched;
        if (matched) return false;
      }
      return true;
    };
  }
  // AND looks for a rule that does not match, OR for one that does.
  const any = operator === 'OR';
  return (record) => {
    let matched = !any;
    for (const rule of rules) {
      if (matches(rule, record) !== any) continue;
      matched = any;
      break;
    }
    return matched !== first.exclude;
  };
}
