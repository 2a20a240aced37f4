/** What is wrong with a configuration, and where. */
import type { Position } from './definition.ts';
import { maskLine } from './mask.ts';
import type { Place } from './source-text.ts';

/**
 * `error`: it cannot run, or records would vanish. `warning`: it runs, but hardly as meant. `info`: something that Fluent Bit has
 * and that has no effect here; `--strict` does not mind it.
 */
export type ProblemLevel = 'error' | 'warning' | 'info';

export interface Problem {
  level: ProblemLevel;
  /** Absent for what is about the whole file (it cannot be read). */
  position: Position | undefined;
  /** Where in the document: `pipeline.inputs[0].read_from_hed`; empty for the document itself. */
  path: string;
  /** A sentence that says what was found and what to do, suggestion included. */
  message: string;
  /** The offending line of the file; values that must not be shown are masked. */
  source: string | undefined;
}

interface ReportOptions {
  level?: ProblemLevel;
  /** The value at this place must not be shown. */
  secret?: boolean;
}

/** Collects problems while a configuration is read. */
export class Problems {
  readonly list: Problem[] = [];

  report(
    place: Place | undefined,
    path: string,
    message: string,
    { level = 'error', secret = false }: ReportOptions = {},
  ): void {
    const position = place?.source.position(place.offset);
    const line = position === undefined ? undefined : place?.source.line(position.line);
    this.list.push({
      level,
      position,
      path,
      message,
      source: line === undefined ? undefined : maskLine(line, secret),
    });
  }

  warn(place: Place | undefined, path: string, message: string): void {
    this.report(place, path, message, { level: 'warning' });
  }

  note(place: Place | undefined, path: string, message: string): void {
    this.report(place, path, message, { level: 'info' });
  }

  get errors(): number {
    return this.list.filter(({ level }) => level === 'error').length;
  }

  /** All problems, in the order of `read` (files) and from the top of each; equal ones once. */
  sorted(read: readonly string[]): Problem[] {
    const files = new Map(read.map((file, index) => [file, index]));
    const seen = new Set<string>();
    return this.list
      .filter((problem) => {
        const key = JSON.stringify([problem.level, problem.position, problem.path, problem.message]);
        return !seen.has(key) && seen.add(key);
      })
      .toSorted(({ position: a }, { position: b }) => {
        if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
        return (
          (files.get(a.file) ?? read.length) - (files.get(b.file) ?? read.length) ||
          a.line - b.line ||
          a.column - b.column
        );
      });
  }
}
