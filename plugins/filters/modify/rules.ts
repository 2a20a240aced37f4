/**
 * The rules of modify. Each looks first whether it changes anything, so that a record that none changes keeps its text. Fields
 * go by making a new object: `delete` would turn the old one into a slow dictionary.
 */
import { setKey, valueToJson } from '../../../src/plugin.ts';
import type { Batch, LogRecord, Value } from '../../../src/plugin.ts';
import { compilePattern, UNBOUNDED_WARNING } from '../../shared/pattern.ts';
import { cloneValue, member, pick } from '../../shared/fields.ts';
import { requireParameters, RuleError } from './rule-error.ts';

/** Applies the rule to one event of a batch. */
export type Rule = (batch: Batch, index: number) => void;

interface Kind {
  takes: readonly string[];
  compile(a: string, b: string, warn: (message: string) => void): Rule;
}

const KINDS: Readonly<Record<string, Kind>> = {
  set: { takes: ['KEY', 'VALUE'], compile: set },
  add: { takes: ['KEY', 'VALUE'], compile: add },
  remove: {
    takes: ['KEY'],
    compile: (key) => (batch, index) => {
      if (Object.hasOwn(batch.record(index), key)) keep(batch, index, (name) => name !== key);
    },
  },
  remove_wildcard: {
    takes: ['PREFIX'],
    compile: (prefix, _, warn) => {
      if (prefix.endsWith('*')) warn(starWarning(prefix));
      return removeAll((name) => name.startsWith(prefix));
    },
  },
  remove_regex: {
    takes: ['REGEX'],
    compile: (text, _, warn) => {
      const pattern = compilePattern(text);
      if (!pattern.bounded) warn(UNBOUNDED_WARNING);
      return removeAll((name) => pattern.test(name));
    },
  },
  move_to_start: { takes: ['PREFIX'], compile: (prefix, _, warn) => move(prefix, true, warn) },
  move_to_end: { takes: ['PREFIX'], compile: (prefix, _, warn) => move(prefix, false, warn) },
  rename: { takes: ['KEY', 'NEW'], compile: (from, to) => rename(from, to, false) },
  hard_rename: { takes: ['KEY', 'NEW'], compile: (from, to) => rename(from, to, true) },
  copy: { takes: ['KEY', 'NEW'], compile: (from, to) => copy(from, to, false) },
  hard_copy: { takes: ['KEY', 'NEW'], compile: (from, to) => copy(from, to, true) },
};

/** Keys of the configuration that are rules. */
export const RULE_NAMES: ReadonlySet<string> = new Set(Object.keys(KINDS));

/** Compiles a rule from its words. Throws RuleError or PatternError. */
export function readRule(name: string, words: readonly string[], warn: (message: string) => void): Rule {
  const kind = KINDS[name];
  if (kind === undefined) throw new RuleError(`"${name}" is no rule.`);
  requireParameters(name, kind.takes, words);
  const [a = '', b = ''] = words;
  return kind.compile(a, b, warn);
}

function starWarning(prefix: string): string {
  return `The star is an ordinary character here, as in Fluent Bit: write the prefix alone, "${prefix.slice(0, -1)}".`;
}

function set(key: string, value: string): Rule {
  const text = member(key, value);
  return (batch, index) => {
    const record = batch.record(index);
    if (!Object.hasOwn(record, key) || record[key] !== value) batch.set(index, key, value, text);
  };
}

function add(key: string, value: string): Rule {
  const text = member(key, value);
  return (batch, index) => {
    if (!Object.hasOwn(batch.record(index), key)) batch.set(index, key, value, text);
  };
}

function removeAll(drops: (name: string) => boolean): Rule {
  return (batch, index) => {
    for (const name in batch.record(index)) {
      if (!drops(name)) continue;
      keep(batch, index, (other) => !drops(other));
      return;
    }
  };
}

/** `edit` first: only then the record has the exact digits of its text. */
function keep(batch: Batch, index: number, keeps: (name: string) => boolean): void {
  batch.replace(index, pick(batch.edit(index), keeps));
}

function move(prefix: string, toStart: boolean, warn: (message: string) => void): Rule {
  if (prefix.endsWith('*')) warn(starWarning(prefix));
  const isMoved = (name: string): boolean => name.startsWith(prefix);
  return (batch, index) => {
    const names = Object.keys(batch.record(index));
    if (!names.some(isMoved)) return;
    const record = batch.edit(index);
    const moved = names.filter(isMoved);
    const others = names.filter((name) => !isMoved(name));
    const result: LogRecord = {};
    for (const name of toStart ? [...moved, ...others] : [...others, ...moved]) {
      setKey(result, name, record[name] as Value);
    }
    batch.replace(index, result);
  };
}

function rename(from: string, to: string, replaces: boolean): Rule {
  return (batch, index) => {
    const current = batch.record(index);
    if (from === to || !Object.hasOwn(current, from)) return;
    if (!replaces && Object.hasOwn(current, to)) return;
    const record = batch.edit(index);
    const result: LogRecord = {};
    for (const name in record) {
      if (name === from) setKey(result, to, record[name] as Value);
      else if (name !== to) setKey(result, name, record[name] as Value);
    }
    batch.replace(index, result);
  };
}

function copy(from: string, to: string, replaces: boolean): Rule {
  const prefix = `${JSON.stringify(to)}:`;
  return (batch, index) => {
    const current = batch.record(index);
    if (from === to || !Object.hasOwn(current, from)) return;
    if (!replaces && Object.hasOwn(current, to)) return;
    const value = current[from] as Value;
    // Only of a text it is sure that the record holds what the kept JSON says: a number may be rounded.
    if (typeof value === 'string') batch.set(index, to, value, prefix + valueToJson(value));
    else setKey(batch.edit(index), to, cloneValue(batch.edit(index)[from] as Value));
  };
}
