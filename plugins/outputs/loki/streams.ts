/**
 * Which records of an attempt go to which tenant and stream. Where nothing of that depends on the record, no record is read: a stream
 * takes slices as they are.
 */
import { getKey, isRecord, valueToJson } from '../../../src/plugin.ts';
import type { Accessor, ByteSink, ReadonlyRecord, Rejection, Slice, Value } from '../../../src/plugin.ts';
import { Entries } from './entries.ts';
import { FieldCutter } from './field-cutter.ts';
import { labelName } from './fields.ts';
import type { FieldSource, Pair } from './fields.ts';
import type { LabelGuard } from './label-guard.ts';
import type { WriteLine } from './line.ts';

export interface Stream {
  labels: readonly Pair[];
  /** Its entries, oldest first. */
  entries: readonly number[];
}

/** What one tenant gets of an attempt. */
export interface TenantStreams {
  tenant: string | undefined;
  streams: Stream[];
}

export interface Plan {
  entries: Entries;
  tenants: TenantStreams[];
  /** Records that cannot be sent at all. */
  rejected: Rejection[];
}

export interface PlanOptions {
  labels: readonly FieldSource[];
  /** All labels of `kubernetes.labels` are labels. */
  kubernetesLabels: boolean;
  metadata: readonly FieldSource[];
  /** Maps whose members are structured metadata. */
  metadataMaps: readonly Accessor[];
  tenant: string | undefined;
  tenantKey: Accessor | undefined;
  writeLine: WriteLine | undefined;
  /** Top-level keys that the line is without; undefined when more than that makes the line. */
  cutKeys: readonly string[] | undefined;
  guard: LabelGuard;
}

/** Fluent Bit's: Loki takes no stream without a label. */
const DEFAULT_LABELS: readonly Pair[] = [['job', 'fluent-bit']];
/** What a header can carry, and Loki's limit of length. */
const TENANT = /^[\u0021-\u007e]{1,150}$/;
const NO_RECORD: ReadonlyRecord = {};

/** Compiles the grouping. `scratch` takes the lines that had to be written; it must live until the request is encoded. */
export function compilePlan(options: PlanOptions): (slices: readonly Slice[], scratch: ByteSink) => Plan {
  const { labels, metadata, metadataMaps, kubernetesLabels, tenantKey, writeLine, guard } = options;
  const hasMetadata = metadata.length > 0 || metadataMaps.length > 0;
  const readsRecords =
    kubernetesLabels ||
    tenantKey !== undefined ||
    metadataMaps.length > 0 ||
    [...labels, ...metadata].some(({ fixed }) => !fixed);

  const labelsOf = (record: ReadonlyRecord, tag: string): Pair[] => {
    const pairs: Pair[] = [];
    for (const { name, read } of labels) {
      const value = read(record, tag);
      if (value !== undefined && value !== '') setPair(pairs, name, value);
    }
    if (kubernetesLabels) addKubernetesLabels(record, pairs);
    return pairs;
  };

  const metadataOf = (record: ReadonlyRecord, tag: string, moved: readonly Pair[]): readonly Pair[] => {
    const pairs: Pair[] = [];
    for (const read of metadataMaps) addMembers(read(record), pairs);
    for (const { name, read } of metadata) {
      const value = read(record, tag);
      if (value !== undefined && value !== '') setPair(pairs, name, value);
    }
    for (const [name, value] of moved)
      if (!pairs.some(([other]) => other === name)) pairs.push([name, value]);
    return pairs;
  };

  /** Nothing depends on the record but its line: a stream per tag. */
  const planTags = (slices: readonly Slice[], scratch: ByteSink): Plan => {
    const total = slices.reduce((sum, { length }) => sum + length, 0);
    const entries = new Entries(total);
    const streams = new StreamSet();
    let at = 0;
    for (const slice of slices) {
      const pairs = labelsOf(NO_RECORD, slice.tag);
      const moved = guard.check(pairs);
      const stream = streams.of(pairs);
      const fields = hasMetadata || moved.length > 0 ? metadataOf(NO_RECORD, slice.tag, moved) : undefined;
      entries.addSlice(slice, at);
      if (fields !== undefined) {
        entries.metadata ??= [];
        for (let index = 0; index < slice.length; index++) entries.metadata[at + index] = fields;
      }
      for (let index = 0; index < slice.length; index++) {
        if (writeLine !== undefined)
          writeEntry(entries, at + index, writeLine, slice, index, undefined, scratch);
        stream.push(at + index);
      }
      at += slice.length;
    }
    return { entries, tenants: [{ tenant: options.tenant, streams: streams.sorted(entries) }], rejected: [] };
  };

  const cutter = fieldCutter(options);

  const planRecords = (slices: readonly Slice[], scratch: ByteSink): Plan => {
    const total = slices.reduce((sum, { length }) => sum + length, 0);
    const entries = new Entries(total);
    const tenants = new Map<string | undefined, StreamSet>();
    const rejected: Rejection[] = [];
    let at = 0;
    for (const slice of slices) {
      entries.addSlice(slice, at);
      cutter?.begin(slice.chunk.bytes);
      for (let index = 0; index < slice.length; index++, at++) {
        const cut =
          cutter?.cut(entries.starts[at] as number, entries.ends[at] as number) === true ? cutter : undefined;
        const record = cut === undefined ? slice.record(index) : cut.record;
        const wanted = tenantKey?.(record);
        const tenant = typeof wanted === 'string' ? wanted : options.tenant;
        if (tenant !== undefined && !TENANT.test(tenant)) {
          rejected.push({
            index: at,
            reason: 'The tenant id of the record is none that a request can carry.',
          });
          continue;
        }
        const pairs = labelsOf(record, slice.tag);
        const moved = guard.check(pairs);
        if (hasMetadata || moved.length > 0) {
          entries.metadata ??= [];
          entries.metadata[at] = metadataOf(record, slice.tag, moved);
        }
        if (cut !== undefined) {
          const start = scratch.length;
          cut.write(scratch);
          entries.placeInScratch(at, start, scratch.length);
        } else if (writeLine !== undefined) {
          writeEntry(entries, at, writeLine, slice, index, record, scratch);
        }
        let streams = tenants.get(tenant);
        if (streams === undefined) tenants.set(tenant, (streams = new StreamSet()));
        streams.of(pairs).push(at);
      }
    }
    return {
      entries,
      tenants: Array.from(tenants, ([tenant, streams]) => ({ tenant, streams: streams.sorted(entries) })),
      rejected,
    };
  };

  const make = readsRecords ? planRecords : planTags;
  return (slices, scratch) => {
    guard.refresh();
    const plan = make(slices, scratch);
    // Only now: the memory may have grown out of an earlier one.
    plan.entries.setScratch(scratch.bytes);
    return plan;
  };
}

/** The cutter that spares the parsing, where texts under top-level keys are all that is needed of a record. */
function fieldCutter({
  labels,
  metadata,
  metadataMaps,
  kubernetesLabels,
  tenantKey,
  cutKeys,
}: PlanOptions): FieldCutter | undefined {
  const read = [...labels, ...metadata].filter(({ fixed }) => !fixed);
  const isPlain = read.every(({ alone, path }) => alone === true && path?.length === 1);
  if (
    cutKeys === undefined ||
    !isPlain ||
    kubernetesLabels ||
    metadataMaps.length > 0 ||
    tenantKey !== undefined
  )
    return undefined;
  return FieldCutter.for(cutKeys);
}

function writeEntry(
  entries: Entries,
  at: number,
  writeLine: WriteLine,
  slice: Slice,
  index: number,
  record: ReadonlyRecord | undefined,
  scratch: ByteSink,
): void {
  const start = scratch.length;
  if (!writeLine(slice, index, record, scratch)) return;
  entries.placeInScratch(at, start, scratch.length);
}

/** Sets a pair: a name that is there already takes the new value. */
function setPair(pairs: Pair[], name: string, value: string): void {
  const at = pairs.findIndex(([other]) => other === name);
  if (at === -1) pairs.push([name, value]);
  else pairs[at] = [name, value];
}

function addKubernetesLabels(record: ReadonlyRecord, pairs: Pair[]): void {
  const kubernetes = getKey(record, 'kubernetes');
  const labels = isRecord(kubernetes) ? getKey(kubernetes, 'labels') : undefined;
  if (!isRecord(labels)) return;
  for (const key of Object.keys(labels)) {
    const value = labels[key];
    if (typeof value === 'string' && key !== '') setPair(pairs, labelName(key), value);
  }
}

/** The members of a map; what is no text as JSON. */
function addMembers(map: unknown, pairs: Pair[]): void {
  if (!isRecord(map)) return;
  for (const key of Object.keys(map)) {
    const value = map[key] as Value;
    if (key !== '') setPair(pairs, labelName(key), typeof value === 'string' ? value : valueToJson(value));
  }
}

/** Streams by their labels, in the order in which they came up. */
class StreamSet {
  private readonly streams = new Map<string, { labels: readonly Pair[]; entries: number[] }>();
  private lastKey: string | undefined;
  private last: number[] = [];

  /** The entries of the stream with these labels. */
  of(labels: readonly Pair[]): number[] {
    let key = '';
    for (const [name, value] of labels) key += `${name}\u0000${value.length}\u0000${value}`;
    if (key === this.lastKey) return this.last;
    let stream = this.streams.get(key);
    if (stream === undefined) {
      stream = { labels: labels.length === 0 ? DEFAULT_LABELS : labels, entries: [] };
      this.streams.set(key, stream);
    }
    this.lastKey = key;
    this.last = stream.entries;
    return stream.entries;
  }

  /** All streams, each with its oldest entry first; equal times stay in order. */
  sorted(entries: Entries): Stream[] {
    const compare = (a: number, b: number): number => entries.compare(a, b);
    return Array.from(this.streams.values(), ({ labels, entries: own }) => {
      for (let at = 1; at < own.length; at++) {
        if (compare(own[at - 1] as number, own[at] as number) > 0) {
          own.sort(compare);
          break;
        }
      }
      return { labels, entries: own };
    });
  }
}
