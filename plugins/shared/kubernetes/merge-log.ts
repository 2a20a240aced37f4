/**
 * merge_log: what a container wrote as JSON, or in a form that a parser takes, becomes fields of the record.
 *
 * The text under `log` goes to one parser, the first of these that there is: the one that the pod chose, `merge_parser`, JSON. A line
 * that it does not take stays under `log` and is otherwise as it was. Of several fields with one name the merged one wins.
 *
 * Where nothing has to be changed the JSON text of the line is spliced into that of the record.
 */
import { boolean, isRecord, isTooDeep, parseExact, setKey, string } from '../../../src/plugin.ts';
import type {
  Batch,
  LogRecord,
  OptionValues,
  ParsedEvent,
  Parser,
  PluginContext,
  Value,
} from '../../../src/plugin.ts';
import { escapeControls } from '../lenient-json.ts';

export const mergeOptions = {
  merge_log: boolean()
    .default(false)
    .describe(
      'Makes the fields of a line that is a JSON object, or that a parser takes, fields of the record.',
    ),
  merge_parser: string().optional().describe('The parser for that, instead of JSON.'),
  merge_log_key: string().optional().describe('Puts the fields under this key instead of beside the others.'),
  merge_log_trim: boolean()
    .default(true)
    .describe(
      'Takes line ends off the end of the texts that are merged, also such as are written out: `\\n`, `\\r`.',
    ),
  keep_log: boolean().default(true).describe('Keeps the line under `log` after it was merged.'),
};

/** The merger that the options want; undefined where nothing is merged. */
export function openMerger(
  options: OptionValues<typeof mergeOptions>,
  context: PluginContext,
): LogMerger | undefined {
  if (!options.merge_log) return undefined;
  const settings = {
    parser: options.merge_parser === undefined ? undefined : context.parser(options.merge_parser),
    key: options.merge_log_key,
    trim: options.merge_log_trim,
    keep: options.keep_log,
  };
  return new LogMerger(settings, context);
}

export interface MergeSettings {
  parser: Parser | undefined;
  key: string | undefined;
  trim: boolean;
  keep: boolean;
}

const LOG = 'log';
const OPEN = 0x7b;
const CLOSE = 0x7d;
const LINE_FEED = 0x0a;
const BACKSLASH = 0x5c;
const LOWER_N = 0x6e;
const LOWER_R = 0x72;

export class LogMerger {
  private readonly settings: MergeSettings;
  private readonly event: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  private readonly unparsed;
  /** `"key":`, of `merge_log_key`. */
  private readonly keyText: string;

  constructor(settings: MergeSettings, context: PluginContext) {
    this.settings = settings;
    this.keyText = `${JSON.stringify(settings.key)}:`;
    this.unparsed = context.metrics
      .counter(
        'tailrace_kubernetes_unparsed_records_total',
        'Records whose log the parser that the pod or merge_parser names did not take; they pass as they are.',
      )
      .labels({ name: context.name });
  }

  /** Merges the log of one record. `chosen` is the parser that the pod wants. */
  merge(batch: Batch, index: number, chosen: Parser | undefined): void {
    const record = batch.record(index);
    if (!Object.hasOwn(record, LOG)) return;
    const log = record[LOG];
    if (typeof log === 'string') {
      if (this.parse(log, chosen ?? this.settings.parser)) this.put(batch, index);
    } else if (log !== undefined && isRecord(log)) {
      // Exact digits, and an object of its own.
      this.event.record = batch.edit(index)[LOG] as LogRecord;
      this.event.text = undefined;
      this.event.seconds = Number.NaN;
      this.put(batch, index);
    }
  }

  private parse(log: string, parser: Parser | undefined): boolean {
    const { event } = this;
    event.text = undefined;
    event.seconds = Number.NaN;
    event.nanos = 0;
    if (parser === undefined) {
      if (!readObject(log, event)) return false;
    } else if (!parser.parse(log, event)) {
      this.unparsed.value++;
      return false;
    }
    if (this.settings.trim) trimTexts(event);
    return true;
  }

  private put(batch: Batch, index: number): void {
    const { event } = this;
    // NaN is not equal to itself: the log carries no time, and the record keeps its own.
    if (event.seconds === event.seconds) batch.setTime(index, event.seconds, event.nanos);
    if (!this.settings.keep) dropLog(batch, index);
    const { key } = this.settings;
    if (key === undefined) this.putBeside(batch, index);
    else if (!isEmpty(event.record)) this.putUnder(batch, index, key);
  }

  private putUnder(batch: Batch, index: number, key: string): void {
    const { record: fields, text } = this.event;
    const record = batch.record(index);
    if (text === undefined || Object.hasOwn(record, key)) {
      batch.set(index, key, this.exactFields());
      return;
    }
    batch.replace(index, record, batch.json(index));
    batch.set(index, key, fields, this.keyText + text);
  }

  private putBeside(batch: Batch, index: number): void {
    const { record: fields, text } = this.event;
    if (text !== undefined) {
      const record = batch.record(index);
      let own = true;
      for (const key in fields) if (Object.hasOwn(record, key)) own = false;
      if (own) {
        const joined = joinObjects(batch.json(index), text);
        for (const key in fields) setKey(record, key, fields[key] as Value);
        batch.replace(index, record, joined);
        return;
      }
    }
    const record = batch.edit(index);
    const exact = this.exactFields();
    for (const key of Object.keys(exact)) setKey(record, key, exact[key] as Value);
  }

  /** The fields with all their digits, which only their text may have. */
  private exactFields(): LogRecord {
    const { record, text } = this.event;
    return text === undefined ? record : (parseExact(text) as LogRecord);
  }
}

/** Reads a JSON object, as it stands or with control characters unescaped in its texts. */
function readObject(log: string, into: ParsedEvent): boolean {
  let start = 0;
  let end = log.length;
  while (start < end && isBlank(log.charCodeAt(start))) start++;
  while (end > start && isBlank(log.charCodeAt(end - 1))) end--;
  if (log.charCodeAt(start) !== OPEN || log.charCodeAt(end - 1) !== CLOSE || isTooDeep(log)) return false;
  const text = end - start === log.length ? log : log.slice(start, end);
  try {
    into.record = JSON.parse(text) as LogRecord;
    if (!text.includes('\n') && !text.includes('\r')) into.text = text;
    else into.record = parseExact(text) as LogRecord;
    return true;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const escaped = escapeControls(text);
  if (escaped === undefined) return false;
  try {
    into.record = parseExact(escaped) as LogRecord;
    return true;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false;
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === LINE_FEED || code === 0x0d || code === 0x09;
}

function trimTexts(event: ParsedEvent): void {
  let { record } = event;
  for (const key in record) {
    const value = record[key];
    if (typeof value !== 'string') continue;
    const trimmed = trimLineEnds(value);
    if (trimmed.length === value.length) continue;
    if (event.text !== undefined) {
      record = parseExact(event.text) as LogRecord;
      event.record = record;
      event.text = undefined;
    }
    setKey(record, key, trimmed);
  }
}

/** Without line feeds at the end, and without `\n` and `\r` written out; the first character always stays. */
function trimLineEnds(text: string): string {
  let size = text.length;
  for (let at = size - 1; at > 0; at--) {
    const code = text.charCodeAt(at);
    if (code === LINE_FEED) {
      size--;
    } else if ((code === LOWER_N || code === LOWER_R) && text.charCodeAt(at - 1) === BACKSLASH) {
      size -= 2;
      at--;
    } else break;
  }
  return size === text.length ? text : text.slice(0, size);
}

/** Takes the log out of the record. */
function dropLog(batch: Batch, index: number): void {
  const old = batch.edit(index);
  const record: LogRecord = {};
  for (const key of Object.keys(old)) if (key !== LOG) setKey(record, key, old[key] as Value);
  batch.replace(index, record);
}

/** The text of one object with the members of both; neither may be empty inside but by its length. */
function joinObjects(first: string, second: string): string {
  const a = first.slice(0, -1);
  const b = second.slice(1);
  if (/^\{\s*$/.test(a)) return second;
  if (/^\s*\}$/.test(b)) return first;
  return `${a},${b}`;
}

function isEmpty(record: LogRecord): boolean {
  for (const _key in record) return false;
  return true;
}
