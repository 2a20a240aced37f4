/**
 * stdin: reads records from the standard input and ends the agent with it.
 *
 * Without a parser it takes JSON: maps, and events as Fluent Bit writes them, `[time, map]` or `[[time, metadata], map]`; several
 * on a line and one over several lines. Fluent Bit drops all else without a word; here such a line is kept under the key
 * `log` and counted. With a parser each line goes through it; what it does not take is kept under `log` as well.
 *
 * The standard input cannot be read again: what was read is safe once a disk buffer or the outputs have it.
 */
import type { Readable } from 'node:stream';
import { Batch, defineInput, isRecord, size, string } from '../../src/plugin.ts';
import type { Emit, Input, InputContext, LogRecord, ParsedEvent, Parser, Value } from '../../src/plugin.ts';
import { readEvent } from '../shared/json-event.ts';
import { JsonStream } from '../shared/json-stream.ts';
import { cutLines, unparsedRecords } from '../shared/line-counters.ts';
import { LineSplitter } from '../shared/lines.ts';

/** As in Fluent Bit, which takes none that is smaller. */
const MIN_BUFFER_SIZE = 16_000;

export default defineInput({
  name: 'stdin',
  summary: 'Reads JSON or lines from the standard input',
  options: {
    parser: string().optional().describe('Name of the parser that each line goes through.'),
    buffer_size: size()
      .default('16k')
      .describe(
        'Longest line, bytes, and longest JSON value over several lines. A longer line is cut, counted, and flagged with `truncated` in its metadata.',
      ),
  },
  parserOptions: ['parser'],
  example: `inputs:
  - name: stdin
    tag: app`,
  check({ buffer_size: bufferSize }) {
    if (bufferSize >= MIN_BUFFER_SIZE) return [];
    return [{ key: 'buffer_size', message: `${bufferSize} bytes are too few: write at least 16k.` }];
  },
  create({ parser, buffer_size: bufferSize }, context) {
    return readRecords(process.stdin, context, {
      bufferSize,
      parser: parser === undefined ? undefined : context.parser(parser),
    });
  },
});

export interface ReadOptions {
  /** Bytes. */
  bufferSize: number;
  parser: Parser | undefined;
}

/** Reads a stream of bytes, whatever it comes from. */
export function readRecords(stream: Readable, context: InputContext, options: ReadOptions): Input {
  return new StreamInput(stream, context, options);
}

class StreamInput implements Input {
  readonly finite = true;
  private readonly stream: Readable;
  private readonly context: InputContext;
  private readonly parser: Parser | undefined;
  private readonly parsed: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  private readonly lines: LineSplitter;
  private readonly json: JsonStream;
  private readonly unparsed: { value: number };
  private readonly longLines: { value: number };

  private emit: Emit | undefined;
  private batch = new Batch();
  /** Wall clock of the batch. */
  private now = 0;
  private unparsedInBatch = 0;
  private failure = '';
  private lineIsCut = false;

  constructor(stream: Readable, context: InputContext, { bufferSize, parser }: ReadOptions) {
    this.stream = stream;
    this.context = context;
    this.parser = parser;
    this.unparsed = unparsedRecords(context);
    this.longLines = cutLines(context);
    this.json = new JsonStream(
      {
        value: (value, text) => this.takeValue(value, text),
        text: (line) => this.takeText(line, 'It is no JSON map.'),
      },
      bufferSize,
    );
    this.lines = new LineSplitter(bufferSize, (line, truncated) => this.takeLine(line, truncated));
  }

  start(emit: Emit): void {
    this.emit = emit;
    this.stream.on('data', this.onData);
    this.stream.once('end', this.onEnd);
    this.stream.once('error', this.onError);
  }

  /** What came without a line end is given out: it cannot be read again. */
  stop(): void {
    this.detach();
    void this.drain();
    this.emit = undefined;
  }

  private detach(): void {
    this.stream.off('data', this.onData);
    this.stream.off('end', this.onEnd);
    this.stream.off('error', this.onError);
    this.stream.pause();
  }

  private readonly onData = (chunk: Buffer): void => {
    this.now = Date.now();
    this.lines.push(chunk);
    const pending = this.flush();
    if (pending === undefined) return;
    this.stream.pause();
    void pending.then(() => {
      if (this.emit !== undefined) this.stream.resume();
      return undefined;
    });
  };

  private readonly onEnd = (): void => {
    this.detach();
    void Promise.resolve(this.drain()).then(() => this.context.finished({ exit: true }));
  };

  private readonly onError = (error: Error): void => {
    this.context.log.error({ error }, 'Cannot read the standard input; taking it for ended');
    this.onEnd();
  };

  /** Gives out what is held. */
  private drain(): Promise<void> | undefined {
    this.now = Date.now();
    this.lines.end();
    this.json.end();
    return this.flush();
  }

  private flush(): Promise<void> | undefined {
    const { batch, emit } = this;
    if (this.unparsedInBatch > 0) {
      this.unparsed.value += this.unparsedInBatch;
      this.context.log.warn(
        { records: this.unparsedInBatch, reason: this.failure },
        'Cannot parse some lines; they are kept under "log"',
      );
      this.unparsedInBatch = 0;
    }
    if (batch.length === 0) return undefined;
    this.batch = new Batch();
    return emit?.(this.context.tag, batch);
  }

  private takeLine(line: string, truncated: boolean): void {
    if (truncated) this.longLines.value++;
    this.lineIsCut = truncated;
    if (this.parser === undefined) {
      this.json.push(line);
      // What the cut left open must not go on with the next line.
      if (truncated) this.json.end();
    } else if (line !== '') this.parse(this.parser, line);
    this.lineIsCut = false;
  }

  private parse(parser: Parser, line: string): void {
    const { parsed } = this;
    parsed.text = undefined;
    parsed.seconds = Number.NaN;
    parsed.nanos = 0;
    if (!parser.parse(line, parsed)) this.takeText(line, parser.failure());
    else if (Number.isNaN(parsed.seconds)) this.push(parsed.record, parsed.text);
    else this.push(parsed.record, parsed.text, parsed.seconds, parsed.nanos);
  }

  private takeText(line: string, failure: string): void {
    this.unparsedInBatch++;
    this.failure = failure;
    this.push({ log: line }, undefined);
  }

  private takeValue(value: Value, text: string): void {
    if (isRecord(value)) {
      this.push(value, undefined);
      return;
    }
    const event = readEvent(value);
    if (event === undefined) {
      this.takeText(text, 'It is a list, but no event: [time, map].');
      return;
    }
    this.push(event.record, undefined, event.seconds, event.nanos);
    if (event.metadata !== undefined) this.addMetadata(event.metadata);
  }

  private push(
    record: LogRecord,
    text: string | undefined,
    seconds = Math.floor(this.now / 1000),
    nanos = (this.now % 1000) * 1e6,
  ): void {
    this.batch.push(record, text, seconds, nanos);
    if (this.batch.metadata !== undefined) this.batch.metadata.push(undefined);
    if (this.lineIsCut) this.addMetadata({ truncated: true });
  }

  /** To the event that came last. */
  private addMetadata(metadata: LogRecord): void {
    const { batch } = this;
    batch.metadata ??= Array.from({ length: batch.length }, () => undefined);
    batch.metadata[batch.length - 1] = { ...batch.metadata[batch.length - 1], ...metadata };
  }
}
