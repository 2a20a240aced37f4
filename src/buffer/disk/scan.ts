/**
 * Finds the intact frames of a segment, and what is damaged between them (DELIVERY.md, rule 15): a tail with no valid frame behind
 * it is torn, everything else that is no frame is damage in the middle.
 */
import { crc32 } from 'node:zlib';
import { decodeHead, frameBytes, HEADER_BYTES, headLength, MARKER } from './frame.ts';
import type { FrameHead } from './frame.ts';
import { fitsPayload, looksWhole } from './chunk-codec.ts';
import { SEGMENT_HEADER_BYTES, SegmentBytes } from './segment-file.ts';

export interface FoundFrame {
  head: FrameHead;
  offset: number;
}

/** Bytes of a segment that are no intact frame. */
export interface Damage {
  offset: number;
  length: number;
  reason: string;
  /** Nothing valid stands behind it: a write that was cut short. */
  torn: boolean;
  /** The head of the frame, where that is intact. */
  head?: FrameHead;
}

export interface Scan {
  frames: FoundFrame[];
  damages: Damage[];
  size: number;
}

/** Scans a segment. With `deep` the payloads are checked as well. Throws what the file system throws. */
export function scanSegment(file: string, { deep, from }: { deep: boolean; from?: number }): Scan {
  const bytes = new SegmentBytes(file);
  try {
    return scan(bytes, deep, from ?? SEGMENT_HEADER_BYTES);
  } finally {
    bytes.close();
  }
}

/** What is wrong with the payload of a frame that was found; undefined when nothing is. Throws what the file system throws. */
export function damageOf(file: string, { head, offset }: FoundFrame): string | undefined {
  const bytes = new SegmentBytes(file);
  try {
    return payloadDamage(bytes, offset, head);
  } finally {
    bytes.close();
  }
}

function scan(bytes: SegmentBytes, deep: boolean, from: number): Scan {
  const frames: FoundFrame[] = [];
  const damages: Damage[] = [];
  const { size } = bytes;
  let at = from;
  while (at < size) {
    const head = headAt(bytes, at);
    if (head !== undefined && at + frameBytes(head) <= size) {
      const stop = at + frameBytes(head);
      const reason = deep ? payloadDamage(bytes, at, head) : undefined;
      if (reason === undefined) {
        frames.push({ head, offset: at });
        at = stop;
        continue;
      }
      const torn = wasUnfinished(bytes, stop);
      const length = (torn ? size : stop) - at;
      damages.push({ offset: at, length, reason, torn, head });
      at += length;
      continue;
    }
    const next = findFrame(bytes, at + 1);
    const reason = head === undefined ? 'no valid frame header' : 'the frame is cut short';
    const length = (next ?? size) - at;
    damages.push({
      offset: at,
      length,
      reason,
      torn: next === undefined,
      ...(head === undefined ? {} : { head }),
    });
    at += length;
  }
  return { frames, damages, size };
}

function headAt(bytes: SegmentBytes, at: number): FrameHead | undefined {
  const length = headLength(bytes.at(at, HEADER_BYTES));
  if (length === undefined || at + length > bytes.size) return undefined;
  const head = decodeHead(bytes.at(at, length));
  return head !== undefined && fitsPayload(head.description, head.payloadBytes) ? head : undefined;
}

function payloadDamage(bytes: SegmentBytes, at: number, head: FrameHead): string | undefined {
  const payload = bytes.at(at + head.headBytes, head.payloadBytes);
  if (payload.length < head.payloadBytes) return 'the file ends within the frame';
  if (head.payloadCrc !== undefined)
    return crc32(payload) === head.payloadCrc ? undefined : 'the payload does not fit its checksum';
  return looksWhole(head.description, payload) ? undefined : 'the payload is not what its head says';
}

/**
 * Whether the frame before `stop`, whose payload is damaged, was being written at a power cut: it ends with a zero, where payloads have a
 * line feed, so its end never got to the disk, and nothing valid stands behind it. It was not synced, and so never promised.
 */
function wasUnfinished(bytes: SegmentBytes, stop: number): boolean {
  return bytes.at(stop - 1, 1)[0] === 0 && findFrame(bytes, stop) === undefined;
}

/** The offset of the next frame that is there as a whole, at or behind an offset. */
function findFrame(bytes: SegmentBytes, from: number): number | undefined {
  const step = 64 * 1024;
  for (let at = from; at < bytes.size; at += step) {
    // The marker may lie across the border of two windows.
    const found = markersIn(bytes.at(at, Math.min(step + MARKER.length - 1, bytes.size - at)));
    for (const index of found) {
      const offset = at + index;
      const head = headAt(bytes, offset);
      if (head !== undefined && offset + frameBytes(head) <= bytes.size) return offset;
    }
  }
  return undefined;
}

function markersIn(window: Buffer): number[] {
  const found: number[] = [];
  for (let index = window.indexOf(MARKER); index >= 0; index = window.indexOf(MARKER, index + 1))
    found.push(index);
  return found;
}
