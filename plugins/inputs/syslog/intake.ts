/** Makes events of messages: the parser, what is added to its records, and what becomes of messages that it does not take. */
import { Batch } from '../../../src/plugin.ts';
import type { Emit, InputContext, ParsedEvent, Parser } from '../../../src/plugin.ts';
import { cutLines, unparsedRecords } from '../../shared/line-counters.ts';
import { Rarely } from '../../shared/rarely.ts';
import { SyslogParser } from '../../shared/syslog/parser.ts';

export interface IntakeSettings {
  parser: Parser;
  /** Tried where the parser does not take a message. */
  fallback: SyslogParser | undefined;
  rawKey: string | undefined;
  sourceKey: string | undefined;
}

/** Where a message stands that no parser takes. */
const UNPARSED_KEY = 'log';

const NUL = 0x00;
const LINE_FEED = 0x0a;

export class Intake {
  private readonly settings: IntakeSettings;
  private readonly context: InputContext;
  private readonly parsed: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  private readonly unparsed: { value: number };
  private readonly cut: { value: number };
  private readonly complaints = new Rarely();
  private batch = new Batch();
  private emit: Emit | undefined;
  private nowMs = 0;

  constructor(settings: IntakeSettings, context: InputContext) {
    this.settings = settings;
    this.context = context;
    this.unparsed = unparsedRecords(context);
    this.cut = cutLines(context);
  }

  start(emit: Emit): void {
    this.emit = emit;
  }

  /** Takes the message between two offsets of a text. `isCut`: its end is missing. `source`: who sent it, for the source's key. */
  take(text: string, from: number, until: number, isCut: boolean, source: string): void {
    const { parsed, batch } = this;
    const { rawKey, sourceKey } = this.settings;
    let to = until;
    while (to > from && isEnd(text.charCodeAt(to - 1))) to--;
    // A line end alone is no message.
    if (to === from) return;
    if (batch.length === 0) this.nowMs = Date.now();
    if (!this.parse(text, from, to)) {
      parsed.record = { [UNPARSED_KEY]: text.slice(from, to) };
      parsed.text = undefined;
      parsed.seconds = Number.NaN;
    }
    if (Number.isNaN(parsed.seconds)) {
      parsed.seconds = Math.floor(this.nowMs / 1000);
      parsed.nanos = (this.nowMs % 1000) * 1e6;
    }
    batch.push(parsed.record, parsed.text, parsed.seconds, parsed.nanos);
    const index = batch.length - 1;
    if (rawKey !== undefined) batch.set(index, rawKey, text.slice(from, until));
    if (sourceKey !== undefined) batch.set(index, sourceKey, source);
    if (isCut) {
      this.cut.value++;
      batch.metadata ??= Array.from({ length: index }, () => undefined);
    }
    batch.metadata?.push(isCut ? { truncated: true } : undefined);
  }

  /** A message cannot be taken. */
  lost(reason: string): void {
    this.context.drop(reason, 1);
  }

  /** Hands over what was taken. The promise is that there is room for more. */
  flush(): Promise<void> | undefined {
    const { batch, emit } = this;
    if (batch.length === 0) return undefined;
    const room = emit?.(this.context.tag, batch);
    batch.reset();
    return room;
  }

  private parse(text: string, from: number, to: number): boolean {
    const { parser, fallback } = this.settings;
    const { parsed } = this;
    if (parser instanceof SyslogParser) {
      if (parser.parseRange(text, from, to, parsed)) return true;
    } else {
      parsed.oneLine = false;
      if (parser.parse(text.slice(from, to), parsed)) return true;
      if (fallback?.parseRange(text, from, to, parsed) === true) return true;
    }
    this.unparsed.value++;
    const count = this.complaints.happened();
    if (count > 0) {
      this.context.log.warn(
        { count, parser: parser.name, reason: parser.failure() },
        'Cannot parse some messages; they go on as they are, under "log"',
      );
    }
    return false;
  }
}

function isEnd(code: number): boolean {
  return code === LINE_FEED || code === NUL;
}
