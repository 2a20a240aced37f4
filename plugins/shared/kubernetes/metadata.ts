/**
 * The maps `kubernetes` and `kubernetes_namespace` of a record, with the keys and in the order of Fluent Bit 5.1.
 *
 * All records of a container share one map, which is written to JSON once and spliced into their texts. It is frozen: whoever wants
 * to change a part of it in one record makes a copy.
 */
import { setKey } from '../../../src/plugin.ts';
import type { Batch, LogRecord, Value } from '../../../src/plugin.ts';
import type { Namespace, Pod, PodContainer } from './pods.ts';

/** What the name of a log, or a journal's entry, says of a container. */
export interface ContainerNames {
  pod: string;
  namespace: string;
  /** Of the pod, where the path says it. */
  uid?: string | undefined;
  container?: string | undefined;
  /** Without scheme. */
  containerId?: string | undefined;
  containerHash?: string | undefined;
}

/** The parts that are left to the administrator. */
export interface MetadataParts {
  labels: boolean;
  annotations: boolean;
  ownerReferences: boolean;
}

/** A field that many records get. */
export interface SharedField {
  readonly key: string;
  readonly value: Value;
  /** `"key":value` in JSON. */
  readonly member: string;
}

export function sharedField(key: string, value: LogRecord): SharedField {
  return { key, value: freeze(value), member: `${JSON.stringify(key)}:${JSON.stringify(value)}` };
}

/** Gives one record of a batch the field; one of that name gives way. */
export function addShared(batch: Batch, index: number, { key, value, member }: SharedField): void {
  // A record without text would be written as a whole when the batch is encoded, the shared part each time anew.
  batch.write(index);
  batch.set(index, key, value, member);
}

/** The field `kubernetes` of the records of a container. */
export function podField(names: ContainerNames, pod: Pod, parts: MetadataParts): SharedField {
  const running = containerOf(pod, names.container);
  const value = compact([
    ['pod_name', names.pod],
    ['namespace_name', names.namespace],
    ['pod_id', pod.uid],
    ['labels', parts.labels ? map(pod.labels) : undefined],
    ['annotations', parts.annotations ? map(pod.annotations) : undefined],
    ['ownerReferences', parts.ownerReferences ? owners(pod) : undefined],
    ['host', pod.nodeName],
    ['pod_ip', pod.podIp],
    ['container_name', names.container],
    ['docker_id', names.containerId ?? running?.id],
    ['container_hash', names.containerHash ?? (running?.imageId && withoutScheme(running.imageId))],
    ['container_image', running?.image],
  ]);
  return sharedField('kubernetes', value);
}

/** The field `kubernetes` made of names alone (`use_tag_for_meta`). */
export function namesField({ pod, namespace, container, containerId }: Partial<ContainerNames>): SharedField {
  const value = compact([
    ['pod_name', pod],
    ['namespace_name', namespace],
    ['container_name', container],
    ['docker_id', containerId],
  ]);
  return sharedField('kubernetes', value);
}

/** The field `kubernetes_namespace`, by the name that the tag has. */
export function namespaceField(
  name: string,
  { labels, annotations }: Namespace,
  parts: { labels: boolean; annotations: boolean },
): SharedField {
  const value = compact([
    ['name', name],
    ['labels', parts.labels ? map(labels) : undefined],
    ['annotations', parts.annotations ? map(annotations) : undefined],
  ]);
  return sharedField('kubernetes_namespace', value);
}

function containerOf(pod: Pod, name: string | undefined): PodContainer | undefined {
  return name === undefined ? undefined : pod.containers.find((container) => container.name === name);
}

/** `docker-pullable://repository@sha256:…` without what stands in front of the slashes; an image id without scheme as it is. */
function withoutScheme(id: string): string {
  const [, rest] = /^[^:]*:\/+(.+)$/.exec(id) ?? [];
  return rest ?? id;
}

function owners({ ownerReferences }: Pod): Value | undefined {
  return ownerReferences?.map((owner) => compact(Object.entries(owner) as [string, Value | undefined][]));
}

/** A copy that may be frozen. A label without value is one all the same. */
function map(from: Readonly<Record<string, string>> | undefined): Value | undefined {
  if (from === undefined) return undefined;
  const record: LogRecord = {};
  for (const [key, value] of Object.entries(from)) setKey(record, key, value);
  return record;
}

/** A record of the entries that have a value. */
function compact(entries: readonly (readonly [string, Value | undefined])[]): LogRecord {
  const record: LogRecord = {};
  for (const [key, value] of entries) if (value !== undefined && value !== '') setKey(record, key, value);
  return record;
}

function freeze(value: LogRecord): LogRecord {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freeze(inner as LogRecord);
  }
  return Object.freeze(value);
}
