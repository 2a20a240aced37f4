/**
 * The events that the API server has, oldest change first. A list comes in the order of names, so it is read whole and sorted; where it
 * is more than memory should hold, the older part of it is given out, and it is read again for the rest.
 */
import type { LogRecord } from '../../../src/plugin.ts';
import { isRecord } from '../../../src/plugin.ts';
import type { KubeClient } from '../../shared/kubernetes/api/client.ts';
import { pagesOf } from '../../shared/kubernetes/api/list.ts';

/** Of the JSON of events that are kept to be sorted, characters. */
const KEPT = 32 * 1024 * 1024;

export interface SnapshotEvent {
  version: number;
  event: LogRecord;
  /** Characters of its JSON. */
  size: number;
}

export interface Snapshot {
  /** Sorted by version. */
  events: SnapshotEvent[];
  /** All versions before it are in there or are not to be had: where reading goes on. */
  reached: number;
  /** There is more at or behind {@link reached}: it is to be read again. */
  isCut: boolean;
}

export interface SnapshotOptions {
  client: KubeClient;
  path: string;
  limit: number;
  /** The first version that counts. */
  from: number;
  wants: (event: LogRecord) => boolean;
  /** {@link KEPT}, in tests. */
  kept?: number;
}

/** Reads it. Throws `ApiFailure`. */
export async function readSnapshot(
  { client, path, limit, from, wants, kept: most = KEPT }: SnapshotOptions,
  signal: AbortSignal,
): Promise<Snapshot> {
  let events: SnapshotEvent[] = [];
  let kept = 0;
  let below = Number.POSITIVE_INFINITY;
  let whole = 0;
  for await (const { items, resourceVersion } of pagesOf(client, path, { limit }, signal)) {
    // That of the first page is that of the list; what came later is for the watch.
    if (whole === 0) whole = Number(resourceVersion) + 1;
    for (const event of items) {
      const version = versionOf(event);
      if (version === undefined || version < from || version >= below || !wants(event)) continue;
      const size = JSON.stringify(event).length;
      events.push({ version, event, size });
      kept += size;
    }
    if (kept <= most) continue;
    events.sort((a, b) => a.version - b.version);
    const half = Math.ceil(events.length / 2);
    below = events[half]?.version ?? below;
    events = events.slice(0, half);
    kept = events.reduce((sum, { size }) => sum + size, 0);
  }
  events.sort((a, b) => a.version - b.version);
  const isCut = Number.isFinite(below);
  return { events, reached: isCut ? below : whole, isCut };
}

/** Its resource version as a number: they are comparable within a resource. https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions */
function versionOf(event: LogRecord): number | undefined {
  const { metadata } = event;
  const text = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}
