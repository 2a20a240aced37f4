/** What is wrong with a configuration, and where. */
import type { Position } from './definition.ts';

export type ProblemLevel = 'error' | 'warning';

export interface Problem {
  level: ProblemLevel;
  /** Absent for what is about the whole file (it cannot be read). */
  position: Position | undefined;
  /** Where in the document: `pipeline.inputs[0].read_from_hed`. */
  path: string;
  /** A sentence that says what was found and what to do, suggestion included. */
  message: string;
  /** The offending line of the file, as written, secrets included: never log it where others read. */
  source: string | undefined;
}
