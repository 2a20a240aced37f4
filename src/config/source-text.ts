/** The text of a configuration file, and places in it. */
import type { Position } from './definition.ts';

export class SourceText {
  /** As it is shown in messages: the path as given, includes relative to their including file. */
  readonly file: string;
  readonly text: string;
  /** Offsets of the lines' beginnings. */
  private readonly starts: number[] = [0];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) this.starts.push(end + 1);
  }

  /** Line and column, from 1, of an offset in UTF-16 units. */
  position(offset: number): Position {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: offset - (this.starts[low] as number) + 1 };
  }

  /** The text of a line, from 1, without its end. */
  line(line: number): string | undefined {
    const start = this.starts[line - 1];
    if (start === undefined) return undefined;
    const next = this.starts[line];
    return this.text.slice(start, next === undefined ? undefined : next - 1).replace(/\r$/, '');
  }

  /** The offset at which a line, from 1, begins. */
  lineStart(line: number): number {
    return this.starts[line - 1] ?? this.text.length;
  }
}

/** A place in a file. */
export interface Place {
  source: SourceText;
  offset: number;
}
