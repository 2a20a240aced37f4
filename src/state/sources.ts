/**
 * The remembered sources of one input, in one database. Marks that changed are written in one transaction, never synced here:
 * a killed process loses none of them, a power cut at most the last second's, which costs duplicates.
 */
import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Range } from '../event/ranges.ts';
import { Source } from '../event/source.ts';
import type { Progress } from '../event/source.ts';
import type { LegacyPosition, SourceDescription, SourceIdentity, SourceStore, StoredSource } from './store.ts';

/** What the database holds of a source; rewritten only where it differs. */
interface Written {
  identity: SourceIdentity;
  /** As last written; undefined after a failure. */
  position: number | undefined;
  description: SourceDescription;
  /** By output: mark and ranges, as one string to compare. */
  marks: Map<string, string>;
}

interface Entry {
  source: Source;
  identity: SourceIdentity;
  identityChanged: boolean;
  describe: ((position: number) => SourceDescription | undefined) | undefined;
  written: Written;
}

const UNKNOWN: SourceDescription = { tailHash: '', size: 0 };

export class SqliteSources implements SourceStore {
  readonly fresh: boolean;
  readonly legacy: readonly LegacyPosition[];
  private readonly database: DatabaseSync;
  private readonly input: string;
  private readonly pluginOf: (output: string) => string | undefined;
  private readonly entries = new Map<string, Entry>();
  private readonly dirty = new Set<Entry>();
  private readonly statements: Record<'add' | 'identify' | 'state' | 'mark' | 'remove' | 'unmark', StatementSync>;
  private claimed: boolean;

  /** `pluginOf` names the plugin of an output that is there now; `legacy` is asked only when the input has no state yet. */
  constructor({ database, input, pluginOf, legacy }: {
    database: DatabaseSync;
    input: string;
    pluginOf: (output: string) => string | undefined;
    legacy: () => readonly LegacyPosition[];
  }) {
    this.database = database;
    this.input = input;
    this.pluginOf = pluginOf;
    this.claimed = database.prepare('SELECT 1 FROM inputs WHERE name = ?').get(input) !== undefined;
    // Positions that were lost with a damaged file were there: nothing may be skipped on their account.
    const replaced = database.prepare("SELECT 1 FROM meta WHERE key = 'replaced'").get() !== undefined;
    this.legacy = this.claimed ? [] : legacy();
    this.fresh = !this.claimed && !replaced && this.legacy.length === 0;
    this.statements = {
      add: database.prepare('INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
      identify: database.prepare(
        'UPDATE sources SET path = ?, device = ?, inode = ?, fingerprint = ?, fingerprint_length = ? WHERE id = ?',
      ),
      state: database.prepare('UPDATE sources SET position = ?, tail_hash = ?, size = ? WHERE id = ?'),
      mark: database.prepare('INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)'),
      remove: database.prepare('DELETE FROM sources WHERE id = ?'),
      unmark: database.prepare('DELETE FROM marks WHERE source = ?'),
    };
    this.read();
  }

  private read(): void {
    const rows = this.database.prepare('SELECT * FROM sources WHERE input = ?').all(this.input);
    const marks = this.database.prepare('SELECT * FROM marks WHERE source = ?');
    for (const row of rows) {
      const id = String(row['id']);
      const identity: SourceIdentity = {
        path: String(row['path']),
        device: String(row['device']),
        inode: String(row['inode']),
        fingerprint: String(row['fingerprint']),
        fingerprintLength: Number(row['fingerprint_length']),
      };
      const progress = new Map<string, Progress>();
      const written = new Map<string, string>();
      for (const mark of marks.all(id)) {
        const output = String(mark['output']);
        const entry = { mark: Number(mark['mark']), settled: JSON.parse(String(mark['settled'])) as Range[] };
        written.set(output, markText(entry));
        // A vanished output's mark holds nothing back.
        if (this.pluginOf(output) !== undefined) progress.set(output, entry);
      }
      const position = Number(row['position']);
      const lowest = Math.min(...[...progress.values()].map(({ mark }) => mark));
      const source = new Source(id, progress.size === 0 ? position : lowest, progress);
      source.dirty = false;
      this.track(source, identity, {
        identity,
        position,
        description: { tailHash: String(row['tail_hash']), size: Number(row['size']) },
        marks: written,
      });
    }
  }

  private track(source: Source, identity: SourceIdentity, written: Written): void {
    const entry: Entry = { source, identity, identityChanged: false, describe: undefined, written };
    this.entries.set(source.id, entry);
    source.onDirty = () => this.dirty.add(entry);
  }

  load(): StoredSource[] {
    return [...this.entries.values()].map(({ source, identity, written }) => ({
      source,
      identity,
      position: written.position ?? source.position(),
      ...written.description,
    }));
  }

  claim(): void {
    if (this.claimed) return;
    this.database.prepare('INSERT OR IGNORE INTO inputs VALUES (?)').run(this.input);
    this.claimed = true;
  }

  add(found: readonly { identity: SourceIdentity; start: number }[]): Source[] {
    const sources = found.map(({ identity, start }) => {
      const source = new Source(randomUUID(), start);
      source.dirty = false;
      this.track(source, identity, { identity, position: start, description: UNKNOWN, marks: new Map() });
      return source;
    });
    this.transaction(() => {
      this.claim();
      sources.forEach((source, index) => {
        const { identity, start } = found[index] as { identity: SourceIdentity; start: number };
        const { path, device, inode, fingerprint, fingerprintLength } = identity;
        this.statements.add.run(
          source.id, this.input, path, device, inode, fingerprint, fingerprintLength, start, '', 0,
        );
      });
    });
    return sources;
  }

  identify(source: Source, identity: SourceIdentity): void {
    const entry = this.entries.get(source.id);
    if (entry === undefined) return;
    entry.identity = identity;
    entry.identityChanged = true;
    this.dirty.add(entry);
    source.touch();
  }

  describe(source: Source, describe: ((position: number) => SourceDescription | undefined) | undefined): void {
    const entry = this.entries.get(source.id);
    if (entry !== undefined) entry.describe = describe;
  }

  remove(sources: readonly Source[]): void {
    this.transaction(() => {
      for (const source of sources) {
        const entry = this.entries.get(source.id);
        if (entry === undefined) continue;
        this.statements.remove.run(source.id);
        this.statements.unmark.run(source.id);
        this.entries.delete(source.id);
        this.dirty.delete(entry);
        source.onDirty = undefined;
      }
    });
  }

  get hasChanges(): boolean {
    return this.dirty.size > 0;
  }

  /** Writes what changed; inside a transaction of the caller. Returns the rows written. Throws what SQLite throws. */
  write(): number {
    let rows = 0;
    for (const entry of this.dirty) rows += this.writeEntry(entry);
    return rows;
  }

  /** The transaction with the last `write` is done: what was dirty is clean. */
  committed(): void {
    for (const entry of this.dirty) entry.source.dirty = false;
    this.dirty.clear();
  }

  /** The transaction failed: everything dirty is written again next time, in full. */
  rolledBack(): void {
    for (const entry of this.dirty) {
      entry.written.position = undefined;
      entry.written.marks.clear();
      entry.identityChanged = true;
    }
  }

  private writeEntry(entry: Entry): number {
    const { source, written, identity } = entry;
    let rows = 0;
    if (entry.identityChanged) {
      const { path, device, inode, fingerprint, fingerprintLength } = identity;
      this.statements.identify.run(path, device, inode, fingerprint, fingerprintLength, source.id);
      entry.identityChanged = false;
      rows++;
    }
    for (const output of source.outputs()) {
      const progress = source.progress(output);
      const text = markText(progress);
      if (written.marks.get(output) === text) continue;
      this.statements.mark.run(
        source.id, output, this.pluginOf(output) ?? '', progress.mark, JSON.stringify(progress.settled),
      );
      written.marks.set(output, text);
      rows++;
    }
    const position = source.position();
    if (written.position !== position) {
      const description = entry.describe?.(position) ?? UNKNOWN;
      this.statements.state.run(position, description.tailHash, description.size, source.id);
      written.position = position;
      written.description = description;
      rows++;
    }
    return rows;
  }

  private transaction(work: () => void): void {
    this.database.exec('BEGIN');
    try {
      work();
      this.database.exec('COMMIT');
    } catch (error) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }
}

function markText({ mark, settled }: Progress): string {
  return `${mark} ${settled.join(';')}`;
}
