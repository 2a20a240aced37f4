/** When an event of Kubernetes happened, by whichever of its fields says it. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
import { isRecord } from '../../../src/plugin.ts';
import type { LogRecord } from '../../../src/plugin.ts';

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

export interface Instant {
  /** Unix seconds. */
  seconds: number;
  nanos: number;
}

/**
 * Its latest time: events that are counted up have `lastTimestamp`, those in a series `series.lastObservedTime`. Undefined where no field
 * says a time.
 */
export function timeOf(event: LogRecord): Instant | undefined {
  const { lastTimestamp, series, eventTime, firstTimestamp, metadata } = event;
  return (
    read(lastTimestamp) ??
    read(isRecord(series) ? series['lastObservedTime'] : undefined) ??
    read(eventTime) ??
    read(firstTimestamp) ??
    read(isRecord(metadata) ? metadata['creationTimestamp'] : undefined)
  );
}

function read(value: unknown): Instant | undefined {
  const [, whole, fraction = '', zone] = typeof value === 'string' ? (RFC3339.exec(value) ?? []) : [];
  if (whole === undefined) return undefined;
  const ms = Date.parse(`${whole}${zone}`);
  return Number.isNaN(ms) ? undefined : { seconds: ms / 1000, nanos: Number(fraction.padEnd(9, '0')) };
}
