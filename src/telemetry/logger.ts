/**
 * Creates the agent's own log: JSON in the shape of pino (`level`, `time`, fields, `msg`), or one-liners on a terminal, to stderr
 * or a file. Guards that hold for every line: no credentials (safe.ts), nothing that a terminal would obey, equal messages limited
 * (repeats.ts), counted by level.
 *
 * Without pino itself: of it only the line's shape would be used, for 3 MB of resident memory and a tenth of the start.
 */
import { escapeForTerminal } from '../codec/terminal.ts';
import { LineFile } from './line-file.ts';
import { LOG_LEVELS } from './log.ts';
import type { ChildOptions, Logger, LogLevel } from './log.ts';
import { formatLogLine } from './log-line.ts';
import type { Metrics, Series } from './metrics.ts';
import { DEFAULT_RULE, RepeatLimiter } from './repeats.ts';
import type { RepeatRule } from './repeats.ts';
import { safeFields, safeText } from './safe.ts';

type Said = 'error' | 'warn' | 'info' | 'debug';

export interface LogOptions {
  level: LogLevel;
  /** Path of the log file, made with its directories; undefined for stderr. */
  file?: string | undefined;
  /** One-liners for people instead of JSON; only for stderr. */
  pretty?: boolean;
  color?: boolean;
  /** Takes `tailrace_log_messages_total{level}`. */
  metrics?: Metrics;
}

/** The root of the log, as whoever created it holds it. */
export interface AgentLog extends Logger {
  /** The level of this log and of all children without one of their own. */
  setLevel(level: LogLevel): void;
  /** Opens the log file anew, after something moved it away. */
  reopen(): void;
  /** Says what was kept back as a repeat. */
  flush(): void;
  /** Writes an info line whatever the level, unless it is `off`: for the last line of a run. */
  announce(fields: Record<string, unknown>, message: string): void;
}

/** What all loggers of one log share. */
class LogSink {
  level: LogLevel;
  readonly limiter = new RepeatLimiter();
  private readonly file: LineFile;
  private readonly format: (line: string) => string;
  private readonly counts: Readonly<Record<Said, Series>> | undefined;

  constructor(options: LogOptions) {
    this.level = options.level;
    const { file, pretty = false, color = false, metrics } = options;
    this.file = new LineFile(file);
    this.format =
      pretty && file === undefined
        ? (line) => formatLogLine(line, color)
        : (line) => `${escapeForTerminal(line)}\n`;
    if (metrics !== undefined) {
      const family = metrics.counter(
        'tailrace_log_messages_total',
        "Messages of the agent's own log, those kept back as repeats included.",
      );
      this.counts = {
        error: family.labels({ level: 'error' }),
        warn: family.labels({ level: 'warn' }),
        info: family.labels({ level: 'info' }),
        debug: family.labels({ level: 'debug' }),
      };
      const lost = metrics.counter(
        'tailrace_log_lines_lost_total',
        "Lines of the agent's own log that could not be written.",
      );
      lost.collect = () => {
        lost.labels().value = this.file.lost;
      };
    }
  }

  count(level: Said): void {
    if (this.counts !== undefined) this.counts[level].value++;
  }

  write(level: Said, fields: Record<string, unknown>, message: string): void {
    const line = JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg: message });
    this.file.write(this.format(line));
  }

  reopen(): void {
    this.file.reopen();
  }
}

class SinkLogger implements Logger {
  protected readonly sink: LogSink;
  private readonly fields: Record<string, unknown>;
  private readonly level: LogLevel | undefined;
  private readonly rule: RepeatRule;
  /** Whose messages these are: equal ones of others are not repeats. */
  private readonly who: string;

  constructor(sink: LogSink, fields: Record<string, unknown>, level: LogLevel | undefined, rule: RepeatRule) {
    this.sink = sink;
    this.fields = fields;
    this.level = level;
    this.rule = rule;
    this.who = JSON.stringify(fields);
  }

  error(fields: Record<string, unknown>, message: string): void {
    this.say('error', fields, message);
  }

  warn(fields: Record<string, unknown>, message: string): void {
    this.say('warn', fields, message);
  }

  info(fields: Record<string, unknown>, message: string): void {
    this.say('info', fields, message);
  }

  debug(fields: Record<string, unknown>, message: string): void {
    this.say('debug', fields, message);
  }

  child(fields: Record<string, unknown>, options: ChildOptions = {}): Logger {
    const { level = this.level, suppressSeconds = 0 } = options;
    const rule = suppressSeconds > 0 ? { burst: 1, windowMs: suppressSeconds * 1000 } : this.rule;
    return new SinkLogger(this.sink, { ...this.fields, ...safeFields(fields) }, level, rule);
  }

  private say(level: Said, fields: Record<string, unknown>, message: string): void {
    if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(this.level ?? this.sink.level)) return;
    this.sink.count(level);
    // Who asked for debug lines wants all of them.
    if (level === 'debug' && this.rule === DEFAULT_RULE) {
      this.sink.write(level, { ...this.fields, ...safeFields(fields) }, safeText(message));
      return;
    }
    const key = `${level} ${this.who} ${message}`;
    this.sink.limiter.offer(key, this.rule, (repeated) => {
      const line = { ...this.fields, ...safeFields(fields) };
      if (repeated > 0) line.repeated = `${repeated} times`;
      this.sink.write(level, line, safeText(message));
    });
  }
}

class RootLogger extends SinkLogger implements AgentLog {
  constructor(sink: LogSink) {
    super(sink, {}, undefined, DEFAULT_RULE);
  }

  setLevel(level: LogLevel): void {
    this.sink.level = level;
  }

  reopen(): void {
    this.sink.reopen();
  }

  flush(): void {
    this.sink.limiter.flush();
  }

  announce(fields: Record<string, unknown>, message: string): void {
    if (this.sink.level !== 'off') this.sink.write('info', safeFields(fields), safeText(message));
  }
}

/** Opens the log. Throws when the log file cannot be opened (errno). */
export function createLogger(options: LogOptions): AgentLog {
  return new RootLogger(new LogSink(options));
}
