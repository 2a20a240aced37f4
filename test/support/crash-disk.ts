/** What a dead agent left in its disk buffer, read by the format that docs/disk-buffer.md draws and by none of the agent's own code. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readNumbered } from './numbered.ts';

const SEGMENT_HEADER_BYTES = 16;
const FRAME_HEADER_BYTES = 36;
const MARKER = Buffer.from('f554524c46524df5', 'hex');
/** Of a frame's header. */
const DESCRIPTION_LENGTH_AT = 12;
const PAYLOAD_LENGTH_AT = 16;

/** The part of a frame's description that counts here. */
interface Description {
  records: number;
  targets: readonly { output: string; open?: readonly (readonly [from: number, to: number])[] }[];
}

/**
 * By output, keys (`stream:n`) of the numbered lines that whole frames of all segments below a directory keep for it. A frame that the
 * kill cut short does not count, nor what it does not keep for that output: that was delivered there, or is in a frame of its own, or was
 * in memory alone.
 */
export function linesOnDisk(directory: string): Map<string, Set<string>> {
  const keys = new Map<string, Set<string>>();
  if (!existsSync(directory)) return keys;
  for (const file of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.segment')) continue;
    const bytes = readFileSync(join(directory, file));
    let at = SEGMENT_HEADER_BYTES;
    while (at + FRAME_HEADER_BYTES <= bytes.length) {
      if (MARKER.compare(bytes, at, at + MARKER.length) !== 0)
        throw new Error(`${file} has no frame at byte ${at}.`);
      const payload = at + FRAME_HEADER_BYTES + bytes.readUInt32LE(at + DESCRIPTION_LENGTH_AT);
      const end = payload + bytes.readUInt32LE(at + PAYLOAD_LENGTH_AT);
      if (end > bytes.length) break;
      const description = JSON.parse(bytes.toString('utf8', at + FRAME_HEADER_BYTES, payload)) as Description;
      addLines(keys, description, bytes.toString('latin1', payload, end));
      at = end;
    }
  }
  return keys;
}

function addLines(keys: Map<string, Set<string>>, { records, targets }: Description, payload: string): void {
  // The columns before the text look like no line.
  const lines = [...payload.matchAll(/"log":"(S=[^"]*)"/g)].map(([, text = '']) => readNumbered(text));
  if (lines.length !== records) throw new Error(`A frame of ${records} records holds ${lines.length} lines.`);
  for (const { output, open = [[0, records]] } of targets) {
    const ofOutput = keys.get(output) ?? new Set();
    keys.set(output, ofOutput);
    for (const [from, to] of open) {
      for (const line of lines.slice(from, to))
        if (line !== undefined) ofOutput.add(keyOf(line.stream, line.n));
    }
  }
}

export function keyOf(stream: string, n: number): string {
  return `${stream}:${n}`;
}
