/**
 * json: one JSON object per line.
 *
 * The text is kept beside the object, so that a record that nothing changes is written as it came, all digits included. A time key
 * that does not stay in the record is cut out of the text before parsing.
 */
import { defineParser, isRecord, isTooDeep, MemberCutter, parseExact, setKey } from '../../src/plugin.ts';
import type { DecodeFields, LogRecord, ParsedEvent, Parser, Value } from '../../src/plugin.ts';
import {
  checkDecoders,
  checkTime,
  createDecoders,
  createTime,
  decoderOptions,
  notLogfmt,
  notRegex,
  notSkipEmpty,
  notTypes,
  timeOptions,
} from '../shared/parser-options.ts';
import type { EventTime } from '../shared/event-time.ts';

const NO_JSON = 'The text is not valid JSON.';
const NO_OBJECT = 'The JSON text is no object.';
const TOO_DEEP = 'The JSON text nests too deep.';

export default defineParser({
  name: 'json',
  summary: 'Parses lines of JSON objects',
  options: {
    ...timeOptions,
    ...decoderOptions,
    ...notRegex,
    ...notTypes,
    ...notSkipEmpty,
    ...notLogfmt,
  },
  example: `parsers:
  - name: docker
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'`,
  check: (options) => [...checkTime(options), ...checkDecoders(options)],
  create(options, context) {
    return new JsonParser(context.name, createTime(options, context), createDecoders(options));
  },
});

class JsonParser implements Parser {
  readonly name: string;
  private readonly time: EventTime | undefined;
  private readonly decode: DecodeFields | undefined;
  private readonly cutter: MemberCutter | undefined;
  private reason = '';

  constructor(name: string, time: EventTime | undefined, decode: DecodeFields | undefined) {
    this.name = name;
    this.time = time;
    this.decode = decode;
    // A decoder may bring the time key in: then the time is looked for in the record.
    if (time !== undefined && !time.keep && decode === undefined) this.cutter = new MemberCutter(time.key);
  }

  failure(): string {
    return this.reason;
  }

  parse(line: string, into: ParsedEvent): boolean {
    into.seconds = Number.NaN;
    into.nanos = 0;
    if (isTooDeep(line)) return this.fail(TOO_DEEP);
    try {
      return this.cutter !== undefined && this.cutAndParse(line, this.cutter, into)
        ? true
        : this.parseWhole(line, into);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return this.fail(NO_JSON);
    }
  }

  private fail(reason: string): false {
    this.reason = reason;
    return false;
  }

  /** False when the time key is not where it can be cut out, or holds no time. */
  private cutAndParse(line: string, cutter: MemberCutter, into: ParsedEvent): boolean {
    const time = this.time as EventTime;
    if (!isObjectText(line, into) || !cutter.cut(line)) return false;
    const { rest } = cutter;
    const record = JSON.parse(rest) as LogRecord;
    // The key may be there again.
    if (Object.hasOwn(record, time.key) || !time.read(cutter.value, into)) return false;
    into.record = record;
    into.text = rest;
    return true;
  }

  private parseWhole(line: string, into: ParsedEvent): boolean {
    const text = isObjectText(line, into) ? line : undefined;
    const value = (
      text === undefined || this.decode !== undefined ? parseExact(line) : JSON.parse(line)
    ) as Value;
    if (!isRecord(value)) return this.fail(NO_OBJECT);
    into.record = value;
    into.text = text;
    if (this.decode?.(value) === true) into.text = undefined;
    if (this.time !== undefined) this.readTime(value, this.time, into);
    return true;
  }

  private readTime(record: LogRecord, time: EventTime, into: ParsedEvent): void {
    if (!Object.hasOwn(record, time.key)) return;
    const value = record[time.key];
    if (typeof value !== 'string' || !time.read(value, into) || time.keep) return;
    // The text knows the exact digits that the object may have lost.
    const whole = into.text === undefined ? record : (parseExact(into.text) as LogRecord);
    into.record = without(whole, time.key);
    into.text = undefined;
  }
}

/** Whether the text can be kept: an object from its first to its last character, on one line. */
function isObjectText(text: string, { oneLine }: ParsedEvent): boolean {
  return (
    text.charCodeAt(0) === 0x7b &&
    text.charCodeAt(text.length - 1) === 0x7d &&
    (oneLine === true || (!text.includes('\n') && !text.includes('\r')))
  );
}

function without(record: LogRecord, gone: string): LogRecord {
  const rest: LogRecord = {};
  for (const key of Object.keys(record)) if (key !== gone) setKey(rest, key, record[key] as Value);
  return rest;
}
