/** Makes records of what came over one connection, or in datagrams: of lines and of JSON values; and hands them over. */
import { Batch, isRecord, parseExact } from '../../../src/plugin.ts';
import type {
  Emit,
  InputContext,
  LineText,
  LogRecord,
  ParsedEvent,
  Parser,
  Value,
} from '../../../src/plugin.ts';
import { cutLines, unparsedRecords } from '../line-counters.ts';
import { Rarely } from '../rarely.ts';

/** Where Fluent Bit puts lines, and JSON lists. */
const LINE_KEY = 'log';
const LIST_KEY = 'msg';

/** What the connections of one input share. */
export class RecordSettings {
  readonly parser: Parser | undefined;
  /** Key that takes the sender's address. */
  readonly sourceKey: string | undefined;
  private readonly context: InputContext;
  private readonly parsed: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  private readonly unparsed: { value: number };
  private readonly cut: { value: number };
  private readonly rarely = { unparsed: new Rarely(), cut: new Rarely(), incomplete: new Rarely() };

  constructor(options: { parser: Parser | undefined; sourceKey: string | undefined }, context: InputContext) {
    this.parser = options.parser;
    this.sourceKey = options.sourceKey;
    this.context = context;
    this.unparsed = unparsedRecords(context);
    this.cut = cutLines(context);
  }

  get tag(): string {
    return this.context.tag;
  }

  /** What the parser makes of a line; undefined when it does not take it. Good until the next call. */
  parse(parser: Parser, line: string): ParsedEvent | undefined {
    const { parsed } = this;
    parsed.text = undefined;
    parsed.seconds = Number.NaN;
    parsed.nanos = 0;
    if (parser.parse(line, parsed)) return parsed;
    this.sayUnparsed(parser.failure());
    return undefined;
  }

  sayUnparsed(reason: string): void {
    this.unparsed.value++;
    const lines = this.rarely.unparsed.happened();
    if (lines > 0)
      this.context.log.warn({ lines, reason }, 'Some of what came cannot be parsed; it is kept under "log"');
  }

  sayCut(): void {
    this.cut.value++;
    const records = this.rarely.cut.happened();
    if (records > 0)
      this.context.log.warn({ records }, 'Records longer than buffer_size were cut, and flagged');
  }

  /** A connection ended in the middle of a record. */
  sayIncomplete(): void {
    this.context.drop('incomplete', 1);
    const records = this.rarely.incomplete.happened();
    if (records > 0)
      this.context.log.warn({ records }, 'Senders ended in the middle of a record; its beginning is dropped');
  }
}

export class RecordSink {
  private readonly settings: RecordSettings;
  private readonly emit: () => Emit | undefined;
  /** Address of who sends. */
  source: string | undefined;
  private batch: Batch | undefined;
  private seconds = 0;
  private nanos = 0;

  /** `emit` is undefined once the input has stopped. */
  constructor(settings: RecordSettings, emit: () => Emit | undefined) {
    this.settings = settings;
    this.emit = emit;
  }

  /** Lines can be read where they lie: nothing is to be made of them. */
  get takesRaw(): boolean {
    return this.settings.parser === undefined && this.settings.sourceKey === undefined;
  }

  /** A line that `text` has between these offsets until the next flush. Only where {@link takesRaw} says so. */
  raw(text: LineText, start: number, stop: number): void {
    const batch = this.open();
    batch.useLines(LINE_KEY, text);
    batch.pushLine(this.seconds, this.nanos, start, stop, 0, 0);
    batch.metadata?.push(undefined);
  }

  /** A line; `isCut`: it was longer than the limit. */
  line(line: string, isCut: boolean): void {
    const { settings } = this;
    const parsed = settings.parser === undefined ? undefined : settings.parse(settings.parser, line);
    if (parsed === undefined) this.push({ [LINE_KEY]: line }, undefined);
    else if (Number.isNaN(parsed.seconds)) this.push(parsed.record, parsed.text);
    else this.push(parsed.record, parsed.text, parsed.seconds, parsed.nanos);
    if (isCut) this.flagCut();
  }

  /** A text where a map or a list in JSON was expected. */
  noJson(text: string, isCut: boolean): void {
    if (!isCut) this.settings.sayUnparsed('It is no map or list in JSON.');
    this.push({ [LINE_KEY]: text }, undefined);
    if (isCut) this.flagCut();
  }

  /** A map or a list, and its text. */
  json(value: Value, text: string): void {
    const isOneLine = !text.includes('\n') && !text.includes('\r');
    // Wide numbers are rounded in the value: their digits are in the text.
    const exact = isOneLine ? value : parseExact(text);
    if (isRecord(exact)) this.push(exact, isOneLine ? text : undefined);
    else this.push({ [LIST_KEY]: exact }, isOneLine ? `{"${LIST_KEY}":${text}}` : undefined);
  }

  /** The rest of a connection that ended in the middle of a record. */
  incomplete(): void {
    this.settings.sayIncomplete();
  }

  /** Hands over what was taken. The promise is that there is room for more. */
  flush(): Promise<void> | undefined {
    const { batch } = this;
    if (batch === undefined) return undefined;
    this.batch = undefined;
    return this.emit()?.(this.settings.tag, batch);
  }

  private push(record: LogRecord, text: string | undefined, seconds?: number, nanos = 0): void {
    const batch = this.open();
    batch.push(record, text, seconds ?? this.seconds, seconds === undefined ? this.nanos : nanos);
    batch.metadata?.push(undefined);
    const { sourceKey } = this.settings;
    const { source } = this;
    if (sourceKey === undefined || source === undefined) return;
    batch.set(batch.length - 1, sourceKey, source, `${JSON.stringify(sourceKey)}:${JSON.stringify(source)}`);
  }

  private flagCut(): void {
    const batch = this.open();
    this.settings.sayCut();
    batch.metadata ??= Array.from({ length: batch.length }, () => undefined);
    batch.metadata[batch.length - 1] = { truncated: true };
  }

  /** What comes together has one time. */
  private open(): Batch {
    if (this.batch === undefined) {
      this.batch = new Batch();
      const now = Date.now();
      this.seconds = Math.floor(now / 1000);
      this.nanos = (now % 1000) * 1e6;
    }
    return this.batch;
  }
}
