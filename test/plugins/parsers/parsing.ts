/** Makes parsers from configuration values, as the configuration loader would. */
import { parse as parseYaml } from 'yaml';
import json from '../../../plugins/parsers/json.ts';
import logfmt from '../../../plugins/parsers/logfmt.ts';
import ltsv from '../../../plugins/parsers/ltsv.ts';
import regex from '../../../plugins/parsers/regex.ts';
import syslog from '../../../plugins/parsers/syslog.ts';
import type {
  Logger,
  OptionFields,
  OptionProblem,
  ParsedEvent,
  Parser,
  ParserDefinition,
} from '../../../src/plugin.ts';

const DEFINITIONS = { json, logfmt, ltsv, regex, syslog } as unknown as Record<string, ParserDefinition>;

export interface LoggedLine {
  fields: Record<string, unknown>;
  message: string;
}

/** A logger that keeps what is said. */
export function keepingLog(lines: LoggedLine[]): Logger {
  const keep = (fields: Record<string, unknown>, message: string): void =>
    void lines.push({ fields, message });
  const log: Logger = { error: keep, warn: keep, info: keep, debug: keep, child: () => log };
  return log;
}

function readOptions(fields: OptionFields, written: Record<string, unknown>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(written)) {
    if (key !== 'name' && key !== 'format' && fields[key] === undefined)
      throw new Error(`Unknown key ${key}.`);
  }
  for (const [key, option] of Object.entries(fields)) {
    const value = written[key];
    if (value === undefined) {
      values[key] = option.spec.defaultValue;
      if (option.spec.required) throw new Error(`The key ${key} is missing.`);
      continue;
    }
    const reading = option.spec.read((Array.isArray(value) ? value : [value]).map(String));
    if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
    values[key] = reading.value;
  }
  return values;
}

function definitionOf(written: Record<string, unknown>): ParserDefinition {
  const definition = DEFINITIONS[String(written['format'])];
  if (definition === undefined) throw new Error(`There is no format ${String(written['format'])}.`);
  return definition;
}

/** What the check finds in an entry of `parsers:`, given as an object or as YAML. */
export function check(entry: Record<string, unknown> | string): readonly OptionProblem[] {
  const written = (typeof entry === 'string' ? parseYaml(entry) : entry) as Record<string, unknown>;
  const definition = definitionOf(written);
  return definition.check?.(readOptions(definition.options, written), []) ?? [];
}

/** A parser from an entry of `parsers:`, given as an object or as YAML. */
export function createParser(entry: Record<string, unknown> | string, lines: LoggedLine[] = []): Parser {
  const written = (typeof entry === 'string' ? parseYaml(entry) : entry) as Record<string, unknown>;
  const definition = definitionOf(written);
  const name = typeof written['name'] === 'string' ? written['name'] : 'p';
  return definition.create(readOptions(definition.options, written), { name, log: keepingLog(lines) });
}

/** Parses one line; undefined when the parser does not take it. */
export function parseLine(parser: Parser, line: string): ParsedEvent | undefined {
  const into: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  return parser.parse(line, into) ? into : undefined;
}
