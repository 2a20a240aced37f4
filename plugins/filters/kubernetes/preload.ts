/**
 * Metadata from files (`kube_meta_preload_cache_dir`), before anybody is asked: NAMESPACE_POD.meta and NAMESPACE.namespace_meta, JSON as
 * the API gives it, or with use_kubelet a list of pods. For trying out a configuration, and for nodes without the API.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../../../src/plugin.ts';
import type { Logger } from '../../../src/plugin.ts';
import { namespaceOf, podOf, StringPool } from '../../shared/kubernetes/api/index.ts';
import type { Answer, Namespace, Pod, PodDirectory, PodQuery } from '../../shared/kubernetes/pods.ts';

/** Files that are remembered, also that they are not there. */
const MAX_FILES = 10_000;

/** Nobody to ask: what the files do not say is not known. */
export const noDirectory: PodDirectory = {
  pod: () => 'absent',
  awaitPod: async () => 'absent',
  namespace: () => 'absent',
  awaitNamespace: async () => 'absent',
  retain: () => ({ release() {} }),
  close: async () => {},
};

export interface PreloadOptions {
  directory: string;
  /** Files may hold a list of pods, as a kubelet gives it. */
  lists: boolean;
  /** Who is asked when there is no file. */
  behind: PodDirectory;
  log: Logger;
}

export class PreloadDirectory implements PodDirectory {
  private readonly options: PreloadOptions;
  private readonly pool = new StringPool();
  private readonly pods = new Map<string, Pod | 'none' | 'absent'>();
  private readonly namespaces = new Map<string, Namespace | 'none'>();

  constructor(options: PreloadOptions) {
    this.options = options;
  }

  pod(query: PodQuery): Answer<Pod> | undefined {
    const known = this.pods.get(podFile(query));
    if (known === 'none') return this.options.behind.pod(query);
    return known === 'absent' ? known : known && { found: known };
  }

  async awaitPod(query: PodQuery, waitMs: number): Promise<Answer<Pod>> {
    const file = podFile(query);
    if (!this.pods.has(file)) {
      const object = await this.read(file);
      remember(this.pods, file, object === undefined ? undefined : this.readPod(object, query));
    }
    return this.pod(query) ?? this.options.behind.awaitPod(query, waitMs);
  }

  namespace(name: string): Answer<Namespace> | undefined {
    const known = this.namespaces.get(name);
    return known === 'none' ? this.options.behind.namespace(name) : known && { found: known };
  }

  async awaitNamespace(name: string, waitMs: number): Promise<Answer<Namespace>> {
    if (!this.namespaces.has(name)) {
      const object = await this.read(`${name}.namespace_meta`);
      remember(
        this.namespaces,
        name,
        object === undefined ? undefined : namespaceOf(withMetadata(object, { name }), this.pool),
      );
    }
    return this.namespace(name) ?? this.options.behind.awaitNamespace(name, waitMs);
  }

  retain(query: PodQuery): { release(): void } {
    return this.options.behind.retain(query);
  }

  hurry(): void {
    this.options.behind.hurry?.();
  }

  close(): Promise<void> {
    return this.options.behind.close();
  }

  /** `absent`: there is a list, and the pod is not in it. */
  private readPod(object: unknown, { namespace, name }: PodQuery): Pod | 'absent' | undefined {
    const items =
      this.options.lists && isRecord(object) && Array.isArray(object['items']) ? object['items'] : undefined;
    if (items === undefined) return podOf(withMetadata(object, { namespace, name, uid: '' }), this.pool);
    for (const item of items) {
      const pod = podOf(withMetadata(item, { uid: '' }), this.pool);
      if (pod?.namespace === namespace && pod.name === name) return pod;
    }
    return 'absent';
  }

  /** What the file holds; undefined when it is not there or no JSON. */
  private async read(name: string): Promise<unknown> {
    const file = join(this.options.directory, name);
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.options.log.warn({ file, error }, 'Cannot read a file of Kubernetes metadata');
      return undefined;
    }
    try {
      return JSON.parse(text);
    } catch (error) {
      this.options.log.warn({ file, error }, 'A file of Kubernetes metadata holds no JSON');
      return undefined;
    }
  }
}

function podFile({ namespace, name }: PodQuery): string {
  return `${namespace}_${name}.meta`;
}

/** The object, with metadata that it may leave out. */
function withMetadata(object: unknown, defaults: Record<string, string>): unknown {
  if (!isRecord(object)) return undefined;
  const { metadata } = object;
  return { ...object, metadata: { ...defaults, ...(isRecord(metadata) ? metadata : {}) } };
}

function remember<T>(into: Map<string, T | 'none'>, key: string, value: T | undefined): void {
  if (into.size >= MAX_FILES) into.clear();
  into.set(key, value ?? 'none');
}
