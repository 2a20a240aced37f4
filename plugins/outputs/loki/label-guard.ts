/**
 * Keeps labels from taking Loki down: a stream per combination of values is what Loki costs. A label whose values are too many is no
 * label any more but structured metadata, for good; a value that is too long, and labels beyond the number that Loki takes, are so for
 * their record. Each is said once and counted.
 */
import type { Logger, Metrics } from '../../../src/plugin.ts';
import type { Pair } from './fields.ts';

/** Values that were not seen for one to two of these are forgotten: pods come and go. Milliseconds. */
const GENERATION_MS = 3_600_000;
/** Names of labels that are watched; those of Kubernetes come from the records. */
const WATCHED = 1000;
/** Labels that are told of. */
const TOLD = 100;

export interface LabelLimits {
  /** Distinct values of a label; 0: no limit. */
  values: number;
  /** Bytes of a value; 0: no limit. */
  valueLength: number;
  /** Labels of a stream; 0: no limit. */
  names: number;
}

interface Seen {
  recent: Set<string>;
  before: Set<string>;
}

export type LabelGuard = ReturnType<typeof labelGuard>;

/** `now` is the monotonic clock, milliseconds. */
export function labelGuard(
  limits: LabelLimits,
  { log, metrics, name }: { log: Logger; metrics: Metrics; name: string },
  now = (): number => performance.now(),
): { refresh(): void; check(labels: Pair[]): Pair[] } {
  const moved = new Set<string>();
  const told = new Set<string>();
  const seen = new Map<string, Seen>();
  let turnAt = now() + GENERATION_MS;
  const counter = metrics.counter(
    'tailrace_output_labels_moved_total',
    'Labels of records that went to structured metadata instead, by the limit that they were over.',
  );
  const counters = {
    values: counter.labels({ output: name, limit: 'values' }),
    value_length: counter.labels({ output: name, limit: 'value_length' }),
    names: counter.labels({ output: name, limit: 'names' }),
  };

  const tell = (kind: keyof typeof counters, label: string, message: string): void => {
    counters[kind].value++;
    // Labels of Kubernetes have names of their own: what is told is bounded as well.
    if (told.has(`${kind} ${label}`) || told.size >= TOLD) return;
    told.add(`${kind} ${label}`);
    log.warn({ label, limit: kind }, message);
  };

  const refresh = (): void => {
    if (now() < turnAt) return;
    turnAt = now() + GENERATION_MS;
    for (const [label, sets] of seen) {
      if (sets.recent.size === 0) seen.delete(label);
      sets.before = sets.recent;
      sets.recent = new Set();
    }
  };

  /** Whether the label has too many values, this one included. */
  const overflows = (label: string, value: string): boolean => {
    if (moved.has(label)) return true;
    let sets = seen.get(label);
    if (sets === undefined) {
      if (seen.size >= WATCHED) return true;
      seen.set(label, (sets = { recent: new Set(), before: new Set() }));
    }
    if (sets.recent.has(value)) return false;
    if (sets.recent.size + sets.before.size >= limits.values && !sets.before.has(value)) {
      moved.add(label);
      seen.delete(label);
      return true;
    }
    sets.before.delete(value);
    sets.recent.add(value);
    return false;
  };

  return {
    /** Forgets values that were not seen for long; before each attempt. */
    refresh,
    /** Takes out of `labels` what must be none; answers with what was taken out. */
    check(labels) {
      const out: Pair[] = [];
      let kept = 0;
      for (const pair of labels) {
        const [label, value] = pair;
        if (limits.valueLength > 0 && value.length * 3 > limits.valueLength && isLong(value)) {
          tell('value_length', label, 'A value is too long for a label: it goes to structured metadata');
        } else if (limits.values > 0 && overflows(label, value)) {
          tell('values', label, 'A label has too many values: it goes to structured metadata from now on');
        } else if (limits.names > 0 && kept >= limits.names) {
          tell('names', label, 'A stream has too many labels: this one goes to structured metadata');
        } else {
          labels[kept++] = pair;
          continue;
        }
        out.push(pair);
      }
      labels.length = kept;
      return out;
    },
  };

  function isLong(value: string): boolean {
    return Buffer.byteLength(value) > limits.valueLength;
  }
}
