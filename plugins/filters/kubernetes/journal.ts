/** Entries of a journal (`use_journal`): each says by itself which container it is of. */
import type { Batch, Filter } from '../../../src/plugin.ts';
import type { Prepared } from '../../shared/kubernetes/containers.ts';
import { enrich, isExcluded } from '../../shared/kubernetes/enrich.ts';
import type { FilterParts } from './tag-filter.ts';

const FIELD = 'CONTAINER_NAME';

export class JournalFilter implements Filter {
  private readonly parts: FilterParts;

  constructor(parts: FilterParts) {
    this.parts = parts;
  }

  process(batch: Batch): void | Promise<void> {
    const known = new Map<string, Prepared | undefined>();
    const asked: Promise<void>[] = [];
    for (let index = 0; index < batch.length; index++) {
      const name = containerName(batch, index);
      if (name === undefined || known.has(name)) continue;
      const prepared = this.parts.containers.of(name);
      known.set(name, undefined);
      if (prepared instanceof Promise) asked.push(prepared.then((found) => void known.set(name, found)));
      else known.set(name, prepared);
    }
    if (asked.length > 0) return Promise.all(asked).then(() => this.apply(batch, known));
    return this.apply(batch, known);
  }

  hurry(): void {
    this.parts.directory.hurry?.();
  }

  async close(): Promise<void> {
    this.parts.containers.close();
    await this.parts.directory.close();
  }

  private apply(batch: Batch, known: ReadonlyMap<string, Prepared | undefined>): void {
    const { merger, without } = this.parts;
    const of = (index: number): Prepared | undefined => {
      const name = containerName(batch, index);
      return name === undefined ? undefined : known.get(name);
    };
    batch.retain((index) => !isExcluded(batch, index, of(index)?.policy));
    for (let index = 0; index < batch.length; index++) {
      const prepared = of(index);
      if (prepared !== undefined) enrich(batch, index, merger, prepared);
      const missing = prepared === undefined ? 'tag' : prepared.missing;
      if (missing !== undefined)
        without.mark(batch, missing, { container: containerName(batch, index) }, index);
    }
  }
}

function containerName(batch: Batch, index: number): string | undefined {
  const record = batch.record(index);
  const name = Object.hasOwn(record, FIELD) ? record[FIELD] : undefined;
  return typeof name === 'string' ? name : undefined;
}
