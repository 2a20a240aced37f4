/** The tree of a regular expression, between reading Ruby's syntax and writing V8's. */
import type { CodeSet } from './code-set.ts';

/** Places that match without taking a character; lines end at \n only. */
export type Anchor =
  | 'line-start'
  | 'line-end'
  | 'text-start'
  | 'text-end'
  | 'text-end-or-line-end'
  | 'word-boundary'
  | 'no-word-boundary';

export type RegexNode =
  /** One character of a set; a literal is a set of one. */
  | { kind: 'set'; set: CodeSet }
  | { kind: 'sequence'; items: readonly RegexNode[] }
  | { kind: 'choice'; options: readonly RegexNode[] }
  | {
      kind: 'repeat';
      node: RegexNode;
      min: number;
      /** Infinity without upper bound. */
      max: number;
      mode: 'greedy' | 'lazy' | 'possessive';
    }
  /** A capture; `index` counts the captures of the source from 1. */
  | { kind: 'capture'; node: RegexNode; index: number }
  | { kind: 'atomic'; node: RegexNode }
  | { kind: 'look'; node: RegexNode; behind: boolean; negative: boolean }
  | { kind: 'anchor'; anchor: Anchor }
  /** What a capture matched. */
  | { kind: 'reference'; index: number };

export interface RegexTree {
  root: RegexNode;
  /** Names of the captures in order; empty text for one without a name. */
  names: readonly string[];
}

/** A regular expression that is wrong, or that V8 cannot express. The message is a sentence that does not say where. */
export class RegexSyntaxError extends Error {
  override name = 'RegexSyntaxError';
  /** Where in the expression as written, in UTF-16 units from 0. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}
