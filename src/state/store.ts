/** The state store: what an agent remembers of its sources, per input and per output. */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Source } from '../event/source.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics, Series } from '../telemetry/metrics.ts';
import { openDatabase } from './database.ts';
import { isFluentBitDatabase, readFluentBitDatabase } from './fluent-bit-db.ts';
import { SqliteSources } from './sources.ts';
import { takeOverMarks } from './take-over.ts';

export { StateError, StateLockedError } from './database.ts';

/** What tells a file from others (DELIVERY.md, rule 5). */
export interface SourceIdentity {
  /** Where it was last seen. */
  path: string;
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
  /** Stores new sources, before their first byte is read; one transaction. Throws when they cannot be stored. */
  add(found: readonly { identity: SourceIdentity; start: number }[]): Source[];
  /** The source moved or its fingerprint grew; written with the next marks. */
  identify(source: Source, identity: SourceIdentity): void;
  /** Who can hash the bytes before an offset of the source; asked when its position is written. */
  describe(source: Source, describe: ((position: number) => SourceDescription | undefined) | undefined): void;
  /** Positions that Fluent Bit left in the `db`, to go on from; empty once this input has state of its own. */
  readonly legacy: readonly LegacyPosition[];
  /** Forgets sources: gone, settled, and their directory could be read (rule 8). */
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

interface Opened {
  database: DatabaseSync;
  inputs: Map<string, SqliteSources>;
}

export class StateStore {
  private readonly opened = new Map<string, Opened>();
  private readonly log: Logger;
  private readonly outputs = new Map<string, string>();
  private readonly failures: Series;
  private readonly rows: Series;
  private readonly file: string;
  private failing = false;
  private unsynced = false;

  constructor({ directory, outputs, log, metrics }: StateOptions) {
    this.log = log;
    this.failures = metrics
      .counter('tailrace_state_write_failures_total', 'Times that positions could not be written; tried again, at the cost of duplicates.')
      .labels();
    this.rows = metrics.counter('tailrace_state_rows_written_total', 'Rows of positions written.').labels();
    this.file = join(directory, 'positions.db');
    this.useOutputs(outputs);
    this.open(this.file);
  }

  /** The outputs that are there now; a reload may change them. */
  useOutputs(outputs: readonly OutputName[]): void {
    this.outputs.clear();
    for (const { stateName, plugin } of outputs) this.outputs.set(stateName, plugin);
  }

  /** The sources of an input; `file` names a database of its own (`db`). Throws StateLockedError or StateError. */
  forInput(stateName: string, { file = this.file }: { file?: string } = {}): SourceStore {
    const takenOver = file !== this.file && isFluentBitDatabase(file);
    // Fluent Bit's file is read once and never written: ours stands beside it.
    const { database, inputs } = this.open(takenOver ? `${file}.tailrace` : file);
    let sources = inputs.get(stateName);
    if (sources === undefined) {
      sources = new SqliteSources({
        database,
        input: stateName,
        pluginOf: (output) => this.outputs.get(output),
        legacy: takenOver ? () => readFluentBitDatabase(file, this.log) : () => [],
      });
      inputs.set(stateName, sources);
    }
    return sources;
  }

  private open(file: string): Opened {
    let opened = this.opened.get(file);
    if (opened === undefined) {
      opened = { database: openDatabase(file, this.log), inputs: new Map() };
      this.opened.set(file, opened);
      takeOverMarks(opened.database, this.outputs, this.log);
    }
    return opened;
  }

  /**
   * Writes the marks that changed: a write to the file, no sync (rule 8). Never throws: what cannot be written is counted, logged
   * once, and tried again; until then a crash costs duplicates.
   */
  writeMarks(): void {
    for (const { database, inputs } of this.opened.values()) {
      const changed = [...inputs.values()].filter((sources) => sources.hasChanges);
      if (changed.length === 0) continue;
      try {
        database.exec('BEGIN');
        for (const sources of changed) this.rows.value += sources.write();
        database.exec('COMMIT');
        for (const sources of changed) sources.committed();
        this.unsynced = true;
        this.recovered();
      } catch (error) {
        this.failed(database, changed, error);
      }
    }
  }

  private recovered(): void {
    if (this.failing) this.log.info({}, 'Positions can be written again');
    this.failing = false;
  }

  private failed(database: DatabaseSync, changed: readonly SqliteSources[], error: unknown): void {
    this.failures.value++;
    if (!this.failing) {
      this.log.error(
        { error },
        'Positions cannot be written; the agent goes on, and a crash now would send records twice',
      );
    }
    this.failing = true;
    try {
      if (database.isTransaction) database.exec('ROLLBACK');
    } catch {
      // SQLite rolls back by itself on some errors; there is nothing left to undo then.
    }
    for (const sources of changed) sources.rolledBack();
  }

  /** True while positions cannot be written. */
  get isFailing(): boolean {
    return this.failing;
  }

  /** Makes what was written safe against a power cut. Call it at most once a second. */
  sync(): void {
    if (!this.unsynced) return;
    for (const { database } of this.opened.values()) {
      try {
        database.exec('PRAGMA wal_checkpoint(PASSIVE)');
      } catch (error) {
        this.failed(database, [], error);
      }
    }
    this.unsynced = false;
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
