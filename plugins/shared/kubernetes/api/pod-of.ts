/** From an object of the API to what is kept of it: the fields of {@link Pod}, their strings shared. */
import { isRecord } from '../../../../src/plugin.ts';
import type { LogRecord } from '../../../../src/plugin.ts';
import type { Namespace, OwnerReference, Pod, PodContainer } from '../pods.ts';
import type { StringPool } from './string-pool.ts';

/** In static pods' mirrors: the uid that the kubelet uses for their logs. */
const CONFIG_HASH = 'kubernetes.io/config.hash';

const STATUSES = ['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses'] as const;
const SPECS = ['initContainers', 'containers', 'ephemeralContainers'] as const;

/** A pod from its JSON; undefined for what is none. */
export function podOf(object: unknown, pool: StringPool): Pod | undefined {
  if (!isRecord(object)) return undefined;
  const { metadata, spec, status } = object;
  if (!isRecord(metadata)) return undefined;
  const { name, namespace, uid } = metadata;
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof uid !== 'string') return undefined;
  const node = textOf(spec, 'nodeName', pool);
  const podIp = textOf(status, 'podIP', pool);
  const hostIp = textOf(status, 'hostIP', pool);
  return {
    namespace: pool.share(namespace),
    name,
    uid,
    ...(node === undefined ? {} : { nodeName: node }),
    ...(podIp === undefined ? {} : { podIp }),
    ...(hostIp === undefined ? {} : { hostIp }),
    ...describedBy(metadata, pool),
    ...ownersOf(metadata, pool),
    containers: containersOf(spec, status, pool),
  };
}

/**
 * An answer to who asked for one object: it has the names that were asked for, whatever stands in it, as in Fluent Bit. Undefined for
 * what is no object of the API.
 */
export function answerNamed(object: unknown, names: { name: string; namespace?: string }): unknown {
  if (!isRecord(object) || object['kind'] === 'Status' || !isRecord(object['metadata'])) return undefined;
  return { ...object, metadata: { uid: '', ...object['metadata'], ...names } };
}

/** The uid that the paths of a static pod's logs have. */
export function configHashOf(pod: Pod): string | undefined {
  const { annotations } = pod;
  return annotations !== undefined && Object.hasOwn(annotations, CONFIG_HASH)
    ? annotations[CONFIG_HASH]
    : undefined;
}

/** A namespace from its JSON; undefined for what is none. */
export function namespaceOf(object: unknown, pool: StringPool): Namespace | undefined {
  const metadata = isRecord(object) ? object['metadata'] : undefined;
  if (!isRecord(metadata) || typeof metadata['name'] !== 'string') return undefined;
  return { name: metadata['name'], ...describedBy(metadata, pool) };
}

function describedBy(metadata: LogRecord, pool: StringPool): Pick<Pod, 'labels' | 'annotations'> {
  const labels = textsOf(metadata['labels'], pool);
  const annotations = textsOf(metadata['annotations'], pool);
  return {
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function ownersOf(metadata: LogRecord, pool: StringPool): Pick<Pod, 'ownerReferences'> {
  if (!Array.isArray(metadata['ownerReferences'])) return {};
  const owners = objectsOf(metadata, 'ownerReferences');
  return { ownerReferences: owners.flatMap((owner) => ownerOf(owner, pool)) };
}

function containersOf(spec: unknown, status: unknown, pool: StringPool): PodContainer[] {
  const statuses = new Map<unknown, LogRecord>();
  for (const key of STATUSES) for (const each of objectsOf(status, key)) statuses.set(each['name'], each);
  const containers: PodContainer[] = [];
  const add = (each: LogRecord, running: LogRecord | undefined): void => {
    const name = textOf(each, 'name', pool);
    if (name === undefined) return;
    statuses.delete(name);
    const id = textOf(running, 'containerID')?.replace(/^[a-z0-9.+-]*:\/\//i, '');
    const image = textOf(running, 'image', pool) ?? textOf(each, 'image', pool);
    const imageId = textOf(running, 'imageID', pool);
    containers.push({
      name,
      ...(id === undefined ? {} : { id }),
      ...(image === undefined ? {} : { image }),
      ...(imageId === undefined ? {} : { imageId }),
    });
  };
  for (const key of SPECS) for (const each of objectsOf(spec, key)) add(each, statuses.get(each['name']));
  // Metadata from files may lack the specification.
  for (const left of statuses.values()) add(left, left);
  return containers;
}

function ownerOf(owner: LogRecord, pool: StringPool): OwnerReference[] {
  const kind = textOf(owner, 'kind', pool);
  const name = textOf(owner, 'name', pool);
  if (kind === undefined || name === undefined) return [];
  const apiVersion = textOf(owner, 'apiVersion', pool);
  const uid = textOf(owner, 'uid', pool);
  const { controller, blockOwnerDeletion } = owner;
  return [
    {
      ...(apiVersion === undefined ? {} : { apiVersion }),
      kind,
      name,
      ...(uid === undefined ? {} : { uid }),
      ...(typeof controller === 'boolean' ? { controller } : {}),
      ...(typeof blockOwnerDeletion === 'boolean' ? { blockOwnerDeletion } : {}),
    },
  ];
}

function objectsOf(value: unknown, key: string): LogRecord[] {
  const list = isRecord(value) ? value[key] : undefined;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

/** A text that is there and not empty. */
function textOf(value: unknown, key: string, pool?: StringPool): string | undefined {
  const text = isRecord(value) ? value[key] : undefined;
  if (typeof text !== 'string' || text === '') return undefined;
  return pool === undefined ? text : pool.share(text);
}

/** Undefined for what is no map. */
function textsOf(value: unknown, pool: StringPool): Record<string, string> | undefined {
  if (!isRecord(value)) return undefined;
  const texts: Record<string, string> = {};
  for (const [key, text] of Object.entries(value)) {
    // The API server takes no key that begins with an underscore; what says so is not believed.
    if (typeof text === 'string' && key !== '__proto__') texts[pool.share(key)] = pool.share(text);
  }
  return texts;
}
