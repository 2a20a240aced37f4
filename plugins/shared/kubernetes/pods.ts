/** What the Kubernetes plugins know of pods, and how they ask for it. Where the answers come from stands behind {@link PodDirectory}. */

/** One container of a pod. */
export interface PodContainer {
  name: string;
  /** Of the runtime, without its scheme (`containerd://`); absent until the container has been started. */
  id?: string;
  /** As the status has it, else the specification. */
  image?: string;
  imageId?: string;
}

/** An entry of `metadata.ownerReferences`, as the API gives it. */
export interface OwnerReference {
  apiVersion?: string;
  kind: string;
  name: string;
  uid?: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** A pod, cut to what records, annotations and policies need. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ */
export interface Pod {
  namespace: string;
  name: string;
  uid: string;
  nodeName?: string;
  podIp?: string;
  hostIp?: string;
  /** These three are there, empty or not, where the object has them. */
  labels?: Readonly<Record<string, string>>;
  annotations?: Readonly<Record<string, string>>;
  ownerReferences?: readonly OwnerReference[];
  /** Init and ephemeral containers included. */
  containers: readonly PodContainer[];
}

export interface Namespace {
  name: string;
  /** These two are there, empty or not, where the object has them. */
  labels?: Readonly<Record<string, string>>;
  annotations?: Readonly<Record<string, string>>;
}

/** Which pod is meant. A name may be used again: uid or container id tell its generations apart. */
export interface PodQuery {
  namespace: string;
  name: string;
  /** As in the path of its logs; of a static pod that is the hash in its annotation `kubernetes.io/config.hash`. */
  uid?: string;
  /** Without scheme, as in the name of its log file. */
  containerId?: string;
}

/** `absent`: the API knows no such pod. `unknown`: it could not be asked in time, or may not be. */
export type Answer<T> = { found: T } | 'absent' | 'unknown';

/** Pods of this node, or of all, and their namespaces. Never throws: what goes wrong is logged at a limited rate, counted, and tried again. */
export interface PodDirectory {
  /**
   * What is known without asking; undefined when somebody would have to be asked. A pod is the same object for as long as nothing of it
   * changes, so what is made of it can be kept by it.
   */
  pod(query: PodQuery): Answer<Pod> | undefined;
  /**
   * Resolves as soon as it is known, at the latest after `waitMs`. Many that wait share one request, and one time-out while the API
   * cannot be reached: it is not waited for again and again.
   */
  awaitPod(query: PodQuery, waitMs: number): Promise<Answer<Pod>>;
  namespace(name: string): Answer<Namespace> | undefined;
  awaitNamespace(name: string, waitMs: number): Promise<Answer<Namespace>>;
  /** The pod is still spoken of: until `release` is called, it stays known although it was deleted. */
  retain(query: PodQuery): { release(): void };
  /** Nobody is asked any more, and nobody waits: there is what is known. */
  hurry?(): void;
  close(): Promise<void>;
}
