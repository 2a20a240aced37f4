/** ltsv: `label:value` pairs between tabs, http://ltsv.org. */
import { defineParser, setKey } from '../../src/plugin.ts';
import type { Cast, DecodeFields, LogRecord, ParsedEvent, Parser } from '../../src/plugin.ts';
import {
  checkDecoders,
  checkTime,
  checkTypes,
  createCasts,
  createDecoders,
  createTime,
  decoderOptions,
  notLogfmt,
  notRegex,
  notSkipEmpty,
  timeOptions,
  typesOption,
} from '../shared/parser-options.ts';
import type { EventTime } from '../shared/event-time.ts';

const NO_LABEL = 'The text has a part that is no label:value pair.';
const EMPTY = 'The text has no label:value pair.';
const NO_TIME = 'The time of the line cannot be read.';

const LABEL = /^[0-9A-Za-z_.-]+$/;

export default defineParser({
  name: 'ltsv',
  summary: 'Parses lines of labelled, tab-separated values',
  options: {
    ...typesOption,
    ...timeOptions,
    ...decoderOptions,
    ...notRegex,
    ...notSkipEmpty,
    ...notLogfmt,
  },
  example: `parsers:
  - name: access-ltsv
    format: ltsv
    time_key: time
    time_format: '[%d/%b/%Y:%H:%M:%S %z]'
    types: status:integer size:integer`,
  check: (options) => [...checkTypes(options), ...checkTime(options), ...checkDecoders(options)],
  create(options, context) {
    return new LtsvParser(
      context.name,
      createCasts(options),
      createTime(options, context),
      createDecoders(options),
    );
  },
});

class LtsvParser implements Parser {
  readonly name: string;
  private readonly casts: ReadonlyMap<string, Cast> | undefined;
  private readonly time: EventTime | undefined;
  private readonly decode: DecodeFields | undefined;
  /** Labels that were looked at before: a log has few, and the check is dear. */
  private readonly labels = new Set<string>();
  private reason = EMPTY;

  constructor(
    name: string,
    casts: ReadonlyMap<string, Cast> | undefined,
    time: EventTime | undefined,
    decode: DecodeFields | undefined,
  ) {
    this.name = name;
    this.casts = casts;
    this.time = time;
    this.decode = decode;
  }

  failure(): string {
    return this.reason;
  }

  parse(line: string, into: ParsedEvent): boolean {
    const record: LogRecord = {};
    into.record = record;
    into.text = undefined;
    into.seconds = Number.NaN;
    into.nanos = 0;
    let found = false;
    const length = line.endsWith('\r') ? line.length - 1 : line.length;
    for (let at = 0; at < length;) {
      const tab = line.indexOf('\t', at);
      const end = tab === -1 || tab > length ? length : tab;
      if (end > at) {
        const colon = line.indexOf(':', at);
        if (colon === -1 || colon > end) return this.fail(NO_LABEL);
        const label = line.slice(at, colon);
        if (!this.isLabel(label)) return this.fail(NO_LABEL);
        if (!this.store(label, line.slice(colon + 1, end), into)) return this.fail(NO_TIME);
        found = true;
      }
      at = end + 1;
    }
    if (!found) return this.fail(EMPTY);
    this.decode?.(record);
    return true;
  }

  private fail(reason: string): false {
    this.reason = reason;
    return false;
  }

  private isLabel(label: string): boolean {
    if (this.labels.has(label)) return true;
    if (!LABEL.test(label)) return false;
    if (this.labels.size < 1000) this.labels.add(label);
    return true;
  }

  /** Stores a pair; false when it is a time that cannot be read. */
  private store(label: string, text: string, into: ParsedEvent): boolean {
    const { casts, time } = this;
    if (time !== undefined && label === time.key && text !== '') {
      if (!time.read(text, into)) return false;
      if (!time.keep) return true;
    }
    setKey(into.record, label, casts?.get(label)?.(text) ?? text);
    return true;
  }
}
