/** A journal for tests: export text in a file, and the stand-in for journalctl that reads it. */
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const STREAM = 'a'.repeat(32);
/** Microseconds of entry 0. */
export const FIRST_MICROS = 1_764_000_000_000_000;

/** The cursor of an entry. */
export function cursorOf(number: number, stream = STREAM): string {
  return `s=${stream};i=${number.toString(16)};b=${'b'.repeat(32)};m=${number};t=1;x=1`;
}

export interface Written {
  number: number;
  stream?: string;
  micros?: number;
  /** Fields in order; a value that needs a length gets one. */
  fields: readonly (readonly [name: string, value: string | Buffer])[];
}

/** A field in export format. */
export function fieldOf(name: string, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const isText = typeof value === 'string' && !/[\u0000-\u001F]/.test(value);
  if (isText) return Buffer.from(`${name}=${value}\n`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')]);
}

/** An entry in export format. */
export function entryOf({ number, stream, micros = FIRST_MICROS + number, fields }: Written): Buffer {
  return Buffer.concat([
    fieldOf('__CURSOR', cursorOf(number, stream)),
    fieldOf('__REALTIME_TIMESTAMP', String(micros)),
    ...fields.map(([name, value]) => fieldOf(name, value)),
    Buffer.from('\n'),
  ]);
}

/** Entries `from` to before `to` with their numbers as messages. */
export function numbered(from: number, to: number): Written[] {
  return Array.from({ length: to - from }, (_, index) => ({
    number: from + index,
    fields: [
      ['MESSAGE', String(from + index)],
      ['_SYSTEMD_UNIT', (from + index) % 2 === 0 ? 'even.service' : 'odd.service'],
    ],
  }));
}

export class StandIn {
  private readonly directory = mkdtempSync(join(tmpdir(), 'tailrace-journal-'));
  /** What to start in place of journalctl. */
  readonly command = join(this.directory, 'journalctl');

  constructor(entries: readonly Written[] = []) {
    const script = join(import.meta.dirname, 'stand-in.ts');
    writeFileSync(
      this.command,
      `#!/bin/sh\nexec '${process.execPath}' '${script}' '${this.directory}' "$@"\n`,
    );
    chmodSync(this.command, 0o755);
    this.replace(entries);
  }

  append(entries: readonly Written[]): void {
    appendFileSync(join(this.directory, 'journal.export'), Buffer.concat(entries.map(entryOf)));
  }

  /** All that there is from now on. */
  replace(entries: readonly Written[]): void {
    writeFileSync(join(this.directory, 'journal.export'), Buffer.concat(entries.map(entryOf)));
  }

  /** What the next follower does wrong. */
  trick(trick: 'die' | 'garbage' | 'hang'): void {
    writeFileSync(join(this.directory, 'trick'), trick);
  }

  /** Whether looks at the journal are denied. */
  deny(denied: boolean): void {
    if (denied) writeFileSync(join(this.directory, 'denied'), '');
    else rmSync(join(this.directory, 'denied'));
  }

  /** The command lines so far. */
  get calls(): string[] {
    return readFileSync(join(this.directory, 'calls'), 'utf8').trimEnd().split('\n');
  }

  get followers(): string[] {
    return this.calls.filter((call) => call.includes('--follow'));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
