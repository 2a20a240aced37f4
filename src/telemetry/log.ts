/** The agent's own log, as the rest of the code sees it. Messages are constants, values are fields. */

import type { LogLevel } from '../config/definition.ts';

export type { LogLevel };

/** From silent to talkative: a line is written when its level's rank is at most the logger's. */
export const LOG_LEVELS: readonly LogLevel[] = ['off', 'error', 'warn', 'info', 'debug', 'trace'];

export interface ChildOptions {
  /** Narrows or widens what is written (a plugin's `log_level`); without it the parent's level counts. */
  level?: LogLevel | undefined;
  /** Seconds in which an equal message is said once (`log_suppress_interval`); 0 or absent: the log's own limit on repeats. */
  suppressSeconds?: number | undefined;
}

export interface Logger {
  error(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  debug(fields: Record<string, unknown>, message: string): void;
  /** A logger that adds fields to every line; `options` narrow or widen it. */
  child(fields: Record<string, unknown>, options?: ChildOptions): Logger;
}
