/** A watch: changes behind a resource version, as they happen. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
import { isRecord } from '../../../../src/plugin.ts';
import type { LogRecord } from '../../../../src/plugin.ts';
import { ApiFailure, failureOf } from './failure.ts';
import type { KubeClient, Query } from './client.ts';

/** Of an object in a line, bytes: several times what etcd takes. */
const LINE_BYTES = 8 * 1024 * 1024;
const NEWLINE_BYTES = 1;

export interface Change {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: LogRecord;
  /** Of the object; of all before it, in a bookmark. Where a watch goes on. */
  resourceVersion: string;
}

export interface WatchOptions {
  path: string;
  query: Query;
  /** Changes behind it. */
  resourceVersion: string;
  /** The server ends the watch by then, seconds; undefined: when it likes. */
  timeoutSeconds: number | undefined;
  /** Silence for so long is taken for a dead connection, milliseconds; 0: never. */
  idleTimeoutMs: number;
  /** Called when the server has said yes. */
  onOpen?: () => void;
}

/**
 * The changes; ends when the server ends it. Throws {@link ApiFailure}: `gone` where the resource version is too old, whether the status
 * or a line of the stream says so.
 */
export async function* watchOf(
  client: KubeClient,
  { path, query, resourceVersion, timeoutSeconds, idleTimeoutMs, onOpen }: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const all = { ...query, watch: 1, allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds };
  const stream = await client.stream(path, all, idleTimeoutMs, signal);
  onOpen?.();
  const place = client.origin + path;
  try {
    for await (const line of stream.lines(LINE_BYTES)) {
      client.received(line.length + NEWLINE_BYTES);
      yield read(line.toString('utf8'), place);
    }
  } catch (error) {
    if (error instanceof ApiFailure || signal.aborted) throw error;
    throw new ApiFailure('unreachable', (error as Error).message, { cause: error });
  }
}

function read(line: string, place: string): Change {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    throw new ApiFailure('bad_answer', `${place}: a line of the watch is no JSON.`);
  }
  const type = isRecord(event) ? event['type'] : undefined;
  const object = isRecord(event) ? event['object'] : undefined;
  if (!isRecord(object)) throw new ApiFailure('bad_answer', `${place}: a line of the watch has no object.`);
  if (type === 'ERROR') throw failureOf(Number(object['code'] ?? 500), object, place);
  const metadata = object['metadata'];
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof version !== 'string' || !isType(type))
    throw new ApiFailure('bad_answer', `${place}: a line of the watch has no resource version or type.`);
  return { type, object, resourceVersion: version };
}

function isType(type: unknown): type is Change['type'] {
  return type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK';
}
