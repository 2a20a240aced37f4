/**
 * record_modifier: adds constant fields, a copy of another field or a UUID, and removes fields by name or lets only some pass.
 *
 * First fields go, then fields come; names of fields to remove or to let pass match in any case, as in Fluent Bit. A field
 * that is added replaces one of its name. A record that loses its last field is dropped, if none is added.
 */
import { randomUUID } from 'node:crypto';
import { compileAccessor, defineFilter, many, setKey, string } from '../../src/plugin.ts';
import type { Accessor, Batch, LogRecord, OptionProblem, Value } from '../../src/plugin.ts';
import { cloneValue, member, pick } from '../shared/fields.ts';
import { splitWords, UnclosedQuoteError } from '../shared/words.ts';

export default defineFilter({
  name: 'record_modifier',
  summary: 'Adds fields to records and removes fields from them',
  options: {
    record: many()
      .default([])
      .describe(
        "KEY VALUE: adds a field. $key['nested'] as the whole value copies that field, if it is there; put a key with spaces in quotes.",
      ),
    remove_key: many().default([]).describe('Removes the field; a star at the end stands for any rest.'),
    allowlist_key: many()
      .default([])
      .alias('whitelist_key')
      .describe('Lets only these fields pass; a star at the end stands for any rest.'),
    uuid_key: string().optional().describe('Adds a random UUID under this key.'),
  },
  example: `filters:
  - name: record_modifier
    match: app.*
    record: hostname \${HOSTNAME}
    remove_key: password`,
  check(values) {
    const problems: OptionProblem[] = [];
    values.record.forEach((text, index) => {
      try {
        readField(text);
      } catch (error) {
        if (!(error instanceof FieldError || error instanceof UnclosedQuoteError)) throw error;
        problems.push({ key: 'record', index, message: error.message });
      }
    });
    if (values.remove_key.length > 0 && values.allowlist_key.length > 0) {
      problems.push({
        key: 'allowlist_key',
        message: 'remove_key and allowlist_key exclude each other: keep one of them.',
      });
    }
    return problems;
  },
  create(values) {
    const emptied = new Set<number>();
    const removes = matchNames(values.remove_key);
    const allows = matchNames(values.allowlist_key);
    const steps: Step[] = [];
    if (removes !== undefined) steps.push(removing(removes, emptied));
    else if (allows !== undefined) steps.push(removing((name) => !allows(name), emptied));
    for (const text of values.record) steps.push(adding(readField(text)));
    const { uuid_key: uuidKey } = values;
    if (uuidKey !== undefined) steps.push(addingUuid(uuidKey));
    return {
      process(batch) {
        for (const step of steps) for (let index = 0; index < batch.length; index++) step(batch, index);
        if (emptied.size === 0) return;
        batch.retain((index) => !emptied.has(index) || !isEmpty(batch.record(index)));
        emptied.clear();
      },
    };
  },
});

type Step = (batch: Batch, index: number) => void;

class FieldError extends Error {
  override name = 'FieldError';
}

interface Field {
  key: string;
  value: string;
  /** Set when the value is a record accessor. */
  access: Accessor | undefined;
}

/** A whole value that reads as a record accessor; `$5.00` and `$a and $b` are ordinary text. */
const ACCESSOR = /^\$[A-Za-z_][A-Za-z0-9_\-/]*(?:\[(?:'(?:[^']|'')*'|\d+)\])*$/;

function readField(text: string): Field {
  const [key, value] = splitWords(text, 1);
  if (key === undefined || value === undefined) {
    throw new FieldError(`"${text}" is not a field: write KEY VALUE, with a space in between.`);
  }
  const words = splitQuotedWhole(value);
  const plain = words ?? value.trim();
  return {
    key,
    value: plain,
    access: words === undefined && ACCESSOR.test(plain) ? compileAccessor(plain) : undefined,
  };
}

/** The content of a value that stands in quotes as a whole, undefined for all others. */
function splitQuotedWhole(value: string): string | undefined {
  if (!value.startsWith('"')) return undefined;
  const words = splitWords(value.trim());
  return words.length === 1 ? words[0] : undefined;
}

/** Whether a field's name is in the list, in any case; undefined for an empty list. */
function matchNames(names: readonly string[]): ((name: string) => boolean) | undefined {
  if (names.length === 0) return undefined;
  const lower = names.map((name) => name.toLowerCase());
  const exact = new Set(lower.filter((name) => !name.endsWith('*')));
  const prefixes = lower.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  // Names recur from record to record: the answer is kept for as many as a sane source has.
  const known = new Map<string, boolean>();
  return (name) => {
    const answer = known.get(name);
    if (answer !== undefined) return answer;
    const folded = name.toLowerCase();
    const found = exact.has(folded) || prefixes.some((prefix) => folded.startsWith(prefix));
    if (known.size < MAX_KNOWN_NAMES) known.set(name, found);
    return found;
  };
}
const MAX_KNOWN_NAMES = 1000;

/** `emptied` takes in the indexes of events that lost all their fields, as opposed to those that came without any. */
function removing(removes: (name: string) => boolean, emptied: Set<number>): Step {
  const keeps = (name: string): boolean => !removes(name);
  return (batch, index) => {
    for (const name in batch.record(index)) {
      if (!removes(name)) continue;
      // `edit` first: only then the record has the exact digits of its text.
      const rest = pick(batch.edit(index), keeps);
      batch.replace(index, rest);
      if (isEmpty(rest)) emptied.add(index);
      return;
    }
  };
}

function isEmpty(record: LogRecord): boolean {
  for (const _ in record) return false;
  return true;
}

function adding({ key, value, access }: Field): Step {
  const text = member(key, value);
  if (access === undefined) return (batch, index) => batch.set(index, key, value, text);
  return (batch, index) => {
    if (access(batch.record(index)) === undefined) return;
    const record = batch.edit(index);
    setKey(record, key, cloneValue(access(record) as Value));
  };
}

function addingUuid(key: string): Step {
  const prefix = `${JSON.stringify(key)}:"`;
  return (batch, index) => {
    const uuid = randomUUID();
    batch.set(index, key, uuid, `${prefix}${uuid}"`);
  };
}
