/** The time of an event, read from one of its fields. */
import type { ParsedEvent, ParserContext, TimeFormat } from '../../src/plugin.ts';
import { Rarely } from './rarely.ts';

export class EventTime {
  readonly key: string;
  /** The field stays in the record. */
  readonly keep: boolean;
  private readonly format: TimeFormat;
  private readonly log: ParserContext['log'];
  private readonly parser: string;
  private readonly unread = new Rarely();

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
    const records = this.unread.happened();
    if (records === 0) return;
    this.log.warn(
      { parser: this.parser, key: this.key, value: text.slice(0, 100), records },
      'Cannot read the time of some records by time_format; their time is that of reading',
    );
  }
}
