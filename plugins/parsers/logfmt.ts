/**
 * logfmt: `level=info msg="with \"quotes\"" done`. A key without a value is true, or, as in Fluent Bit where there
 * are `types`, what these make of an empty text. What is neither key nor value, a stray quote or
 * equals sign, is passed over.
 */
import { boolean, defineParser, setKey, unescapeUnicode } from '../../src/plugin.ts';
import type { Cast, DecodeFields, LogRecord, ParsedEvent, Parser, Value } from '../../src/plugin.ts';
import {
  checkDecoders,
  checkTime,
  checkTypes,
  createCasts,
  createDecoders,
  createTime,
  decoderOptions,
  notRegex,
  notSkipEmpty,
  timeOptions,
  typesOption,
} from '../shared/parser-options.ts';
import type { EventTime } from '../shared/event-time.ts';

const NO_KEY = 'The text has no key.';
const BARE_KEY = 'The text has a key without a value.';
const NO_TIME = 'The time of the line cannot be read.';

const QUOTE = 0x22;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

export default defineParser({
  name: 'logfmt',
  summary: 'Parses lines of key=value pairs',
  options: {
    logfmt_no_bare_keys: boolean().default(false).describe('Refuses lines with a key without a value.'),
    ...typesOption,
    ...timeOptions,
    ...decoderOptions,
    ...notRegex,
    ...notSkipEmpty,
  },
  example: `parsers:
  - name: heroku
    format: logfmt
    types: status:integer`,
  check: (options) => [...checkTypes(options), ...checkTime(options), ...checkDecoders(options)],
  create(options, context) {
    return new LogfmtParser(context.name, {
      bareKeys: !options.logfmt_no_bare_keys,
      casts: createCasts(options),
      time: createTime(options, context),
      decode: createDecoders(options),
    });
  },
});

interface Parts {
  bareKeys: boolean;
  casts: ReadonlyMap<string, Cast> | undefined;
  time: EventTime | undefined;
  decode: DecodeFields | undefined;
}

class LogfmtParser implements Parser {
  readonly name: string;
  private readonly parts: Parts;
  private reason = NO_KEY;

  constructor(name: string, parts: Parts) {
    this.name = name;
    this.parts = parts;
  }

  failure(): string {
    return this.reason;
  }

  parse(line: string, into: ParsedEvent): boolean {
    const { bareKeys, decode } = this.parts;
    const record: LogRecord = {};
    into.record = record;
    into.text = undefined;
    into.seconds = Number.NaN;
    into.nanos = 0;
    let found = false;
    let at = 0;
    for (;;) {
      while (at < line.length && !isIdentifier(line.charCodeAt(at))) at++;
      if (at >= line.length) break;
      const end = identifierEnd(line, at);
      const key = line.slice(at, end);
      at = end;
      found = true;
      if (line.charCodeAt(at) !== EQUALS) {
        if (!bareKeys) return this.fail(BARE_KEY);
        setKey(record, key, this.valueOf(key, '', false));
        continue;
      }
      at++;
      let quoted = false;
      let text: string;
      if (line.charCodeAt(at) === QUOTE) {
        quoted = true;
        const close = quotedEnd(line, at + 1);
        text = line.slice(at + 1, close);
        at = close + 1;
      } else {
        const close = identifierEnd(line, at);
        text = line.slice(at, close);
        at = close;
      }
      if (!this.store(key, text, quoted, into)) return this.fail(NO_TIME);
    }
    if (!found) return this.fail(NO_KEY);
    decode?.(record);
    return true;
  }

  private fail(reason: string): false {
    this.reason = reason;
    return false;
  }

  /** Stores a pair; false when it is a time that cannot be read. */
  private store(key: string, written: string, quoted: boolean, into: ParsedEvent): boolean {
    const { time } = this.parts;
    const text = quoted ? unescapeUnicode(written) : written;
    if (time !== undefined && key === time.key && text !== '') {
      if (!time.read(text, into)) return false;
      if (!time.keep) return true;
    }
    setKey(into.record, key, this.valueOf(key, text, quoted));
    return true;
  }

  private valueOf(key: string, text: string, quoted: boolean): Value {
    const { casts } = this.parts;
    if (casts === undefined) return text === '' && !quoted ? true : text;
    return casts.get(key)?.(text) ?? text;
  }
}

/** All beyond the space but the quote and the equals sign. */
function isIdentifier(code: number): boolean {
  return code > 0x20 && code !== QUOTE && code !== EQUALS;
}

function identifierEnd(line: string, from: number): number {
  let at = from;
  while (at < line.length && isIdentifier(line.charCodeAt(at))) at++;
  return at;
}

/** The closing quote, or the end of the line. */
function quotedEnd(line: string, from: number): number {
  let at = from;
  for (; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at++;
  }
  return line.length;
}
