/** Makes the record of a journal entry, as Fluent Bit does: all fields as text, those that occur several times as lists. */
import { setKey } from '../../../src/plugin.ts';
import type { LogRecord } from '../../../src/plugin.ts';
import type { EntrySink, Flaw } from './export-reader.ts';

export interface EntryOptions {
  /** Fields of one entry that are taken. */
  maxFields: number;
  lowercase: boolean;
  stripUnderscores: boolean;
  /** What becomes of a value that is not UTF-8. */
  binary: 'text' | 'base64';
}

/** An entry, good until the next one begins. */
export interface Entry {
  cursor: string;
  /** Microseconds of Unix time, when journald took it. */
  micros: number;
  /** `_SYSTEMD_UNIT`, if there is one. */
  unit: string | undefined;
  record: LogRecord;
  metadata: LogRecord | undefined;
}

/** Names that are remembered as they are to be written; journals have some hundreds. */
const MAX_NAMES = 4096;

export class EntryMaker implements EntrySink {
  private readonly options: EntryOptions;
  private readonly onEntry: (entry: Entry) => void;
  private readonly names = new Map<string, string>();
  private entry = newEntry();
  private fields = 0;
  private cut = false;
  private base64: string[] | undefined;

  constructor(options: EntryOptions, onEntry: (entry: Entry) => void) {
    this.options = options;
    this.onEntry = onEntry;
  }

  address(key: string, value: string): void {
    if (key === '__CURSOR') this.entry.cursor = value;
    else if (key === '__REALTIME_TIMESTAMP') this.entry.micros = Number(value);
  }

  field(key: string, value: string, flaw: Flaw, bytes?: Buffer): void {
    const { entry, options } = this;
    if (key === '_SYSTEMD_UNIT') entry.unit ??= value;
    if (this.fields >= options.maxFields) {
      this.cut = true;
      return;
    }
    this.fields++;
    const name = this.names.get(key) ?? this.nameOf(key);
    let text = value;
    if (flaw === 'cut') this.cut = true;
    if (bytes !== undefined && options.binary === 'base64') {
      text = bytes.toString('base64');
      (this.base64 ??= []).push(name);
    }
    const { record } = entry;
    if (!Object.hasOwn(record, name)) {
      setKey(record, name, text);
      return;
    }
    const known = record[name];
    if (Array.isArray(known)) known.push(text);
    else setKey(record, name, [known as string, text]);
  }

  private nameOf(key: string): string {
    let name = this.options.stripUnderscores && key.startsWith('_') ? key.slice(1) : key;
    if (this.options.lowercase) name = name.toLowerCase();
    if (this.names.size < MAX_NAMES) this.names.set(key, name);
    return name;
  }

  end(): void {
    const { entry, cut, base64 } = this;
    if (cut || base64 !== undefined) {
      entry.metadata = { ...(cut && { truncated: true }), ...(base64 !== undefined && { base64 }) };
    }
    this.reset();
    // Two empty lines in a row: nothing lies between them.
    if (entry.cursor !== '') this.onEntry(entry);
  }

  /** Forgets an entry that is not complete. */
  reset(): void {
    this.entry = newEntry();
    this.fields = 0;
    this.cut = false;
    this.base64 = undefined;
  }
}

function newEntry(): Entry {
  return { cursor: '', micros: 0, unit: undefined, record: {}, metadata: undefined };
}
