/**
 * Opening a directory of the disk buffer: it always opens. A torn tail is cut, damage in the middle is skipped and quarantined, and
 * both are counted; only what another version wrote is refused, and then nothing is touched.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { frameBytes } from './frame.ts';
import type { FrameHead } from './frame.ts';
import { readProgress } from './progress-log.ts';
import type { Renamed } from './progress-log.ts';
import { quarantine, quarantinedNumbers, quarantineFile } from './quarantine.ts';
import { RecoveredProgress } from './recovered-progress.ts';
import { damageOf, scanSegment } from './scan.ts';
import type { Damage, FoundFrame, Scan } from './scan.ts';
import { readVersion, segmentNumber, VERSION } from './segment-file.ts';
import { newSegment, placeBytes, SharedTargets, StoredChunk } from './stored-chunk.ts';
import type { Segment } from './stored-chunk.ts';

/** The buffer was written by another version. */
export class BufferVersionError extends Error {
  override name = 'BufferVersionError';

  constructor(file: string, version: number) {
    super(
      `Opening the disk buffer: ${file} has format ${version}, this version of tailrace knows format ${VERSION}. Nothing was touched: run the version that wrote it again, or let it drain the buffer first.`,
    );
  }
}

export interface FoundDamage extends Damage {
  file: string;
  /** Where a copy is; undefined when there was no room for one. */
  copy: string | undefined;
  /** Records that are nowhere else and that some output still needs, as far as the head could be read. */
  lostRecords: number;
}

export interface Recovered {
  segments: Segment[];
  /** By source and output, the ranges of bytes that intact frames hold: they count as read. */
  origins: Map<string, Map<string, [number, number][]>>;
  /** What no earlier start has reported. */
  damages: FoundDamage[];
  damagedProgress: number;
  /** Outputs that go by other names than some frames say. */
  renames: Renamed[];
  /** Larger than any id that was ever given. */
  nextId: number;
  /** Larger than the number of any segment of which something is left. */
  nextNumber: number;
}

/** Reads a directory. Throws BufferVersionError, and what the file system throws. */
export function recover(directory: string): Recovered {
  const files = segmentFiles(directory);
  // First look at all, then touch any.
  const versions = files.map(({ file }) => readVersion(file));
  for (const [index, { file }] of files.entries()) {
    const version = versions[index] ?? VERSION;
    if (version !== VERSION) throw new BufferVersionError(file, version);
  }
  const log = readProgress(directory);
  if (log.foreign !== undefined) throw new BufferVersionError(join(directory, 'progress.log'), log.foreign);
  if (log.damaged > 0)
    quarantineFile(directory, join(directory, 'progress.log'), 'lines do not fit their checksums');

  const finder = new Finder(new RecoveredProgress(log.entries));
  const damages: FoundDamage[] = [];
  for (const [index, { number, file }] of files.entries()) {
    // The last is the one that a crash can have cut short.
    const deep = index === files.length - 1;
    const scan = scanSegment(file, { deep, ...(versions[index] === undefined ? { from: 0 } : {}) });
    let cutAt: number | undefined;
    for (const damage of scan.damages) {
      const { path, known } = quarantine(directory, file, damage);
      if (!known) damages.push({ ...damage, file, copy: path, lostRecords: 0 });
      if (damage.offset >= endOfFrames(scan) && (damage.torn || path !== undefined)) cutAt ??= damage.offset;
    }
    makeFirm(file, cutAt);
    finder.take(newSegment(number, file, cutAt ?? scan.size), scan.frames);
  }
  for (const damage of damages) damage.lostRecords = finder.lostOf(damage);
  const { segments, origins, progress } = finder;
  return {
    segments: segments.filter((segment) => segment.living.size > 0 || !isDeleted(segment)),
    origins,
    damages,
    damagedProgress: log.damaged,
    renames: progress.renames,
    nextId: Math.max(progress.nextId, finder.nextId),
    nextNumber: Math.max(0, ...files.map(({ number }) => number), ...quarantinedNumbers(directory)) + 1,
  };
}

function segmentFiles(directory: string): { number: number; file: string }[] {
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const number = entry.isFile() ? segmentNumber(entry.name) : undefined;
      return number === undefined ? [] : { number, file: join(directory, entry.name) };
    })
    .toSorted((a, b) => a.number - b.number);
}

function endOfFrames({ frames }: Scan): number {
  const last = frames.at(-1);
  return last === undefined ? 0 : last.offset + frameBytes(last.head);
}

/** Cuts a damaged tail off and makes sure that what is there stays: a killed process may not have synced it. */
function makeFirm(file: string, cutAt: number | undefined): void {
  const descriptor = openSync(file, 'r+');
  try {
    if (cutAt !== undefined) ftruncateSync(descriptor, cutAt);
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Deletes a segment of which nothing is needed. One that stays has to be known: its frames must not come back. */
function isDeleted({ file }: Segment): boolean {
  try {
    unlinkSync(file);
    return true;
  } catch {
    return false;
  }
}

/** Makes stored chunks of the frames of one segment after the other. */
class Finder {
  readonly segments: Segment[] = [];
  readonly origins: Recovered['origins'] = new Map();
  readonly progress: RecoveredProgress;
  nextId = 0;
  private readonly known = new Map<number, StoredChunk>();
  private readonly targets = new SharedTargets();
  private readonly names = new Map<string, string>();

  constructor(progress: RecoveredProgress) {
    this.progress = progress;
  }

  take(segment: Segment, frames: readonly FoundFrame[]): void {
    segment.sealed = true;
    this.segments.push(segment);
    for (const frame of frames) {
      const { head } = frame;
      const { id } = head;
      this.nextId = Math.max(this.nextId, id + 1);
      // A frame that was moved, or written again after a failed sync: the later copy counts, if it is one.
      const earlier = this.known.get(id);
      if (earlier !== undefined) {
        if (damageOf(segment.file, frame) !== undefined) {
          segment.settled.push(id);
          continue;
        }
        leave(earlier);
        this.known.delete(id);
      }
      this.intern(head);
      addOrigins(this.origins, head);
      const stored = this.place(frame, segment);
      if (stored.settled) {
        segment.settled.push(id);
      } else {
        segment.living.add(stored);
        segment.livingBytes += frameBytes(head);
        this.known.set(id, stored);
      }
    }
  }

  private place({ head, offset }: FoundFrame, segment: Segment): StoredChunk {
    const { id, description, headBytes, payloadBytes, payloadCrc } = head;
    const stored = new StoredChunk(id, description, 'durable', this.targets.of(description.targets));
    stored.place = { segment, offset, headBytes, payloadBytes, payloadCrc };
    this.progress.apply(stored);
    return stored;
  }

  /** How many records of a damaged frame are lost: none when there is another copy, or when they were settled. */
  lostOf({ head, torn }: Damage): number {
    if (head === undefined || torn || this.known.has(head.id)) return 0;
    const stored = new StoredChunk(head.id, head.description, 'durable');
    this.progress.apply(stored);
    return stored.settled ? 0 : head.description.records;
  }

  /** Equal names of a thousand frames become one string. */
  private intern({ description }: FrameHead): void {
    description.tag = this.name(description.tag);
    description.input = this.name(description.input);
    if (description.source !== undefined) description.source = this.name(description.source);
  }

  private name(text: string): string {
    const found = this.names.get(text);
    if (found === undefined) this.names.set(text, text);
    return found ?? text;
  }
}

/** A later copy of the frame counts. */
function leave(stored: StoredChunk): void {
  if (stored.place === undefined) return;
  const { segment } = stored.place;
  segment.living.delete(stored);
  segment.livingBytes -= placeBytes(stored.place);
  segment.settled.push(stored.id);
}

function addOrigins(origins: Recovered['origins'], { description }: FrameHead): void {
  const { source, start, stop, targets } = description;
  if (source === undefined || start === undefined || stop === undefined) return;
  let outputs = origins.get(source);
  if (outputs === undefined) {
    outputs = new Map();
    origins.set(source, outputs);
  }
  for (const { output } of targets) {
    const ranges = outputs.get(output) ?? [];
    outputs.set(output, ranges);
    const last = ranges.at(-1);
    // Chunks of a source mostly follow each other.
    if (last !== undefined && last[0] <= start && start <= last[1]) last[1] = Math.max(last[1], stop);
    else ranges.push([start, stop]);
  }
}
