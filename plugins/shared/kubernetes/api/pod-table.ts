/** The pods that are known: of each name its generations, the deleted ones for as long as they are spoken of and a while after. */
import type { Pod, PodQuery } from '../pods.ts';
import { configHashOf } from './pod-of.ts';

/** A deleted pod stays known for so long, milliseconds: its files may be read late. */
const KEPT_MS = 15 * 60_000;
/** Deleted pods beyond those that are spoken of. */
const MAX_DELETED = 5000;
/** Container ids of earlier starts that are remembered, per pod. */
const MAX_FORMER_IDS = 16;

interface Known {
  pod: Pod;
  /** What the paths of its logs have as uid, where it is a static pod. */
  configHash: string | undefined;
  /** Of containers that were started anew since. */
  formerIds: string[];
  /** Monotonic milliseconds; undefined while it lives. */
  deletedAt: number | undefined;
  /** Of the last list that had it, or that was under way when it was heard of. */
  round: number;
  /** When it was last heard of, monotonic milliseconds. */
  at: number;
}

interface Held {
  uid: string | undefined;
}

export class PodTable {
  private readonly names = new Map<string, Known[]>();
  private readonly held = new Map<string, Set<Held>>();
  /** In the order of their deletion; those that came back or are forgotten are no longer `deletedAt`. */
  private readonly deleted = new Set<Known>();
  private round = 0;
  private liveCount = 0;

  get live(): number {
    return this.liveCount;
  }

  get deletedCount(): number {
    return this.deleted.size;
  }

  /** Takes in what is said of a pod. An equal one stays the same object. Answers whether anything is new. */
  put(pod: Pod, now: number): boolean {
    const key = nameKey(pod);
    const generations = this.names.get(key) ?? [];
    if (generations.length === 0) this.names.set(key, generations);
    const known = generations.find((each) => each.pod.uid === pod.uid);
    if (known === undefined) {
      generations.push({
        pod,
        configHash: configHashOf(pod),
        formerIds: [],
        deletedAt: undefined,
        round: this.round,
        at: now,
      });
      this.liveCount++;
      return true;
    }
    known.round = this.round;
    known.at = now;
    if (known.deletedAt !== undefined) {
      known.deletedAt = undefined;
      this.deleted.delete(known);
      this.liveCount++;
    }
    if (isSame(known.pod, pod)) return false;
    rememberIds(known, pod);
    known.pod = pod;
    known.configHash = configHashOf(pod);
    return true;
  }

  /** It was deleted: it stays known for a while. */
  remove({ namespace, name, uid }: Pick<Pod, 'namespace' | 'name' | 'uid'>, now: number): void {
    const known = this.names.get(nameKey({ namespace, name }))?.find((each) => each.pod.uid === uid);
    if (known !== undefined) this.bury(known, now);
  }

  /** A list begins; what it does not have when it {@link endList | ends} was deleted meanwhile. */
  beginList(): void {
    this.round++;
  }

  endList(now: number): void {
    for (const generations of this.names.values())
      for (const known of generations) if (known.round !== this.round) this.bury(known, now);
  }

  /** The generation that is meant. Without uid and container id: the newest. */
  find({ namespace, name, uid, containerId }: PodQuery): { pod: Pod; at: number } | undefined {
    const generations = this.names.get(nameKey({ namespace, name }));
    if (generations === undefined) return undefined;
    if (uid !== undefined)
      return generations.findLast(({ pod, configHash }) => pod.uid === uid || configHash === uid);
    const newest = generations.at(-1);
    if (containerId === undefined) return newest;
    const exact = generations.findLast((known) => hasContainer(known, containerId));
    // A container that has just been started is not in the status yet; one of a deleted pod will not get there.
    return exact ?? (newest?.deletedAt === undefined ? newest : undefined);
  }

  /** Whether a pod that lives has this container; else its status may be older than the container. */
  hasContainer(query: PodQuery): boolean {
    const { containerId } = query;
    if (containerId === undefined) return true;
    const generations = this.names.get(nameKey(query)) ?? [];
    return generations.some((known) => hasContainer(known, containerId));
  }

  retain({ namespace, name, uid }: PodQuery): { release(): void } {
    const key = nameKey({ namespace, name });
    const holds = this.held.get(key) ?? new Set<Held>();
    this.held.set(key, holds);
    const hold: Held = { uid };
    holds.add(hold);
    return {
      release: () => {
        holds.delete(hold);
        if (holds.size === 0 && this.held.get(key) === holds) this.held.delete(key);
      },
    };
  }

  /** Forgets deleted pods whose time is over, and the oldest where there are too many; never those that are spoken of. */
  forget(now: number): void {
    let over = this.deleted.size - MAX_DELETED;
    for (const known of this.deleted) {
      const isOld = now - (known.deletedAt ?? now) >= KEPT_MS;
      if (!isOld && over <= 0) break;
      if (this.isHeld(known)) continue;
      over--;
      this.drop(known);
    }
  }

  /** Forgets the pods that were heard of longest ago until `max` are left, for where nobody says which were deleted. */
  evict(max: number): void {
    if (this.liveCount + this.deleted.size <= max) return;
    const all = [...this.names.values()].flat().toSorted((a, b) => a.at - b.at);
    // Some more at once, so that not every pod makes it sort.
    for (const known of all.slice(0, all.length - Math.floor(max * 0.9)))
      if (!this.isHeld(known)) this.drop(known);
  }

  private bury(known: Known, now: number): void {
    if (known.deletedAt !== undefined) return;
    known.deletedAt = now;
    this.deleted.add(known);
    this.liveCount--;
  }

  private drop(known: Known): void {
    if (known.deletedAt === undefined) this.liveCount--;
    this.deleted.delete(known);
    const key = nameKey(known.pod);
    const generations = this.names.get(key)?.filter((each) => each !== known) ?? [];
    if (generations.length === 0) this.names.delete(key);
    else this.names.set(key, generations);
  }

  private isHeld({ pod, configHash }: Known): boolean {
    for (const { uid } of this.held.get(nameKey(pod)) ?? [])
      if (uid === undefined || uid === pod.uid || uid === configHash) return true;
    return false;
  }
}

export function nameKey({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

function hasContainer({ pod, formerIds }: Known, id: string): boolean {
  return pod.containers.some((container) => container.id === id) || formerIds.includes(id);
}

function rememberIds(known: Known, next: Pod): void {
  for (const { id } of known.pod.containers) {
    if (id === undefined || next.containers.some((container) => container.id === id)) continue;
    known.formerIds.push(id);
    if (known.formerIds.length > MAX_FORMER_IDS) known.formerIds.shift();
  }
}

function isSame(a: Pod, b: Pod): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
