/** Runs a command by the clock, one run at a time, and makes records of the lines that it writes. */
import { unparsedRecords } from '../../shared/line-counters.ts';
import { Batch } from '../../../src/plugin.ts';
import type { Emit, Input, InputContext, LogRecord, ParsedEvent, Parser } from '../../../src/plugin.ts';
import { LineSplitter } from '../../shared/lines.ts';
import { Rarely } from '../../shared/rarely.ts';
import { PieceSplitter } from './pieces.ts';
import { CommandRun, notStarted } from './run.ts';
import type { RunEnd } from './run.ts';

/** The key that lines stand under, as in Fluent Bit. */
const KEY = 'exec';
/** Of a line of the standard error, what the log shows. Bytes. */
const COMPLAINT_BYTES = 500;

export interface ExecSettings {
  command: string;
  /** Undefined: it is run once, at once. Milliseconds. */
  intervalMs: number | undefined;
  /** 0: as long as it takes. Milliseconds. */
  timeoutMs: number;
  /** Of a record. */
  maxBytes: number;
  parser: Parser | undefined;
  /** The agent ends when the command, which is run once, has ended. */
  exits: boolean;
  /** And with its exit code. */
  propagates: boolean;
}

export class ExecInput implements Input {
  readonly finite: boolean;
  private readonly settings: ExecSettings;
  private readonly context: InputContext;
  private readonly pieces: PieceSplitter;
  private readonly complaints: LineSplitter;
  private readonly parsed: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  private readonly counters;
  private readonly rarely = {
    late: new Rarely(),
    failed: new Rarely(),
    complaint: new Rarely(),
    unparsed: new Rarely(),
  };

  private emit: Emit | undefined;
  private timer: NodeJS.Timeout | undefined;
  private run: CommandRun | undefined;
  /** The run with what is done after its end. */
  private running: Promise<void> | undefined;
  private batch = new Batch();
  private now = 0;

  constructor(settings: ExecSettings, context: InputContext) {
    this.settings = settings;
    this.context = context;
    this.finite = settings.exits;
    this.counters = countersOf(context);
    this.pieces = new PieceSplitter(settings.maxBytes, (text, isMore) => this.take(text, isMore));
    this.complaints = new LineSplitter(COMPLAINT_BYTES, (line) => this.complain(line));
  }

  start(emit: Emit): void {
    this.emit = emit;
    const { intervalMs } = this.settings;
    if (intervalMs === undefined) this.begin();
    else this.timer = setInterval(() => this.tick(), intervalMs);
  }

  /** Ends the command that runs, and what it started; what it has written until then is taken. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.run?.end();
    await this.running;
    this.emit = undefined;
  }

  private tick(): void {
    if (this.run === undefined) {
      this.begin();
      return;
    }
    this.counters.skipped.value++;
    const count = this.rarely.late.happened();
    if (count > 0)
      this.context.log.warn(
        { pid: this.run.pid, count },
        'The command still runs when its next run is due; that one is left out',
      );
  }

  private begin(): void {
    const { command, timeoutMs } = this.settings;
    try {
      this.run = new CommandRun({
        command,
        timeoutMs,
        output: (chunk) => {
          this.now = Date.now();
          this.pieces.push(chunk);
          return this.flush();
        },
        complaint: (chunk) => this.complaints.push(chunk),
      });
    } catch (error) {
      this.ended(notStarted(error as Error));
      return;
    }
    this.running = this.run.over.then((end) => this.ended(end));
  }

  private ended(end: RunEnd): void {
    const { exits, propagates, intervalMs } = this.settings;
    this.now = Date.now();
    this.pieces.end();
    this.complaints.end();
    void this.flush();
    this.run = undefined;
    this.counters.runs(end.result).value++;
    if (end.result !== 'ok') this.sayFailure(end);
    if (intervalMs === undefined) this.context.finished({ exit: exits, code: propagates ? end.code : 0 });
  }

  private sayFailure({ result, code, signal, error }: RunEnd): void {
    const count = this.rarely.failed.happened();
    if (count === 0) return;
    if (result === 'not_started') this.context.log.error({ error, count }, 'The command cannot be started');
    else if (result === 'timeout')
      this.context.log.warn({ count }, 'The command did not end within timeout, and was ended');
    else this.context.log.warn({ code, signal, count }, 'The command ended with a failure');
  }

  private complain(line: string): void {
    const lines = this.rarely.complaint.happened();
    if (lines > 0) this.context.log.warn({ line, lines }, 'The command writes to its standard error');
  }

  private flush(): Promise<void> | undefined {
    const { batch } = this;
    if (batch.length === 0) return undefined;
    this.batch = new Batch();
    return this.emit?.(this.context.tag, batch);
  }

  private take(text: string, isMore: boolean): void {
    const { parser } = this.settings;
    if (isMore) this.counters.split.value++;
    if (parser === undefined) this.push({ [KEY]: text }, undefined);
    else if (!this.parse(parser, text)) return;
    if (isMore) this.flag();
  }

  /** False when there is nothing to keep. */
  private parse(parser: Parser, text: string): boolean {
    const { parsed } = this;
    parsed.text = undefined;
    parsed.seconds = Number.NaN;
    parsed.nanos = 0;
    if (parser.parse(text, parsed)) {
      if (Number.isNaN(parsed.seconds)) this.push(parsed.record, parsed.text);
      else this.push(parsed.record, parsed.text, parsed.seconds, parsed.nanos);
      return true;
    }
    if (text === '') return false;
    this.counters.unparsed.value++;
    const lines = this.rarely.unparsed.happened();
    if (lines > 0)
      this.context.log.warn(
        { lines, reason: parser.failure() },
        'Cannot parse some lines; they are kept under "exec"',
      );
    this.push({ [KEY]: text }, undefined);
    return true;
  }

  private push(
    record: LogRecord,
    text: string | undefined,
    seconds = Math.floor(this.now / 1000),
    nanos = (this.now % 1000) * 1e6,
  ): void {
    this.batch.push(record, text, seconds, nanos);
    this.batch.metadata?.push(undefined);
  }

  /** The record that came last is a piece of a line that goes on. */
  private flag(): void {
    const { batch } = this;
    batch.metadata ??= Array.from({ length: batch.length }, () => undefined);
    batch.metadata[batch.length - 1] = { partial: true };
  }
}

function countersOf({ metrics, name }: InputContext) {
  const runs = metrics.counter('tailrace_input_runs_total', 'Runs of the command that ended, by how.');
  return {
    runs: (result: RunEnd['result']) => runs.labels({ name, result }),
    skipped: metrics
      .counter(
        'tailrace_input_runs_skipped_total',
        'Runs of the command that were left out because the one before had not ended.',
      )
      .labels({ name }),
    unparsed: unparsedRecords({ metrics, name }),
    split: metrics
      .counter('tailrace_input_long_lines_total', 'Lines over the limit, by what was done with them.')
      .labels({ name, action: 'split' }),
  };
}
