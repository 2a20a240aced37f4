/**
 * Opening a directory of the disk buffer: it always opens. A torn tail is cut, damage in the middle is skipped and quarantined, and
 * both are counted; only what a newer version wrote is refused, and then nothing is touched.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { frameBytes } from './frame.ts';
import type { FrameHead } from './frame.ts';
import { readProgress } from './progress-log.ts';
import type { ProgressEntry } from './progress-log.ts';
import { quarantine, quarantineFile } from './quarantine.ts';
import { scanSegment } from './scan.ts';
import type { Damage, FoundFrame } from './scan.ts';
import { readVersion, segmentNumber, VERSION } from './segment-file.ts';
import { placeBytes, StoredChunk } from './stored-chunk.ts';
import type { Segment } from './stored-chunk.ts';

/** The buffer was written by a newer version. */
export class BufferVersionError extends Error {
  override name = 'BufferVersionError';

  constructor(file: string, version: number) {
    super(
      `Opening the disk buffer: ${file} has format ${version}, this version of tailrace knows formats up to ${VERSION}. Nothing was touched: run the newer version again, or let it drain the buffer first.`,
    );
  }
}

export interface FoundDamage extends Damage {
  file: string;
  /** Where a copy is; undefined when there was no room for one. */
  copy: string | undefined;
}

export interface Recovered {
  segments: Segment[];
  /** By source and output, the ranges of bytes that intact frames hold: they count as read. */
  origins: Map<string, Map<string, [number, number][]>>;
  damages: FoundDamage[];
  damagedProgress: number;
  /** Ids of frames of which an earlier copy lies in another segment: it counts no more. */
  moved: Set<number>;
  /** Larger than any id that was ever given. */
  nextId: number;
}

/** Reads a directory. Throws BufferVersionError, and what the file system throws. */
export function recover(directory: string): Recovered {
  const numbers = readdirSync(directory)
    .map((name) => [segmentNumber(name), name] as const)
    .filter((entry): entry is [number, string] => entry[0] !== undefined)
    .toSorted(([a], [b]) => a - b);
  const files = numbers.map(([number, name]) => ({ number, file: join(directory, name) }));
  // First look at all, then touch any.
  const versions = files.map(({ file }) => readVersion(file));
  for (const [index, { file }] of files.entries()) {
    const version = versions[index];
    if (version !== undefined && version > VERSION) throw new BufferVersionError(file, version);
  }
  const progress = readProgress(directory);
  if (progress.newer !== undefined)
    throw new BufferVersionError(join(directory, 'progress.log'), progress.newer);
  if (progress.damaged > 0)
    quarantineFile(directory, join(directory, 'progress.log'), 'lines do not fit their checksums');

  const settled = byFrame(progress.entries);
  const recovered: Recovered = {
    segments: [],
    origins: new Map(),
    damages: [],
    damagedProgress: progress.damaged,
    moved: new Set(),
    nextId: progress.entries.reduce((next, { id }) => Math.max(next, id + 1), 0),
  };
  const known = new Map<number, StoredChunk>();
  const text = interner();
  for (const [index, { number, file }] of files.entries()) {
    const last = index === files.length - 1;
    const headerDamaged = versions[index] === undefined;
    const scan = scanSegment(file, { deep: last, ...(headerDamaged ? { from: 0 } : {}) });
    for (const damage of scan.damages) {
      recovered.damages.push({ ...damage, file, copy: quarantine(directory, file, damage) });
    }
    const segment = {
      number,
      file,
      size: last ? cutTail(file, scan.damages, scan.size) : scan.size,
      living: new Set<StoredChunk>(),
      livingBytes: 0,
      settled: [] as number[],
      sealed: true,
    };
    for (const frame of scan.frames) {
      recovered.nextId = Math.max(recovered.nextId, frame.head.id + 1);
      intern(frame.head, text);
      addOrigins(recovered.origins, frame.head);
      // A frame that was moved, or written again after a failed sync: the later copy counts.
      const earlier = known.get(frame.head.id);
      if (earlier !== undefined) {
        leave(earlier);
        recovered.moved.add(frame.head.id);
      }
      const stored = place(frame, segment, settled.get(frame.head.id) ?? []);
      if (stored.settled) {
        segment.settled.push(stored.id);
      } else {
        segment.living.add(stored);
        segment.livingBytes += frameBytes(frame.head);
        known.set(stored.id, stored);
      }
    }
    recovered.segments.push(segment);
  }
  for (const { living, file } of recovered.segments) if (living.size === 0) unlinkSync(file);
  recovered.segments = recovered.segments.filter(({ living }) => living.size > 0);
  return recovered;
}

function byFrame(entries: readonly ProgressEntry[]): Map<number, ProgressEntry[]> {
  const map = new Map<number, ProgressEntry[]>();
  for (const entry of entries) {
    const list = map.get(entry.id);
    if (list === undefined) map.set(entry.id, [entry]);
    else list.push(entry);
  }
  return map;
}

function place(
  { head, offset }: FoundFrame,
  segment: Segment,
  entries: readonly ProgressEntry[],
): StoredChunk {
  const { headBytes, payloadBytes, payloadCrc, description } = head;
  const stored = new StoredChunk(head.id, description, 'durable');
  stored.place = { segment, offset, headBytes, payloadBytes, payloadCrc };
  for (const { output, range } of entries) {
    const [from, to] = range ?? [0, description.records];
    for (const name of output === undefined ? stored.outputs() : [output]) stored.settle(name, from, to);
  }
  return stored;
}

/** A later copy of the frame counts. */
function leave(stored: StoredChunk): void {
  if (stored.place === undefined) return;
  const { segment } = stored.place;
  segment.living.delete(stored);
  segment.livingBytes -= placeBytes(stored.place);
  segment.settled.push(stored.id);
}

/** Cuts a torn tail off and makes sure that what is there stays. Returns the size. */
function cutTail(file: string, damages: readonly Damage[], size: number): number {
  const torn = damages.find((damage) => damage.torn);
  const descriptor = openSync(file, 'r+');
  try {
    if (torn !== undefined) ftruncateSync(descriptor, torn.offset);
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return torn?.offset ?? size;
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
    const ranges = outputs.get(output);
    if (ranges === undefined) outputs.set(output, [[start, stop]]);
    else ranges.push([start, stop]);
  }
}

/** Equal names of a thousand frames become one string. */
function interner(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const found = known.get(text);
    if (found === undefined) known.set(text, text);
    return found ?? text;
  };
}

function intern({ description }: FrameHead, text: (text: string) => string): void {
  description.tag = text(description.tag);
  description.input = text(description.input);
  if (description.source !== undefined) description.source = text(description.source);
  for (const target of description.targets) {
    target.output = text(target.output);
    target.plugin = text(target.plugin);
  }
}
