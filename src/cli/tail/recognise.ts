/**
 * Makes a record of a line without being told its format: JSON, logfmt, what container runtimes write around them (CRI, Docker's
 * JSON), else plain text.
 */
import { parseExact } from '../../event/json.ts';
import { isRecord } from '../../event/record.ts';
import type { LogRecord, Value } from '../../event/record.ts';
import type { ParsedEvent, Parser } from '../../plugin.ts';

export interface Recognised {
  kind: 'json' | 'logfmt' | 'plain';
  record: LogRecord;
  /** Milliseconds since the epoch, if the line says a time. */
  time: number | undefined;
  /** The key that the time stands under. */
  timeKey: string | undefined;
}

/** `2026-03-14T09:26:53.123456789Z stdout F the line`. */
const CRI = /^(\d{4}-\d\d-\d\dT\S+) (stdout|stderr) ([FP])(?::\S*)?(?: (.*))?$/s;
/** Two pairs at least, and nothing but pairs. */
const LOGFMT = /^\s*(?:[A-Za-z_@][\w.@/-]*=(?:"(?:[^"\\]|\\.)*"|[^\s"=]*)(?:\s+|$)){2,}$/;
const LEADING_TIME = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\]?(?=\s|$)/;
const TIME_KEYS = ['time', 'timestamp', '@timestamp', 'ts', 'date', 'datetime', 't'];
/** Longer lines are shown as they are. */
const MAX_LENGTH = 1_000_000;
const MAX_PARTIAL = 1_000_000;

/** Recognises the lines of one file, in order. */
export class Recogniser {
  private readonly logfmt: Parser;
  private readonly parsed: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  /** Parts of a line that a container runtime has cut, by stream. */
  private readonly partial = new Map<string, string>();

  constructor(logfmt: Parser) {
    this.logfmt = logfmt;
  }

  /** Undefined for a part of a line whose end has not come. */
  line(text: string): Recognised | undefined {
    if (text.length > MAX_LENGTH) return plain(text);
    const cri = CRI.exec(text);
    return cri === null ? this.content(text) : this.container(cri);
  }

  private container(match: RegExpExecArray): Recognised | undefined {
    const [, written = '', stream = '', flag, rest = ''] = match;
    const text = (this.partial.get(stream) ?? '') + rest;
    if (flag === 'P' && text.length < MAX_PARTIAL) {
      this.partial.set(stream, text);
      return undefined;
    }
    this.partial.delete(stream);
    return wrapped(this.content(text), stream, readTime(written));
  }

  private content(text: string): Recognised {
    const start = text.trimStart();
    if (start.startsWith('{')) {
      const record = readObject(start);
      if (record !== undefined) return this.docker(record) ?? timed('json', record);
    }
    if (LOGFMT.test(text) && this.logfmt.parse(text, this.parsed))
      return timed('logfmt', { ...this.parsed.record });
    return plain(text);
  }

  /** `{"log":"the line\n","stream":"stdout","time":"…"}`. */
  private docker(record: LogRecord): Recognised | undefined {
    const { log, stream, time } = record;
    if (typeof log !== 'string' || typeof stream !== 'string' || typeof time !== 'string') return undefined;
    if (!/^std(?:out|err)$/.test(stream)) return undefined;
    return wrapped(this.content(log.replace(/\r?\n$/, '')), stream, readTime(time));
  }
}

/** A container's line: its own time counts, else the runtime's; of the streams only stderr is worth a word. */
function wrapped(inner: Recognised, stream: string, time: number | undefined): Recognised {
  if (stream === 'stderr' && !Object.hasOwn(inner.record, 'stream')) inner.record.stream = stream;
  return inner.time === undefined ? { ...inner, time } : inner;
}

function readObject(text: string): LogRecord | undefined {
  try {
    const value = parseExact(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function timed(kind: 'json' | 'logfmt', record: LogRecord): Recognised {
  for (const timeKey of TIME_KEYS) {
    const value = Object.hasOwn(record, timeKey) ? record[timeKey] : undefined;
    const time = value === undefined ? undefined : readTime(value);
    if (time !== undefined) return { kind, record, time, timeKey };
  }
  return { kind, record, time: undefined, timeKey: undefined };
}

function plain(text: string): Recognised {
  const time = LEADING_TIME.exec(text)?.[1];
  return {
    kind: 'plain',
    record: { log: text },
    time: time === undefined ? undefined : readTime(time.replace(',', '.')),
    timeKey: undefined,
  };
}

/** ISO text, or a number of seconds, milliseconds, microseconds or nanoseconds, told apart by their size. */
export function readTime(value: Value): number | undefined {
  if (typeof value === 'string') {
    if (/^\d+(?:\.\d+)?$/.test(value)) return readTime(Number(value));
    const time = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
    return Number.isNaN(time) ? undefined : time;
  }
  if (typeof value === 'bigint') return readTime(Number(value));
  if (typeof value !== 'number' || value < 1e8) return undefined;
  if (value < 1e11) return value * 1000;
  if (value < 1e14) return value;
  return value < 1e17 ? value / 1000 : value / 1e6;
}
