/** An application that logs for as long as a soak takes: numbered lines, files rotated by rename, and the oldest deleted once nobody needs them. */
import { unlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { NumberedWriter } from '../test/support/numbered.ts';

const TICK_MS = 50;
const PADDING = 180;
/** Of one line, its end included. */
const LINE_BYTES = 205;
/** Lines after which a file is rotated: 20 MB. */
const ROTATE_EVERY = 100_000;

export interface SoakWriterOptions {
  path: string;
  stream: string;
  bytesPerSecond: number;
  /** All lines below this number are at every destination. */
  delivered: () => number;
}

export class SoakWriter {
  readonly stream: string;
  private readonly options: SoakWriterOptions;
  private readonly writer: NumberedWriter;
  /** Number behind the last line of each rotated file, `path.1` first. */
  private readonly ends: number[] = [];
  private enough = false;
  private writing: Promise<void> | undefined;

  constructor(options: SoakWriterOptions) {
    this.options = options;
    this.stream = options.stream;
    this.writer = new NumberedWriter({ path: options.path, stream: options.stream, padding: PADDING });
  }

  /** Lines written. */
  get lines(): number {
    return this.writer.next;
  }

  get rotations(): number {
    return this.writer.rotations;
  }

  start(): void {
    this.writing = this.write();
  }

  /** Writes no more. */
  async stop(): Promise<void> {
    this.enough = true;
    await this.writing;
  }

  private async write(): Promise<void> {
    const begin = performance.now();
    const perMs = this.options.bytesPerSecond / LINE_BYTES / 1000;
    let first = 0;
    while (!this.enough) {
      const due = Math.floor((performance.now() - begin) * perMs) - this.writer.next;
      if (due > 0) this.writer.append(due);
      // A file of which nobody has seen a line cannot be looked for by its identity after a restart.
      if (this.writer.next - first >= ROTATE_EVERY && this.options.delivered() > first) {
        this.ends.unshift(this.writer.next);
        this.writer.rotate();
        first = this.writer.next;
      }
      this.prune();
      await pause(TICK_MS);
    }
    this.writer.close();
  }

  private prune(): void {
    for (
      let end = this.ends.at(-1);
      end !== undefined && end <= this.options.delivered();
      end = this.ends.at(-1)
    ) {
      unlinkSync(`${this.options.path}.${this.ends.length}`);
      this.ends.pop();
    }
  }
}
