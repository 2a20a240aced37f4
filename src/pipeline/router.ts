/** The router: encodes a batch once and gives each output that its tag is routed to a share of the chunk. */
import type { Arrivals } from '../event/arrivals.ts';
import type { Batch } from '../event/batch.ts';
import { encodeBatch } from '../event/chunk.ts';
import { Ranges } from '../event/ranges.ts';
import type { Range } from '../event/ranges.ts';
import type { Receipt } from '../event/receipt.ts';
import type { Source } from '../event/source.ts';
import type { DeliveryQueue } from '../delivery/delivery-queue.ts';
import { RoutingTable } from '../routing/table.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ChunkBuffer } from './chunk-buffer.ts';
import type { InputLedger } from './input-ledger.ts';

export interface RouteTarget {
  /** Name in the state. */
  stateName: string;
  queue: DeliveryQueue;
  matches: (tag: string) => boolean;
  /** False for outputs that read no record. */
  wantsBytes: boolean;
}

/** Where a batch comes from. */
export interface RouteOrigin {
  ledger: InputLedger;
  /** `storage.type: filesystem`. */
  filesystem: boolean;
}

export class Router {
  private readonly table: RoutingTable<RouteTarget>;
  private readonly buffer: ChunkBuffer;
  private readonly log: Logger;
  private readonly arrivals: Arrivals;

  /** `arrivals` is one for the whole life of the agent. */
  constructor(targets: readonly RouteTarget[], buffer: ChunkBuffer, log: Logger, arrivals: Arrivals) {
    this.table = new RoutingTable(targets.map((target) => ({ matches: target.matches, target })));
    this.buffer = buffer;
    this.log = log;
    this.arrivals = arrivals;
  }

  /** Hands a batch to the outputs of its tag. Never waits, never throws. */
  route(tag: string, batch: Batch, origin: RouteOrigin, receipt: Receipt | undefined): void {
    try {
      this.distribute(tag, batch, origin, receipt);
    } catch (error) {
      // Nothing was handed to anybody yet: encoding comes first. A filter has made something that is no JSON.
      const dropped = batch.retain((index) => isEncodable(batch, index));
      if (dropped === 0) throw error;
      origin.ledger.drop('unencodable', dropped);
      this.log.error({ tag, records: dropped, error }, 'Records that cannot be written as JSON are dropped');
      this.distribute(tag, batch, origin, receipt);
    }
  }

  private distribute(
    tag: string,
    batch: Batch,
    { ledger, filesystem }: RouteOrigin,
    receipt: Receipt | undefined,
  ): void {
    if (batch.length === 0) return;
    const targets = this.table.lookup(tag);
    if (targets.length === 0) {
      ledger.drop('no_route', batch.length);
      return;
    }
    const plan: { target: RouteTarget; records: readonly Range[] }[] = [];
    const routed = new Ranges();
    for (const target of targets) {
      const records = openRecords(batch, target.stateName);
      if (records.length === 0) continue;
      plan.push({ target, records });
      for (const [from, to] of records) routed.add(from, to);
    }
    const wantsBytes = filesystem || plan.some(({ target }) => target.wantsBytes);
    const chunk =
      plan.length === 0 ? undefined : encodeBatch(tag, batch, wantsBytes, performance.now(), this.arrivals);
    const count = routed.size;
    ledger.routed.value += count;
    ledger.skipped.value += batch.length - count;
    if (chunk === undefined) return;

    const held = this.buffer.hold(chunk);
    for (const { target, records } of plan) {
      const flight = target.queue.enqueue(held, records);
      batch.source?.launch(target.stateName, flight);
    }
    this.buffer.settleIn(held, { filesystem, receipt });
  }
}

/** The records of a batch that an output has not acknowledged before a restart. */
function openRecords(batch: Batch, output: string): readonly Range[] {
  const { source } = batch;
  if (source === undefined || !source.mayBeSettled(output, startOf(batch, 0))) return [[0, batch.length]];
  return unacknowledged(batch, source, output);
}

function unacknowledged(batch: Batch, source: Source, output: string): readonly Range[] {
  const open = new Ranges();
  for (let index = 0; index < batch.length; index++) {
    const stop = batch.base + (batch.stops[index] as number);
    if (!source.wasSettled(output, startOf(batch, index), stop)) open.add(index, index + 1);
  }
  return open.list;
}

function startOf(batch: Batch, index: number): number {
  return batch.base + (batch.starts[index] as number);
}

/** False for what JSON cannot hold: a cycle, or nesting beyond the stack. */
function isEncodable(batch: Batch, index: number): boolean {
  try {
    batch.json(index);
    return true;
  } catch {
    return false;
  }
}
