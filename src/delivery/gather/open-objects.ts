/** The objects that take flights: one for each group. */
import type { Flight } from '../flight.ts';
import type { Entry } from './staged-object.ts';
import { StagedObject } from './staged-object.ts';

export class OpenObjects {
  /** Chunks in all of them. */
  chunks = 0;
  private readonly objects = new Map<string, StagedObject>();

  get size(): number {
    return this.objects.size;
  }

  has(object: StagedObject): boolean {
    return this.objects.get(object.group) === object;
  }

  [Symbol.iterator](): Iterator<StagedObject> {
    return this.objects.values();
  }

  /** Takes a flight into the object of its group, or a new one. */
  add(group: string, flight: Flight): { object: StagedObject; entry: Entry; isNew: boolean } {
    let object = this.objects.get(group);
    const isNew = object === undefined;
    if (object === undefined) {
      object = new StagedObject(group);
      this.objects.set(group, object);
    }
    this.chunks++;
    return { object, entry: object.add(flight), isNew };
  }

  /** It takes nothing more. */
  remove(object: StagedObject): void {
    this.objects.delete(object.group);
    this.chunks -= object.entries.length;
  }

  /** The one with the most chunks. */
  longest(): StagedObject | undefined {
    let longest: StagedObject | undefined;
    for (const object of this) if (object.entries.length > (longest?.entries.length ?? -1)) longest = object;
    return longest;
  }

  /** The one with the most bytes of those that `concerns` is true of. */
  largest(concerns: (object: StagedObject) => boolean): StagedObject | undefined {
    let largest: StagedObject | undefined;
    for (const object of this)
      if (object.bytes > (largest?.bytes ?? -1) && concerns(object)) largest = object;
    return largest;
  }

  /** All that is in them, in the order in which it arrived. */
  entries(): { object: StagedObject; entry: Entry }[] {
    return [...this]
      .flatMap((object) => object.entries.map((entry) => ({ object, entry })))
      .toSorted((a, b) => a.entry.flight.held.id - b.entry.flight.held.id);
  }

  clear(): void {
    this.objects.clear();
    this.chunks = 0;
  }

  /** Forgets entries without records, and objects without entries. */
  prune(): void {
    for (const object of this) {
      const left = object.entries.filter(({ records }) => records > 0);
      this.chunks -= object.entries.length - left.length;
      object.entries = left;
      if (left.length === 0) this.objects.delete(object.group);
    }
  }
}
