/** The agent's own log, as the rest of the code sees it. Messages are constants, values are fields. */

export type LogLevel = 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

export interface Logger {
  error(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  debug(fields: Record<string, unknown>, message: string): void;
  /** A logger that adds fields to every line; `level` narrows or widens it (a plugin's `log_level`). */
  child(fields: Record<string, unknown>, options?: { level?: LogLevel }): Logger;
}
