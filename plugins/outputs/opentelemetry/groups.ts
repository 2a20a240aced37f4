/** Puts log records together by resource and scope, in the order in which these come up. */
import { isRecord } from '../../../src/plugin.ts';
import type { OutgoingRecord, OutgoingResource, ReadonlyRecord } from '../../../src/plugin.ts';

const NONE: ReadonlyRecord = {};

interface Scope {
  scope: ReadonlyRecord;
  records: OutgoingRecord[];
}

interface Resource {
  resource: ReadonlyRecord;
  scopes: Scope[];
  byScope: Lookup<Scope>;
}

/** Finds by the very object, and else by what is in it: after a restart equal ones are no more the same. */
class Lookup<T> {
  private readonly byObject = new Map<ReadonlyRecord, T>();
  private readonly byText = new Map<string, T>();

  get(key: ReadonlyRecord, make: () => T): T {
    const known = this.byObject.get(key);
    if (known !== undefined) return known;
    const text = JSON.stringify(key);
    const equal = this.byText.get(text);
    const found = equal ?? make();
    if (equal === undefined) this.byText.set(text, found);
    this.byObject.set(key, found);
    return found;
  }
}

export class Groups {
  readonly resources: (OutgoingResource & Resource)[] = [];
  private readonly byResource = new Lookup<Resource>();
  private last: { resource: unknown; scope: unknown; records: OutgoingRecord[] } | undefined;

  /** Adds a record. `metadata`: of an event that came by OTLP; undefined for others. */
  add(record: OutgoingRecord, metadata: ReadonlyRecord | undefined): void {
    const resource = mapUnder(metadata, 'resource');
    const scope = mapUnder(metadata, 'scope');
    if (this.last?.resource !== resource || this.last.scope !== scope)
      this.last = { resource, scope, records: this.recordsOf(resource, scope) };
    this.last.records.push(record);
  }

  private recordsOf(resource: ReadonlyRecord, scope: ReadonlyRecord): OutgoingRecord[] {
    const found = this.byResource.get(resource, () => {
      const made: Resource = { resource, scopes: [], byScope: new Lookup() };
      this.resources.push(made);
      return made;
    });
    return found.byScope.get(scope, () => {
      const made: Scope = { scope, records: [] };
      found.scopes.push(made);
      return made;
    }).records;
  }
}

function mapUnder(metadata: ReadonlyRecord | undefined, key: string): ReadonlyRecord {
  const value = metadata !== undefined && Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  return isRecord(value) ? value : NONE;
}
