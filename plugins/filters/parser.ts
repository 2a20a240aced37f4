/**
 * parser: parses a text field of the record; the fields that come out take the record's place.
 *
 * The parsers are tried in order and the first that succeeds wins. The time that it finds becomes the event's. A record whose
 * field is missing, is no text, or that no parser takes, passes as it is; the last two are counted.
 *
 * With `reserve_data` the other fields stay, and win over parsed ones of the same name. As in Fluent Bit, a nested field
 * (`key_name: $log['data']`) then stays too, whatever `preserve_key` says.
 */
import {
  AccessorSyntaxError,
  boolean,
  defineFilter,
  ignored,
  many,
  parseAccessor,
  compileAccessor,
  setKey,
  string,
} from '../../src/plugin.ts';
import type {
  Batch,
  FilterContext,
  LogRecord,
  OptionProblem,
  ParsedEvent,
  Parser,
  Value,
} from '../../src/plugin.ts';

export default defineFilter({
  name: 'parser',
  summary: 'Parses a field of the record',
  options: {
    key_name: string().describe("The field to parse: a key, or a record accessor like $log['data']."),
    parser: many().describe('Name of a parser; with several, the first that takes the text wins.'),
    preserve_key: boolean().default(false).describe('Keeps the field that was parsed.'),
    reserve_data: boolean().default(false).describe('Keeps all other fields.'),
    unescape_key: ignored('Fluent Bit ignores it too; a parser with decode_field unescapes'),
  },
  parserOptions: ['parser'],
  example: `filters:
  - name: parser
    match: app.*
    key_name: log
    parser: json
    reserve_data: on`,
  check(options) {
    const problems: OptionProblem[] = [];
    try {
      parseAccessor(options.key_name);
    } catch (error) {
      if (!(error instanceof AccessorSyntaxError)) throw error;
      problems.push({ key: 'key_name', message: error.message });
    }
    return problems;
  },
  create(options, context) {
    const access = compileAccessor(options.key_name);
    const parsers = options.parser.map((name) => context.parser(name));
    const failures = countFailures(context);
    const merge = compileMerge(options);
    const parsed: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
    return {
      process(batch) {
        for (let index = 0; index < batch.length; index++) {
          const value = access(batch.record(index));
          if (value === undefined) continue;
          if (typeof value !== 'string') {
            failures.add('The field is no text.');
            continue;
          }
          const failure = parseFirst(parsers, value, parsed);
          if (failure === undefined) apply(batch, index, parsed, merge);
          else failures.add(failure);
        }
        failures.report();
      },
    };
  },
});

/** Tries the parsers in order; undefined when one succeeded, else why the last one did not. */
function parseFirst(parsers: readonly Parser[], text: string, into: ParsedEvent): string | undefined {
  let failure = '';
  for (const parser of parsers) {
    into.text = undefined;
    into.seconds = Number.NaN;
    into.nanos = 0;
    if (parser.parse(text, into)) return undefined;
    failure = parser.failure();
  }
  return failure;
}

/** Puts fields of the record as it was into the parsed one; false when there are none to keep. */
type Merge = ((parsed: LogRecord, old: LogRecord) => void) | undefined;

function apply(batch: Batch, index: number, parsed: ParsedEvent, merge: Merge): void {
  if (!Number.isNaN(parsed.seconds)) {
    batch.setTime(index, parsed.seconds, parsed.nanos);
  }
  // Both by `edit`: only then records have the exact digits of their texts.
  const old = merge === undefined ? undefined : batch.edit(index);
  batch.replace(index, parsed.record, parsed.text);
  if (merge !== undefined && old !== undefined) merge(batch.edit(index), old);
}

function compileMerge(options: { key_name: string; preserve_key: boolean; reserve_data: boolean }): Merge {
  const path = parseAccessor(options.key_name);
  const root = String(path[0]);
  if (options.reserve_data) {
    const gone = options.preserve_key || options.key_name.startsWith('$') ? undefined : root;
    return (parsed, old) => {
      for (const name in old) if (name !== gone) setKey(parsed, name, old[name] as Value);
    };
  }
  if (!options.preserve_key) return undefined;
  return (parsed, old) => setKey(parsed, root, old[root] as Value);
}

/** Counts records that stayed unparsed, and says so once per batch at most. */
function countFailures(context: FilterContext): { add(reason: string): void; report(): void } {
  const total = context.metrics
    .counter(
      'tailrace_filter_unparsed_records_total',
      'Records whose field no parser took; they pass as they are.',
    )
    .labels({ name: context.name });
  let count = 0;
  let last = '';
  return {
    add(reason) {
      count++;
      last = reason;
    },
    report() {
      if (count === 0) return;
      total.value += count;
      context.log.warn(
        { records: count, reason: last },
        'Cannot parse the field of some records; they pass as they are',
      );
      count = 0;
    },
  };
}
