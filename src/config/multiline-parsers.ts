/**
 * Checks the shape of `multiline_parsers`. Nothing can use them yet, but a configuration may well define some: what is wrong in
 * them is said now.
 */
import type { OptionFields } from './options.ts';
import { boolean, enumOf, integer, string } from './options.ts';
import type { Item } from './items.ts';
import { listMaps } from './parsers.ts';
import type { Problems } from './problem.ts';
import { readOptions } from './read-options.ts';
import { describeRegexError, placeOfRegexError } from './regex-error.ts';
import { suggestion } from './suggest.ts';
import type { Located, MapNode } from './tree.ts';
import { describeNode, entryOf, quote, quoteText, splitNames } from './tree.ts';
import { readBoolean } from './units.ts';

const BUILT_IN = ['docker', 'cri', 'go', 'java', 'python', 'ruby'];

const fields: OptionFields = {
  name: string(),
  type: enumOf('regex', 'endswith', 'equal', 'eq'),
  match_string: string().optional(),
  negate: boolean().default(false),
  flush_timeout: integer({ min: 0 }).default(4000),
  parser: string().optional(),
  key_content: string().optional(),
  key_group: string().optional(),
  key_pattern: string().optional(),
};

const ruleFields: OptionFields = { state: string(), regex: string(), next_state: string() };

type CompileRegex = (pattern: string) => RegExp;

/** The names of all multiline parsers, built-in ones included. */
export function checkMultilineParsers(
  lists: readonly Located[],
  compileRegex: CompileRegex,
  problems: Problems,
): Set<string> {
  const names = new Set(BUILT_IN);
  for (const list of lists) {
    for (const item of listMaps(list, 'a multiline parser', problems)) {
      const { values, written } = readOptions(item, fields, {
        problems,
        owner: 'a multiline parser',
        skip: ['rules'],
      });
      const name = values['name'];
      if (typeof name === 'string') names.add(name);
      if (values['type'] === 'regex') checkRules(item, compileRegex, problems);
      else if (values['type'] !== undefined && !written.some(({ key }) => key === 'match_string')) {
        problems.report(
          item.node.place,
          item.path,
          `match_string is missing: type ${values['type'] as string} compares with it`,
        );
      }
    }
  }
  return names;
}

function checkRules({ node, path }: Located<MapNode>, compileRegex: CompileRegex, problems: Problems): void {
  const entry = entryOf(node, 'rules');
  if (entry === undefined) {
    problems.report(
      node.place,
      path,
      'rules is missing: type regex needs a list of state, regex and next_state',
    );
    return;
  }
  const rules = listMaps({ node: entry.value, path: `${path}.rules` }, 'a rule', problems).map((rule) => ({
    rule,
    read: readOptions(rule, ruleFields, { problems, owner: 'a rule' }),
  }));
  const states = new Set(rules.map(({ read }) => read.values['state']));
  for (const [index, { rule, read }] of rules.entries()) {
    const { written, values } = read;
    const at = (key: string): (typeof written)[number] | undefined => written.find((one) => one.key === key);
    const state = at('state');
    if (index === 0 && state !== undefined && state.node.text !== 'start_state') {
      problems.report(
        state.node.place,
        state.path,
        `the first rule's state must be start_state, and this is ${quote(state.node)}`,
      );
    }
    const next = at('next_state');
    if (next !== undefined && !states.has(values['next_state'])) {
      const meant = suggestion(
        next.node.text,
        [...states].filter((one): one is string => typeof one === 'string'),
      );
      problems.report(
        next.node.place,
        next.path,
        `no rule has the state ${quote(next.node)}${meant === undefined ? '' : ` — did you mean "${meant}"?`}`,
      );
    }
    const regex = at('regex');
    if (regex === undefined) continue;
    try {
      compileRegex(regex.node.text);
    } catch (error) {
      problems.report(placeOfRegexError(error, regex.node), `${rule.path}.regex`, describeRegexError(error));
    }
  }
  if (rules.length === 0)
    problems.report(
      entry.place,
      `${path}.rules`,
      `rules is empty, and this is ${describeNode(entry.value)}: write the first with state: start_state`,
    );
}

/** Checks the names in `multiline.parser`, whatever else is to say of that key. */
export function checkMultilineNames(
  items: readonly Item[],
  names: ReadonlySet<string>,
  problems: Problems,
): void {
  for (const { node, path } of items) {
    const value = entryOf(node, 'multiline.parser')?.value;
    for (const one of value?.kind === 'list' ? value.items : [value]) {
      if (one?.kind !== 'scalar' || readBoolean(one.text).ok) continue;
      for (const name of splitNames(one.text)) {
        if (!names.has(name))
          problems.report(one.place, `${path}.multiline.parser`, unknownName(name, names));
      }
    }
  }
}

function unknownName(name: string, names: Iterable<string>): string {
  const meant = suggestion(name, names);
  return `there is no multiline parser ${quoteText(name)}${meant === undefined ? ': define it under multiline_parsers' : ` — did you mean "${meant}"?`}`;
}
