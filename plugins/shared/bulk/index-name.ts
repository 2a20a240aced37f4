/**
 * The index of a record: a name, a name with the date (`logs-%Y.%m.%d`), a name with fields (`logs-$service`), or Logstash's
 * `<prefix>-<date>`.
 *
 * A field's value never decides more than its own part of the name: it becomes lower case, what no name may have becomes `_`, and a name
 * cannot begin with what marks the store's own indexes.
 *
 * Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create
 */
import { AccessorSyntaxError, compileAccessor, compileTemplate, formatTime } from '../../../src/plugin.ts';
import type { Accessor, ReadonlyRecord, Template } from '../../../src/plugin.ts';

export interface IndexOptions {
  index: string;
  logstash_format: boolean;
  logstash_prefix: string;
  logstash_prefix_separator: string;
  logstash_prefix_key: string | undefined;
  logstash_dateformat: string;
}

/** Finds the index of a record. */
export interface IndexName {
  /** The same for every record. */
  readonly fixed: boolean;
  /** `of` looks into the record. */
  readonly needsRecord: boolean;
  /** Undefined when nothing is left of the name. */
  of(record: ReadonlyRecord, tag: string, seconds: number, nanos: number): string | undefined;
}

/** Characters of a field that go into a name, as in Fluent Bit. */
const MAX_FIELD = 128;
const FORBIDDEN = /[\u0000-\u0020\u007f"*\\<|,>/?#:]/g;
/** What the store's own indexes begin with, and what no name may begin with. */
const RESERVED_START = /^[._+-]+/;

/** Compiles the options. Throws {@link AccessorSyntaxError}. */
export function compileIndexName(options: IndexOptions): IndexName {
  return options.logstash_format ? logstashName(options) : patternName(options.index);
}

function logstashName(options: IndexOptions): IndexName {
  const {
    logstash_prefix: prefix,
    logstash_prefix_separator: separator,
    logstash_dateformat: date,
  } = options;
  const pattern = compileTemplate(prefix, { encode });
  const key =
    options.logstash_prefix_key === undefined ? undefined : compileAccessor(options.logstash_prefix_key);
  return {
    fixed: false,
    needsRecord: key !== undefined || !pattern.fixed,
    of(record, tag, seconds, nanos) {
      const own = key === undefined ? undefined : fieldOf(key, record);
      const start = own ?? pattern.render(record, tag) ?? '';
      return named(`${start}${separator}${formatTime(date, seconds, nanos)}`, prefix.startsWith('$'));
    },
  };
}

function fieldOf(key: Accessor, record: ReadonlyRecord): string | undefined {
  const value = key(record);
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const text = encode(String(value)).replace(RESERVED_START, '');
  return text === '' ? undefined : text;
}

/** A name that may hold fields, and conversions of strftime between them (never inside: a field's `%d` stays what it is). */
function patternName(pattern: string): IndexName {
  const template: Template = compileTemplate(pattern, {
    encode: (text) => encode(text).replaceAll('%', '%%'),
  });
  const dated = pattern.includes('%');
  const variable = pattern.includes('$');
  return {
    fixed: !dated && !variable,
    needsRecord: !template.fixed,
    of(record, tag, seconds, nanos) {
      if (!variable) return dated ? formatTime(pattern, seconds, nanos) : pattern;
      const text = template.render(record, tag) ?? '';
      return named(
        dated ? strftime(text, seconds, nanos) : text.replaceAll('%%', '%'),
        pattern.startsWith('$'),
      );
    },
  };
}

/** A format made of data is not kept compiled: it is cut at its conversions, of which there are few. */
function strftime(format: string, seconds: number, nanos: number): string {
  return format.replaceAll(/%[369]?[^]/g, (conversion) =>
    conversion === '%%' ? '%' : formatTime(conversion, seconds, nanos),
  );
}

/** `fromData`: it begins with what comes from a record. */
function named(name: string, fromData: boolean): string | undefined {
  const safe = fromData ? name.replace(RESERVED_START, '') : name;
  return safe === '' ? undefined : safe;
}

function encode(text: string): string {
  return text.slice(0, MAX_FIELD).toLowerCase().replaceAll(FORBIDDEN, '_').toWellFormed();
}

/** What is wrong with a name that is written in the configuration, as a clause; undefined when it can be one. */
export function indexProblem(pattern: string): string | undefined {
  let literal: string;
  try {
    compileTemplate(pattern);
    // What stands for itself: without variables and conversions.
    literal = pattern.replaceAll(/\$[^\s.,;"'()[\]{}$]+(?:\[[^\]]*\])*|%[369]?[^]/g, 'x');
  } catch (error) {
    if (error instanceof AccessorSyntaxError) return `cannot be read: ${error.message}`;
    throw error;
  }
  if (literal === '') return 'is empty: write the name of an index';
  if (literal !== literal.toLowerCase()) return 'has upper-case letters, which no index can have';
  const forbidden = literal.match(FORBIDDEN)?.[0];
  if (forbidden !== undefined) return `has ${JSON.stringify(forbidden)}, which no index can have in its name`;
  if (/^[_+-]/.test(literal)) return 'begins with _, - or +, which no index can';
  return undefined;
}
