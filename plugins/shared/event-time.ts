/** The time of an event, read from one of its fields. */
import type { ParsedEvent, ParserContext, TimeFormat } from '../../src/plugin.ts';

/** A time that cannot be read is said once in this many milliseconds. */
const REPORT_EVERY = 60_000;

export class EventTime {
  readonly key: string;
  /** The field stays in the record. */
  readonly keep: boolean;
  private readonly format: TimeFormat;
  private readonly log: ParserContext['log'];
  private readonly parser: string;
  private unread = 0;
  private reportedAt = Number.NEGATIVE_INFINITY;

  constructor(key: string, keep: boolean, format: TimeFormat, context: ParserContext) {
    this.key = key;
    this.keep = keep;
    this.format = format;
    this.log = context.log;
    this.parser = context.name;
  }

  /** Reads a text into the event. On false its time is absent: the time of reading takes its place. */
  read(text: string, into: ParsedEvent): boolean {
    const { format } = this;
    if (format.parse(text)) {
      into.seconds = format.seconds;
      into.nanos = format.nanos;
      return true;
    }
    into.seconds = Number.NaN;
    this.reportUnread(text);
    return false;
  }

  private reportUnread(text: string): void {
    this.unread++;
    const now = performance.now();
    if (now - this.reportedAt < REPORT_EVERY) return;
    this.log.warn(
      { parser: this.parser, key: this.key, value: text.slice(0, 100), records: this.unread },
      'Cannot read the time of some records by time_format; their time is that of reading',
    );
    this.reportedAt = now;
    this.unread = 0;
  }
}
