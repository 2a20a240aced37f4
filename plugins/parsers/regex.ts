/** regex: one regular expression per line, in Ruby's syntax; its named groups are the fields. */
import {
  boolean,
  compileRecordBuilder,
  defineParser,
  RegexSyntaxError,
  string,
  translateRegex,
  UNSAFE_TEXT_LIMIT,
} from '../../src/plugin.ts';
import type {
  BuildRecord,
  CapturedField,
  Cast,
  DecodeFields,
  OptionProblem,
  ParsedEvent,
  Parser,
} from '../../src/plugin.ts';
import {
  checkDecoders,
  checkTime,
  checkTypes,
  createCasts,
  createDecoders,
  createTime,
  decoderOptions,
  notLogfmt,
  timeOptions,
  typesOption,
} from '../shared/parser-options.ts';
import type { EventTime } from '../shared/event-time.ts';

type Regex = ReturnType<typeof translateRegex>;

const NO_MATCH = 'The text does not match the regular expression.';
const TOO_LONG =
  'The text is too long for a regular expression with look-ahead, references or large repeat counts.';
const TOO_COMPLEX = 'Matching the regular expression took too much memory.';

export default defineParser({
  name: 'regex',
  summary: 'Parses lines by the named groups of a regular expression',
  options: {
    regex: string().describe('The expression, plain or between slashes; named groups become fields.'),
    skip_empty_values: boolean().default(true).describe('Leaves groups out that captured nothing.'),
    ...typesOption,
    ...timeOptions,
    ...decoderOptions,
    ...notLogfmt,
  },
  example: `parsers:
  - name: level-first
    format: regex
    regex: '^(?<level>\\w+) (?<message>.*)$'`,
  check: (options) => [
    ...checkRegex(options.regex),
    ...checkTypes(options),
    ...checkTime(options),
    ...checkDecoders(options),
  ],
  create(options, context) {
    const regex = translateRegex(options.regex);
    const time = createTime(options, context);
    const fields = capturedFields(regex, createCasts(options));
    return new RegexParser(context.name, regex, {
      build: compileRecordBuilder(
        fields.filter(({ key }) => time === undefined || time.keep || key !== time.key),
        options.skip_empty_values,
      ),
      time,
      timeNumbers: fields.filter(({ key }) => key === time?.key).map(({ number }) => number),
      decode: createDecoders(options),
    });
  },
});

function checkRegex(pattern: string): OptionProblem[] {
  let regex: Regex;
  try {
    regex = translateRegex(pattern);
  } catch (error) {
    if (!(error instanceof RegexSyntaxError)) throw error;
    return [
      {
        key: 'regex',
        message: `The regular expression is wrong at character ${error.offset + 1}: ${error.message}`,
      },
    ];
  }
  const problems: OptionProblem[] = [];
  if (regex.groups.every((name) => name === '')) {
    problems.push({
      key: 'regex',
      level: 'warning',
      message: 'The expression has no named group, so its records are empty; write (?<name>…).',
    });
  }
  if (!regex.linearSafe) {
    problems.push({
      key: 'regex',
      level: 'warning',
      message: `Look-ahead, references and large repeat counts can take very long: lines above ${UNSAFE_TEXT_LIMIT} characters are not parsed. Write the expression without them if you can.`,
    });
  }
  return problems;
}

function capturedFields(regex: Regex, casts: ReadonlyMap<string, Cast> | undefined): CapturedField[] {
  return regex.groups.flatMap((key, at) =>
    key === '' ? [] : [{ key, number: regex.numbers[at] as number, cast: casts?.get(key) }],
  );
}

interface Parts {
  build: BuildRecord;
  time: EventTime | undefined;
  /** Captures with the time's name. */
  timeNumbers: readonly number[];
  decode: DecodeFields | undefined;
}

class RegexParser implements Parser {
  readonly name: string;
  private readonly regex: Regex;
  private readonly limit: number;
  private readonly parts: Parts;
  private reason = NO_MATCH;

  constructor(name: string, regex: Regex, parts: Parts) {
    this.name = name;
    this.regex = regex;
    this.limit = regex.linearSafe ? Infinity : UNSAFE_TEXT_LIMIT;
    this.parts = parts;
  }

  failure(): string {
    return this.reason;
  }

  parse(line: string, into: ParsedEvent): boolean {
    into.text = undefined;
    into.seconds = Number.NaN;
    into.nanos = 0;
    if (line.length > this.limit) return this.fail(TOO_LONG);
    let match: RegExpExecArray | null;
    try {
      match = this.regex.exec(line);
    } catch {
      // The engine ran out of its stack.
      return this.fail(TOO_COMPLEX);
    }
    if (match === null) return this.fail(NO_MATCH);
    const { build, time, timeNumbers, decode } = this.parts;
    into.record = build(match);
    if (time !== undefined) {
      for (const number of timeNumbers) {
        const text = match[number];
        if (text !== undefined && text !== '' && time.read(text, into)) break;
      }
    }
    decode?.(into.record);
    return true;
  }

  private fail(reason: string): false {
    this.reason = reason;
    return false;
  }
}
