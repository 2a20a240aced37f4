/** The state store: what an agent remembers of its sources, per input and per output. */
import { join, resolve } from 'node:path';
import type { Range } from '../event/ranges.ts';
import type { Source } from '../event/source.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics, Series } from '../telemetry/metrics.ts';
import { lastWrite, openDatabase } from './database.ts';
import type { OpenedDatabase } from './database.ts';
import { isFluentBitDatabase, readFluentBitCursor, readFluentBitDatabase } from './fluent-bit-db.ts';
import { SqliteSources } from './sources.ts';
import { takeOverMarks } from './take-over.ts';

export { StateError, StateLockedError } from './database.ts';

/** What tells a file from others (DELIVERY.md, rule 5). */
export interface SourceIdentity {
  /** The path by which it is followed, links unresolved; stays when the file is renamed. */
  path: string;
  /** Where its bytes were last seen; `path` if absent. */
  realPath?: string;
  /** Device and inode numbers, decimal. */
  device: string;
  inode: string;
  /** Hash of the first `fingerprintLength` bytes. */
  fingerprint: string;
  fingerprintLength: number;
}

export interface StoredSource {
  source: Source;
  identity: SourceIdentity;
  /** Offset that the tail hash was taken at: the lowest mark when it was written. */
  position: number;
  /** Hash of the bytes before `position`, empty if none was taken. */
  tailHash: string;
  /** Bytes that it was known to have when that was written. */
  size: number;
}

/** What the reader of a source can say when its position is written. */
export interface SourceDescription {
  /** Hash of the bytes before the position. */
  tailHash: string;
  size: number;
}

/** Where Fluent Bit's own database says that it stopped reading a file. */
export interface LegacyPosition {
  path: string;
  inode: string;
  offset: number;
}

/** The sources of one input. */
export interface SourceStore {
  /** True when this input had no state at all when it was opened (rule 2). */
  readonly fresh: boolean;
  /** All remembered sources. While they live, they are the same objects at every call, so that a reload goes on with them. */
  load(): StoredSource[];
  /** From now on the input has state, also if it found no source. */
  claim(): void;
  /**
   * New sources; stored when the call returns, before their first byte is read. Where that is impossible (a full disk) it is logged and
   * tried again with the next marks: forgotten by a crash, such a file is read again. `size`: bytes that it has.
   */
  add(found: readonly { identity: SourceIdentity; start: number; size?: number }[]): Source[];
  /** The source moved or its fingerprint grew; written with the next marks. */
  identify(source: Source, identity: SourceIdentity): void;
  /** When positions were last written before this run, Unix milliseconds; undefined when this input had no state. */
  readonly lastWritten?: number | undefined;
  /** Who can hash the bytes before an offset of the source; asked when its position is written. */
  describe(source: Source, describe: ((position: number) => SourceDescription | undefined) | undefined): void;
  /** Positions that Fluent Bit left in the `db`, to go on from; empty once this input has state of its own. */
  readonly legacy: readonly LegacyPosition[];
  /** The cursor that Fluent Bit's systemd input left in the `db`; absent once this input has state of its own. */
  readonly legacyCursor?: string | undefined;
  /** Forgets sources, with the next marks: gone, settled, and their directory could be read (rule 8). */
  remove(sources: readonly Source[]): void;
}

export interface OutputName {
  /** Name in the state. */
  stateName: string;
  plugin: string;
}

export interface StateOptions {
  directory: string;
  outputs: readonly OutputName[];
  log: Logger;
  metrics: Metrics;
}

interface Opened extends OpenedDatabase {
  inputs: Map<string, SqliteSources>;
  /** The last write failed. */
  failing: boolean;
  /** Something was written that is not synced. */
  unsynced: boolean;
}

export class StateStore {
  private readonly opened = new Map<string, Opened>();
  private readonly log: Logger;
  private readonly outputs = new Map<string, string>();
  /** Plugins of all outputs of this run, also of those that a reload took away and that still have records under way. */
  private readonly plugins = new Map<string, string>();
  /** Outputs of earlier runs, and the ones that took over their marks. */
  readonly renamed = new Map<string, string>();
  /** Ranges of bytes that the disk buffer holds, by source and output: they count as read (rule 14). */
  private recovered: ReadonlyMap<string, ReadonlyMap<string, readonly Range[]>> = new Map();
  private readonly failures: Series;
  private readonly damaged: Series;
  private readonly rows: Series;
  private readonly file: string;

  constructor({ directory, outputs, log, metrics }: StateOptions) {
    this.log = log;
    this.failures = metrics
      .counter(
        'tailrace_state_write_failures_total',
        'Times that positions could not be written; tried again, at the cost of duplicates.',
      )
      .labels();
    this.damaged = metrics
      .counter(
        'tailrace_state_damaged_rows_total',
        'Remembered positions that were damaged; their files are read again.',
      )
      .labels();
    this.rows = metrics.counter('tailrace_state_rows_written_total', 'Rows of positions written.').labels();
    this.file = join(directory, 'positions.db');
    this.useOutputs(outputs);
    this.open(this.file);
  }

  /** What the disk buffer holds of sources; said before {@link forInput}. */
  useRecovered(ranges: ReadonlyMap<string, ReadonlyMap<string, readonly Range[]>>): void {
    this.recovered = ranges;
  }

  /** The outputs that are there now; a reload may change them. */
  useOutputs(outputs: readonly OutputName[]): void {
    this.outputs.clear();
    for (const { stateName, plugin } of outputs) {
      this.outputs.set(stateName, plugin);
      this.plugins.set(stateName, plugin);
    }
  }

  /** The sources of an input; `file` names a database of its own (`db`). Throws StateLockedError or StateError. */
  forInput(stateName: string, options: { file?: string } = {}): SourceStore {
    const file = options.file === undefined ? this.file : resolve(options.file);
    // One that is ours is not looked into: closing any descriptor of it would give up SQLite's lock.
    const takenOver = !this.opened.has(file) && isFluentBitDatabase(file);
    // Fluent Bit's file is read once and never written: ours stands beside it.
    const opened = this.open(takenOver ? `${file}.tailrace` : file);
    const known = opened.inputs.get(stateName);
    if (known !== undefined) return known;
    const sources = new SqliteSources({
      database: opened.database,
      input: stateName,
      pluginOf: (output) => this.plugins.get(output) ?? '',
      isPresent: (output) => this.outputs.has(output),
      recovered: (source) => this.recoveredOf(source),
      legacy: takenOver ? () => readFluentBitDatabase(file, this.log) : () => [],
      legacyCursor: takenOver ? () => readFluentBitCursor(file, this.log) : () => undefined,
      lastWritten: takenOver ? lastWrite(file) : opened.lastWritten,
      save: () => this.writeTo(opened),
    });
    opened.inputs.set(stateName, sources);
    return sources;
  }

  private recoveredOf(source: string): Map<string, readonly Range[]> {
    const ranges = new Map<string, readonly Range[]>();
    for (const [output, list] of this.recovered.get(source) ?? []) {
      ranges.set(this.renamed.get(output) ?? output, list);
    }
    return ranges;
  }

  private open(file: string): Opened {
    let opened = this.opened.get(file);
    if (opened === undefined) {
      opened = { ...openDatabase(file, this.log), inputs: new Map(), failing: false, unsynced: false };
      this.damaged.value += opened.damaged;
      this.opened.set(file, opened);
      try {
        for (const [from, to] of takeOverMarks(opened.database, this.outputs, this.log))
          this.renamed.set(from, to);
      } catch (error) {
        this.failed(opened, error);
      }
    }
    return opened;
  }

  /**
   * Writes the marks that changed: a write to the file, no sync (rule 8). Never throws: what cannot be written is counted, logged
   * once, and tried again; until then a crash costs duplicates.
   */
  writeMarks(): void {
    for (const opened of this.opened.values()) this.writeTo(opened);
  }

  private writeTo(opened: Opened): void {
    const { database, inputs } = opened;
    const changed = [...inputs.values()].filter((sources) => sources.hasChanges);
    if (changed.length === 0) return;
    try {
      database.exec('BEGIN');
      for (const sources of changed) this.rows.value += sources.write();
      database.exec('COMMIT');
      for (const sources of changed) sources.committed();
      opened.unsynced = true;
      if (opened.failing) this.log.info({}, 'Positions can be written again');
      opened.failing = false;
    } catch (error) {
      this.failed(opened, error);
      for (const sources of changed) sources.rolledBack();
    }
  }

  private failed(opened: Opened, error: unknown): void {
    this.failures.value++;
    if (!opened.failing) {
      this.log.error(
        { error },
        'Positions cannot be written; the agent goes on, and a crash now would send records twice',
      );
    }
    opened.failing = true;
    try {
      if (opened.database.isTransaction) opened.database.exec('ROLLBACK');
    } catch {
      // SQLite rolls back by itself on some errors; there is nothing left to undo then.
    }
  }

  /** True while positions cannot be written. */
  get isFailing(): boolean {
    for (const { failing } of this.opened.values()) if (failing) return true;
    return false;
  }

  /** Makes what was written safe against a power cut. Call it at most once a second. */
  sync(): void {
    for (const opened of this.opened.values()) {
      if (!opened.unsynced) continue;
      try {
        opened.database.exec('PRAGMA wal_checkpoint(PASSIVE)');
        opened.unsynced = false;
      } catch (error) {
        this.failed(opened, error);
      }
    }
  }

  close(): void {
    for (const { database } of this.opened.values()) database.close();
    this.opened.clear();
  }
}

/** Opens the state in a directory. Throws StateLockedError when another agent holds it, StateError when it cannot be used. */
export function openState(options: StateOptions): StateStore {
  return new StateStore(options);
}
