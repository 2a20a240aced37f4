/**
 * What is added to the records of each container: looked up in the directory of pods, made once, and made anew when the pod changes.
 * Containers are kept by the text that names them, and for a while after their last record: so long their pods stay known,
 * also when they were deleted.
 */
import { namesField, namespaceField, podField } from './metadata.ts';
import type { ContainerNames, MetadataParts, SharedField } from './metadata.ts';
import type { Answer, Namespace, Pod, PodDirectory, PodQuery } from './pods.ts';
import type { AnnotationPolicy, ContainerPolicy } from './policy.ts';
import type { Missing } from './without-metadata.ts';
import { areNames, isNamespaceName } from './names.ts';
import type { NamesFound } from './names.ts';

/** What the records of a container get. */
export interface Prepared {
  names: NamesFound;
  fields: readonly SharedField[];
  policy: ContainerPolicy | undefined;
  /** Something that should be there is not. */
  missing: Missing | undefined;
}

export interface ContainersOptions {
  directory: PodDirectory;
  policy: AnnotationPolicy;
  /** How records name their container; undefined when they do not. */
  read: (text: string) => NamesFound | undefined;
  /** The metadata of pods; undefined: it is left out. `names`: made of the names alone. */
  pods: MetadataParts | 'names' | undefined;
  /** A pod that is not known to whoever knows all of them, a kubelet: its names are there all the same. */
  namesOfAbsent?: boolean;
  /** The metadata of namespaces; undefined: it is left out. */
  namespaces: { labels: boolean; annotations: boolean } | undefined;
  waitMs: number;
}

interface Entry {
  names: NamesFound | undefined;
  usedAt: number;
  hold: { release(): void } | undefined;
  /** What it was made of. */
  pod: Pod | Missing | undefined;
  namespace: Namespace | Missing | undefined;
  prepared: Prepared | undefined;
}

/** A container without a record for so long is forgotten, milliseconds. */
const KEPT_MS = 10 * 60_000;
/** How often that is looked at, milliseconds. */
const SWEEP_MS = 60_000;
const MAX_CONTAINERS = 10_000;
/** Of a text that names one, characters: several times what its names can have. Whoever writes to a journal may name himself anything. */
const MAX_TEXT = 2048;

export class Containers {
  private readonly options: ContainersOptions;
  private readonly entries = new Map<string, Entry>();
  private sweptAt = performance.now();

  constructor(options: ContainersOptions) {
    this.options = options;
  }

  /** For the container that a text names; undefined when it names none. A promise only where somebody has to be asked. */
  of(text: string): Prepared | undefined | Promise<Prepared> {
    if (text.length > MAX_TEXT) return undefined;
    const entry = this.entry(text);
    const { names } = entry;
    if (names === undefined) return undefined;
    const { directory } = this.options;
    const pod = this.asksForPods && areNames(names) ? directory.pod(query(names)) : 'absent';
    const namespace = this.namespaceOf(names);
    const known = namespace === undefined ? 'absent' : directory.namespace(namespace);
    if (pod !== undefined && known !== undefined) return this.prepare(entry, names, pod, known);
    return this.ask(entry, names, pod, known, namespace);
  }

  close(): void {
    for (const { hold } of this.entries.values()) hold?.release();
    this.entries.clear();
  }

  private get asksForPods(): boolean {
    return typeof this.options.pods === 'object';
  }

  private namespaceOf({ namespace }: NamesFound): string | undefined {
    return this.options.namespaces !== undefined && namespace !== undefined && isNamespaceName(namespace)
      ? namespace
      : undefined;
  }

  private async ask(
    entry: Entry,
    names: NamesFound,
    pod: Answer<Pod> | undefined,
    known: Answer<Namespace> | undefined,
    namespace: string | undefined,
  ): Promise<Prepared> {
    const { directory, waitMs } = this.options;
    const [podAnswer, namespaceAnswer] = await Promise.all([
      pod ?? directory.awaitPod(query(names as ContainerNames), waitMs),
      known ?? directory.awaitNamespace(namespace as string, waitMs),
    ]);
    return this.prepare(entry, names, podAnswer, namespaceAnswer);
  }

  private prepare(
    entry: Entry,
    names: NamesFound,
    podAnswer: Answer<Pod>,
    namespaceAnswer: Answer<Namespace>,
  ): Prepared {
    const pod = typeof podAnswer === 'string' ? podAnswer : podAnswer.found;
    const namespace = typeof namespaceAnswer === 'string' ? namespaceAnswer : namespaceAnswer.found;
    if (entry.prepared === undefined || entry.pod !== pod || entry.namespace !== namespace) {
      entry.pod = pod;
      entry.namespace = namespace;
      entry.prepared = this.make(names, pod, namespace);
    }
    return entry.prepared;
  }

  private make(names: NamesFound, pod: Pod | Missing, namespace: Namespace | Missing): Prepared {
    const { pods, namespaces, policy } = this.options;
    const fields: SharedField[] = [];
    let missing: Missing | undefined;
    if (pods === 'names') {
      if (names.pod !== undefined && names.namespace !== undefined) fields.push(namesField(names));
      else missing = 'tag';
    } else if (pods !== undefined) {
      if (typeof pod === 'string') {
        missing = areNames(names) ? pod : 'tag';
        if (missing === 'absent' && this.options.namesOfAbsent === true) fields.push(namesField(names));
      } else fields.push(podField(names as ContainerNames, pod, pods));
    }
    if (namespaces !== undefined) {
      if (typeof namespace === 'string') missing ??= namespace;
      else fields.push(namespaceField(names.namespace ?? namespace.name, namespace, namespaces));
    }
    const allowed = typeof pod === 'string' ? undefined : policy.of(pod, names.container);
    return { names, fields, policy: allowed, missing };
  }

  private entry(text: string): Entry {
    const now = performance.now();
    if (now - this.sweptAt > SWEEP_MS) this.sweep(now);
    const known = this.entries.get(text);
    if (known !== undefined) {
      known.usedAt = now;
      return known;
    }
    if (this.entries.size >= MAX_CONTAINERS) this.forget(this.entries.keys().next().value as string);
    const names = this.options.read(text);
    const entry: Entry = {
      names,
      usedAt: now,
      hold:
        this.asksForPods && names !== undefined && areNames(names)
          ? this.options.directory.retain(query(names))
          : undefined,
      pod: undefined,
      namespace: undefined,
      prepared: undefined,
    };
    this.entries.set(text, entry);
    return entry;
  }

  private sweep(now: number): void {
    this.sweptAt = now;
    for (const [text, { usedAt }] of this.entries) if (now - usedAt > KEPT_MS) this.forget(text);
  }

  private forget(text: string): void {
    this.entries.get(text)?.hold?.release();
    this.entries.delete(text);
  }
}

/** What the directory is asked for. */
export function query({ namespace, pod, uid, containerId }: ContainerNames): PodQuery {
  return {
    namespace,
    name: pod,
    ...(uid === undefined ? {} : { uid }),
    ...(containerId === undefined ? {} : { containerId }),
  };
}
