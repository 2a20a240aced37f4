/** What the tests of the disk buffer share: chunks, and what is in a store. */
import { DiskStore } from '../../../src/buffer/disk/store.ts';
import type { DiskStoreOptions, StoredChunk, Urgency } from '../../../src/buffer/disk/store.ts';
import type { FrameTarget } from '../../../src/buffer/disk/frame.ts';
import { Batch } from '../../../src/event/batch.ts';
import { encodeBatch } from '../../../src/event/chunk.ts';
import type { Chunk } from '../../../src/event/chunk.ts';
import type { LogRecord } from '../../../src/event/record.ts';
import type { Logger } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

export interface Said {
  level: string;
  message: string;
  fields: Record<string, unknown>;
}

/** A store with what it says and counts. */
export interface Opened {
  store: DiskStore;
  said: Said[];
  counted: (series: string) => number;
}

export function openStore(options: Partial<DiskStoreOptions> & { directory: string }): Opened {
  const said: Said[] = [];
  const metrics = new Metrics();
  const say =
    (level: string) =>
    (fields: Record<string, unknown>, message: string): void => {
      said.push({ level, message, fields });
    };
  const log: Logger = {
    error: say('error'),
    warn: say('warn'),
    info: say('info'),
    debug: say('debug'),
    child: () => log,
  };
  const store = new DiskStore({ sync: 'normal', checksum: true, log, metrics, ...options });
  return {
    store,
    said,
    counted: (series) => metrics.counter(`tailrace_storage_${series}_total`, '').labels().value,
  };
}

export interface ChunkShape {
  tag?: string;
  records?: number;
  /** Characters of each record. */
  size?: number;
  text?: string;
  metadata?: LogRecord;
  /** First byte in its source. */
  start?: number;
}

export function makeChunk({
  tag = 'app',
  records = 3,
  size = 20,
  text = 'x',
  metadata,
  start = 0,
}: ChunkShape = {}): Chunk {
  const batch = new Batch();
  batch.input = 'in';
  batch.base = start;
  for (let index = 0; index < records; index++) {
    const record = { log: text.repeat(size), index };
    batch.push(record, undefined, 1_700_000_000 + index, 5, index * 10, index * 10 + 10);
  }
  if (metadata !== undefined)
    batch.metadata = Array.from({ length: records }, (_, index) => (index % 2 === 0 ? metadata : undefined));
  return encodeBatch(tag, batch, true, performance.now());
}

export function target(output: string, open?: [number, number][]): FrameTarget {
  return { output, plugin: 'http', ...(open === undefined ? {} : { open }) };
}

/** Puts a chunk for outputs by name. */
export function put(
  store: DiskStore,
  chunk: Chunk,
  outputs: readonly (string | FrameTarget)[],
  options: { urgency?: Urgency; id?: number; overflow?: boolean; onDurable?: () => void } = {},
): StoredChunk {
  return store.put(
    chunk,
    outputs.map((output) => (typeof output === 'string' ? target(output) : output)),
    {
      id: options.id ?? store.takeId(),
      urgency: options.urgency ?? 'soon',
      overflow: options.overflow ?? false,
      onDurable: options.onDurable ?? ((): void => undefined),
    },
  );
}

/** All that a chunk says, comparable. */
export function contents(chunk: Chunk): unknown {
  const { tag, input, base: offset, columns } = chunk;
  return {
    tag,
    input,
    offset,
    text: chunk.bytes.toString(),
    ends: [...chunk.ends],
    seconds: [...columns.seconds],
    nanos: [...columns.nanos],
    starts: [...columns.starts],
    stops: [...columns.stops],
    metadata: chunk.metadata,
  };
}

/** Everything that can be read of a store, by id. */
export async function readAll(store: DiskStore): Promise<Map<number, unknown>> {
  const found = new Map<number, unknown>();
  for (const stored of store.all()) {
    const chunk = await store.read(stored);
    if (chunk !== undefined) found.set(stored.id, contents(chunk));
  }
  return found;
}
