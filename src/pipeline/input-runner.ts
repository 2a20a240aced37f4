/** A running input: the way of its batches through filters and router, and its backpressure. */
import type { InputAccount, MemoryBuffer } from '../buffer/memory.ts';
import type { InputInstance } from '../config/definition.ts';
import type { Batch } from '../event/batch.ts';
import type { Receipt } from '../event/receipt.ts';
import type { Emit, Input, LargestReservation, Reservation } from '../plugin.ts';
import { mainLoop } from '../telemetry/heartbeat.ts';
import type { FilterChain } from './filters.ts';
import type { InputLedger } from './input-ledger.ts';
import type { Router } from './router.ts';

/** Of its memory, an input may keep one part in so many for records that are not complete: nothing would come of it while it waits. */
const KEPT_SHARE = 4;

/** What batches flow through; exchanged as a whole by a reload. */
export interface Flow {
  filters: FilterChain;
  router: Router;
}

export class InputRunner {
  readonly instance: InputInstance;
  readonly fingerprint: string;
  readonly ledger: InputLedger;
  readonly account: InputAccount;
  /** Set right after creation: the plugin's factory needs a context that needs the runner. */
  input: Input | undefined;
  /** It called `finished`; `exit` and `code` as it said. */
  finished: { exit: boolean; code: number } | undefined;
  /** Monotonic milliseconds since when the batch in front is in asynchronous filters; undefined when there is none. */
  pendingSince: number | undefined;
  /** Of the main loop, from when a batch was taken until something else begins: the input reads and parses then. */
  private readonly mark: number;
  private readonly memory: MemoryBuffer;
  private readonly flow: () => Flow;
  private readonly serviceFilesystem: () => boolean;
  private stopped = false;
  /** Bytes of records that are not complete. */
  private kept = 0;
  /** The batch that asynchronous filters are at work on; later ones wait for it. */
  private pending: Promise<void> | undefined;

  constructor(options: {
    instance: InputInstance;
    fingerprint: string;
    ledger: InputLedger;
    account: InputAccount;
    memory: MemoryBuffer;
    flow: () => Flow;
    /** Whether inputs that say nothing themselves have the disk buffer. */
    serviceFilesystem: () => boolean;
  }) {
    this.instance = options.instance;
    this.fingerprint = options.fingerprint;
    this.ledger = options.ledger;
    this.account = options.account;
    this.memory = options.memory;
    this.flow = options.flow;
    this.serviceFilesystem = options.serviceFilesystem;
    this.mark = mainLoop.stage(`input ${options.instance.name}`);
  }

  get name(): string {
    return this.instance.name;
  }

  /** Its chunks go to disk. */
  get filesystem(): boolean {
    const { storageType } = this.instance;
    return storageType === undefined ? this.serviceFilesystem() : storageType === 'filesystem';
  }

  readonly emit: Emit = (tag, batch, receipt) => {
    if (this.stopped) return undefined;
    this.ledger.read.value += batch.length;
    batch.input = this.name;
    if (this.pending !== undefined) {
      batch.detach();
      return this.behind(this.pending, tag, batch, receipt);
    }
    const end = endOf(batch);
    const flow = this.flow();
    const filtering = flow.filters.process(tag, batch);
    if (filtering !== undefined) return this.behind(filtering, tag, batch, receipt, end);
    this.finish(tag, batch, receipt, end);
    return this.memory.room(this.account);
  };

  /** Sets memory aside for what is about to be read; undefined when there is no room. */
  reserve(bytes: number): Reservation | undefined {
    if (this.stopped || !this.memory.reserve(bytes, this.account)) return undefined;
    let held = bytes;
    return {
      release: () => {
        this.memory.giveBack(held, this.account);
        held = 0;
      },
    };
  }

  largestReservation(): LargestReservation {
    const { bytes, own } = this.memory.mostReservable(this.account);
    return { bytes, option: own ? 'mem_buf_limit' : 'service.memory_limit' };
  }

  /** Counts what the input keeps of records that are not complete; false when that is more than its share. */
  keep(bytes: number): boolean {
    if (bytes < 0) this.memory.release(-bytes, this.account);
    else this.memory.charge(bytes, this.account);
    this.kept += bytes;
    return this.kept <= this.account.limit / KEPT_SHARE;
  }

  /** No batch is taken from now on. */
  close(): void {
    this.stopped = true;
  }

  /** Resolves when no batch is in an asynchronous filter any more. */
  async settle(): Promise<void> {
    while (this.pending !== undefined) await this.pending;
  }

  /** Takes the batch to its end after `before`; filters it first unless `end` says that `before` is its filtering. */
  private behind(
    before: Promise<void>,
    tag: string,
    batch: Batch,
    receipt: Receipt | undefined,
    end?: number,
  ): Promise<void> {
    if (this.pending === undefined) this.pendingSince = performance.now();
    this.ledger.wait(batch);
    const work = before.then(async () => {
      const stop = end ?? endOf(batch);
      if (end === undefined) await this.flow().filters.process(tag, batch);
      this.ledger.done(batch);
      this.finish(tag, batch, receipt, stop);
    });
    const pending = work.finally(() => {
      this.ledger.done(batch);
      const last = this.pending === pending;
      this.pendingSince = last ? undefined : performance.now();
      if (last) this.pending = undefined;
    });
    this.pending = pending;
    return pending.then(() => this.memory.room(this.account));
  }

  private finish(tag: string, batch: Batch, receipt: Receipt | undefined, end: number): void {
    this.flow().router.route(tag, batch, this, receipt);
    const { source } = batch;
    if (source !== undefined) {
      if (source.inBytes) this.ledger.bytes.value += Math.max(0, end - source.emitted);
      source.advance(end);
    }
    receipt?.release();
    mainLoop.enter(this.mark);
  }
}

/** Offset behind the last event of a batch, before filters take any away. */
function endOf(batch: Batch): number {
  return batch.length === 0 ? 0 : batch.base + (batch.stops[batch.length - 1] as number);
}
