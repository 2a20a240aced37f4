/**
 * What is answered to each item of a bulk request, kept small until the records are safe, and written then:
 *
 *     {"create":{"_index":"logs","_id":"Zm9vYmFy-0","_version":1,"result":"created",…,"status":201}}
 *     {"index":{"_index":"logs","_id":"7","status":400,"error":{"type":"document_parsing_exception","reason":"…"}}}
 *
 * Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
 */
import { randomBytes } from 'node:crypto';
import type { Room } from '../../shared/http-receiver/room.ts';

export interface ItemError {
  status: number;
  type: string;
  reason: string;
}

/** What of an action is in its answer. */
export interface Item {
  operation: string;
  index: string;
  id: string | undefined;
}

const WRITTEN =
  '"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,"status":201';

export class Items {
  /** The first error. */
  firstError: ItemError | undefined;
  private readonly room: Pick<Room, 'spend'>;
  private readonly items: Item[] = [];
  /** By the number of their item. */
  private readonly errors = new Map<number, ItemError>();
  /** Beginning of the ids that documents without one get. */
  private readonly prefix = randomBytes(9).toString('base64url');

  constructor(room: Pick<Room, 'spend'>) {
    this.room = room;
  }

  get length(): number {
    return this.items.length;
  }

  get refused(): number {
    return this.errors.size;
  }

  taken(item: Item): void {
    this.items.push(item);
  }

  /** Throws Refusal where there is no room for so many. */
  refuse(item: Item, error: ItemError): void {
    this.room.spend(item.index.length + (item.id?.length ?? 0));
    this.errors.set(this.items.length, error);
    this.items.push(item);
    this.firstError ??= error;
  }

  /** The answer to the whole request. `took`: milliseconds. */
  bulkAnswer(took: number): string {
    const texts = this.items.map((item, number) => `{"${item.operation}":{${this.members(item, number)}}}`);
    return `{"errors":${this.refused > 0},"took":${took},"items":[${texts.join(',')}]}`;
  }

  /** The answer to a request for the only item, which was taken. */
  documentAnswer(): string {
    const [item] = this.items;
    return item === undefined ? '{}' : `{${this.members(item, 0)}}`;
  }

  private members({ index, id }: Item, number: number): string {
    const error = this.errors.get(number);
    const given = id ?? (error === undefined ? `${this.prefix}-${number}` : null);
    const where = `"_index":${JSON.stringify(index)},"_id":${JSON.stringify(given)}`;
    if (error === undefined) return `${where},${WRITTEN}`;
    const { status, type, reason } = error;
    const notFound = status === 404 ? '"result":"not_found",' : '';
    return `${where},${notFound}"status":${status},"error":${JSON.stringify({ type, reason })}`;
  }
}
