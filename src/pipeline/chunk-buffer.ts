/**
 * The buffer of a pipeline (DELIVERY.md, rules 11 to 17): keeps account of the chunks that queues hold, and moves them between memory
 * and disk.
 *
 *   filesystem inputs      every chunk goes to disk, lazily: what all outputs have before a second is over is never written
 *   an answer is awaited   the chunk goes to disk at once, and the answer after the sync
 *   an output gathers      the chunk goes to disk, lazily where it can be read again (rule 26)
 *   memory is short        chunks that only slow or dead outputs still need go to disk, and are read back in their order
 *
 * Memory is short some time before the limit, so that an output that does well is not held up by one that does not. Where every output is stuck
 * and the source can be read again, nothing is moved: the input waits.
 */
import type { DiskStore, StoredChunk, Urgency } from '../buffer/disk/store.ts';
import { setTimeout as pause } from 'node:timers/promises';
import type { Manifests } from '../buffer/disk/manifests.ts';
import { readKnownOutputs, writeKnownOutputs } from '../buffer/disk/known-outputs.ts';
import type { InputAccount, MemoryBuffer } from '../buffer/memory.ts';
import type { Flight } from '../delivery/flight.ts';
import { HeldChunk, ID_STEP } from '../delivery/held-chunk.ts';
import type { DiskCopy, Keeper } from '../delivery/held-chunk.ts';
import type { ObjectShelf } from '../delivery/gather/options.ts';
import type { Parcel } from '../delivery/parcel.ts';
import type { DeliveryQueue } from '../delivery/delivery-queue.ts';
import type { WhenSafe } from '../delivery/undeliverable.ts';
import type { Chunk } from '../event/chunk.ts';
import type { Receipt } from '../event/receipt.ts';
import type { Source } from '../event/source.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { DiskRoom } from './disk-room.ts';
import type { BufferedOutput, DiskLimits } from './disk-room.ts';
import { isShort, Shortage } from './shortage.ts';

export interface ChunkBufferOptions {
  memory: MemoryBuffer;
  log: Logger;
  metrics: Metrics;
  /** Opens the disk; undefined where there is no place for it. */
  open: (() => DiskStore) | undefined;
  limits: () => DiskLimits;
  outputs: () => readonly BufferedOutput[];
  /** The account of an input. */
  account: (input: string) => InputAccount | undefined;
}

/** What an input wants for its chunks. */
export interface Wish {
  filesystem: boolean;
  receipt: Receipt | undefined;
}

/** A queue with less than this waiting is not what memory is short of. Share of the limit. */
const HUNGRY_SHARE = 0.25;
/** Between two looks at what could go. Milliseconds. */
const LOOK_MS = 20;
/** Between two tries to open the disk. Milliseconds. */
const OPEN_AGAIN_MS = 5000;

export class ChunkBuffer implements Keeper {
  private readonly options: ChunkBufferOptions;
  private disk: DiskStore | undefined;
  private nextId = Date.now() * 1000;
  /** All chunks that some queue has. */
  private readonly chunks = new Map<number, HeldChunk>();
  /** Those that are in memory, in the order in which they came there. */
  private readonly up = new Set<HeldChunk>();
  /** Those that should be on disk and are not yet. */
  private readonly wanting = new Set<HeldChunk>();
  private lookedAt = Number.NEGATIVE_INFINITY;
  private looking: NodeJS.Timeout | undefined;
  private readonly room: DiskRoom;
  private openFailedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ChunkBufferOptions) {
    this.options = options;
    this.room = new DiskRoom(options);
  }

  /** Opens the disk now. Throws BufferVersionError, and what the file system throws. */
  openDisk(): DiskStore | undefined {
    if (this.disk !== undefined || this.options.open === undefined) return this.disk;
    this.disk = this.options.open();
    this.disk.onRoom = () => this.storeWanting();
    this.nextId = Math.max(this.nextId, this.disk.takeId());
    return this.disk;
  }

  /** By source and output, the ranges of bytes that the disk held when it was opened. */
  get origins(): DiskStore['origins'] {
    return this.disk?.origins ?? new Map();
  }

  /** The disk, opened when it is first needed; undefined where there is none. */
  private diskNow(): DiskStore | undefined {
    const now = performance.now();
    if (this.disk === undefined && now - this.openFailedAt < OPEN_AGAIN_MS) return undefined;
    try {
      const wasOpen = this.disk !== undefined;
      const disk = this.openDisk();
      if (!wasOpen) this.rememberOutputs();
      return disk;
    } catch (error) {
      if (this.openFailedAt === Number.NEGATIVE_INFINITY) {
        this.options.log.error(
          { error },
          'The disk buffer cannot be opened; chunks stay in memory, inputs wait when that is full, and it is tried again',
        );
      }
      this.openFailedAt = now;
      return undefined;
    }
  }

  // ---------------------------------------------------------------- accounts

  charge(held: HeldChunk, bytes: number): void {
    const { memory, account } = this.options;
    if (bytes > 0) this.up.add(held);
    else this.up.delete(held);
    if (held.readBack) {
      memory.chargeBack(bytes);
      return;
    }
    const own = account(held.facts.input);
    if (own !== undefined) own.chunks += bytes > 0 ? 1 : -1;
    if (bytes > 0) memory.charge(bytes, own);
    else memory.release(-bytes, own);
  }

  gone(held: HeldChunk): void {
    this.chunks.delete(held.id);
    this.wanting.delete(held);
  }

  /** Takes a new chunk in; it is launched to its outputs next, then {@link settleIn} is called. */
  hold(chunk: Chunk): HeldChunk {
    this.nextId += ID_STEP;
    const held = HeldChunk.ofMemory(this.nextId, chunk, this);
    this.chunks.set(held.id, held);
    return held;
  }

  /** The chunk is in all its queues: it goes where its input wants it, and what memory has no room for goes to disk. */
  settleIn(held: HeldChunk, { filesystem, receipt }: Wish): void {
    if (receipt !== undefined) {
      receipt.hold();
      held.onGivenUp = () => receipt.giveUp();
      held.whenSafe(() => receipt.release());
    }
    held.filesystem = filesystem;
    if (filesystem || held.isStaged) this.store(held, held.canBeReadAgain ? 'lazy' : 'soon', false);
    else if (receipt !== undefined && this.options.limits().overflow) this.store(held, 'now', true);
    const { memory, limits, account } = this.options;
    const own = account(held.facts.input);
    if (
      isShort(memory) ||
      (own !== undefined && isShort(own)) ||
      (filesystem && this.up.size > limits().maxChunksUp)
    ) {
      this.relieve();
    }
  }

  /** A chunk of its own for a flight's open records (rule 17). */
  rest(flight: Flight): HeldChunk | undefined {
    const id = flight.held.restId();
    if (id === undefined) return undefined;
    const rest = HeldChunk.ofMemory(id, flight.chunk.extract(flight.openRanges), this);
    rest.onGivenUp = flight.held.onGivenUp;
    this.chunks.set(id, rest);
    if (flight.held.copy !== undefined) {
      // Its frame can only go when the rest has one.
      queueMicrotask(() => this.store(rest, 'lazy', true));
    } else if (this.wanting.has(flight.held)) {
      this.wanting.add(rest);
    }
    return rest;
  }

  /** Whether so many bytes may be read back beside what is there. */
  mayLoad(bytes: number): boolean {
    const { memory, limits } = this.options;
    return memory.back + bytes <= Math.min(limits().backlogMemory, memory.reserved);
  }

  // ---------------------------------------------------------------- to disk

  /** Puts a chunk on disk; without room it stays in memory and is tried again. */
  private store(held: HeldChunk, urgency: Urgency, overflow: boolean): boolean {
    if (held.copy !== undefined || held.durable || held.flights.size === 0) return true;
    const { chunk } = held;
    if (chunk.ends.length !== chunk.length) return false;
    const disk = this.diskNow();
    if (disk === undefined) return false;
    if (!this.room.make(held, disk, overflow || isShared(held))) {
      if (!overflow || held.onGivenUp !== undefined) this.wanting.add(held);
      if (held.isStaged) this.press(held);
      return false;
    }
    this.wanting.delete(held);
    const plugins = new Map(this.options.outputs().map(({ queue, plugin }) => [queue.stateName, plugin]));
    const stored = disk.put(
      chunk,
      [...held.flights].map(({ output, openRanges, openRecords }) => ({
        output,
        plugin: plugins.get(output) ?? '',
        ...(openRecords === chunk.length
          ? {}
          : { open: openRanges.map(([from, to]): [number, number] => [from, to]) }),
      })),
      { id: held.id, urgency, overflow, onDurable: () => held.becomeDurable() },
    );
    held.copy = copyOf(disk, stored);
    return true;
  }

  /** Those that gather it must let go of something. */
  private press({ flights }: HeldChunk): void {
    const names = new Set([...flights].map(({ output }) => output));
    for (const { queue } of this.options.outputs()) if (names.has(queue.stateName)) queue.press();
  }

  /** Tries again what found no room. */
  private storeWanting(): void {
    for (const held of this.wanting) this.store(held, 'now', held.onGivenUp !== undefined);
  }

  /** Memory is short, or somebody waits for it: chunks go to disk that only slow or dead outputs still need. */
  relieve(): void {
    if (this.options.open === undefined || this.looking !== undefined) return;
    const wait = this.lookedAt + LOOK_MS - performance.now();
    if (wait <= 0) this.look();
    else {
      this.looking = setTimeout(() => {
        this.looking = undefined;
        this.look();
      }, wait);
    }
  }

  private look(): void {
    this.lookedAt = performance.now();
    const { memory, limits, outputs } = this.options;
    const { overflow, maxChunksUp } = limits();
    const shortage = new Shortage(memory, this.up, this.options.account);
    const hungry = new Set(
      outputs()
        .filter(({ queue }) => queue.isHungry(shortage.smallestLimit * HUNGRY_SHARE))
        .map(({ queue }) => queue.stateName),
    );
    const onDisk: HeldChunk[] = [];
    const blocked = new Set<string>();
    let copies = 0;
    // The oldest first: were a later chunk of a tag on disk alone, a crash would turn them round, for the others are read again.
    for (const held of this.up) {
      const { tag, input } = held.facts;
      if (held.copy !== undefined) copies++;
      if ([...held.flights].some(({ output }) => hungry.has(output))) {
        // It will be sent at once.
        if (held.copy === undefined) blocked.add(tag);
        continue;
      }
      if (held.copy === undefined) {
        // What nobody but the stuck need waits in its source, if it has one and all are stuck (rule 16); unless it takes the room of what has none.
        const waits = hungry.size === 0 && held.canBeReadAgain && memory.wanted === 0;
        const mayGo = shortage.concerns(input) && overflow && !waits && !blocked.has(tag);
        if (!mayGo || !this.store(held, 'now', true)) {
          blocked.add(tag);
          continue;
        }
      }
      onDisk.push(held);
    }
    let tooMany = copies - maxChunksUp;
    const evicted = new Set<HeldChunk>();
    // The newest are needed last.
    for (const held of onDisk.toReversed()) {
      if (!shortage.take(held) && tooMany <= 0) continue;
      evicted.add(held);
      tooMany--;
    }
    if (evicted.size === 0) return;
    this.disk?.hasten('now');
    for (const { queue } of outputs()) queue.evict(evicted);
  }

  /** An attempt is over: if an input waits, it may be helped now. */
  afterAttempt(): void {
    const { memory } = this.options;
    if (memory.isWaitedFor || isShort(memory)) this.relieve();
  }

  /** Moves what was read of a source and is not safe to disk. True when all of it is durable or settled. */
  async secure(source: Source): Promise<boolean> {
    const chunks = [...this.up].filter((held) => held.source === source && !held.durable);
    for (const held of chunks) if (!this.store(held, 'now', true)) return source.settled;
    await this.disk?.flush();
    // Its memory can go now, if somebody waits for that.
    this.afterAttempt();
    return source.settled;
  }

  /** At a stop: what cannot be read again goes to disk. Resolves when it is there, or cannot be. */
  async spool(): Promise<void> {
    for (const held of this.up) if (!held.canBeReadAgain && !held.durable) this.store(held, 'now', true);
    await this.disk?.flush();
  }

  // ---------------------------------------------------------------- from disk

  /** Hands what is on disk for an output to its queue. */
  recover(queue: DeliveryQueue, recovered: (input: string, records: number) => void): void {
    const { disk } = this;
    if (disk === undefined) return;
    const found: { held: HeldChunk; records: readonly [number, number][] }[] = [];
    for (const stored of disk.all()) {
      const records = stored.openFor(queue.stateName);
      if (records.length === 0) continue;
      let held = this.chunks.get(stored.id);
      if (held !== undefined && [...held.flights].some(({ output }) => output === queue.stateName)) continue;
      if (held === undefined) {
        const { tag, input, records: count, bytes, arrived } = stored.description;
        const arrivedAt = performance.now() - Math.max(0, Date.now() - arrived);
        held = HeldChunk.ofDisk(
          stored.id,
          { tag, input, records: count, bytes, arrivedAt },
          copyOf(disk, stored),
          this,
        );
        this.chunks.set(stored.id, held);
        recovered(input, count);
      }
      found.push({ held, records });
    }
    queue.recover(found);
  }

  /** Names of outputs that have something on disk, with the plugin that they were of. */
  storedOutputs(): Map<string, string> {
    const names = new Map<string, string>();
    for (const stored of this.disk?.all() ?? []) {
      const open = new Set(stored.outputs());
      for (const { output, plugin } of stored.description.targets) {
        if (open.has(output)) names.set(output, plugin);
      }
    }
    return names;
  }

  /** Which outputs were there when the disk was written last; undefined when nobody knows. */
  knownOutputs(): Map<string, string> | undefined {
    return this.disk === undefined ? undefined : readKnownOutputs(this.disk.directory);
  }

  /** Writes down which outputs there are: the next run must know who is new. */
  rememberOutputs(): void {
    if (this.disk === undefined) return;
    const outputs = this.options
      .outputs()
      .map(({ queue, plugin }): [string, string] => [queue.stateName, plugin]);
    try {
      writeKnownOutputs(this.disk.directory, new Map([...this.storedOutputs(), ...outputs]));
    } catch (error) {
      this.options.log.warn({ error }, 'Which outputs there are cannot be written beside the disk buffer');
    }
  }

  /** What is on disk for outputs goes to others. */
  rename(names: ReadonlyMap<string, string>): void {
    if (names.size > 0) this.disk?.rename(names);
  }

  // ---------------------------------------------------------------- objects

  /** Where an output's objects are staged; undefined where there is no disk. */
  shelf(output: string, log: Logger): ObjectShelf | undefined {
    if (this.options.open === undefined) return undefined;
    let manifests: Manifests | undefined;
    /** Sequences of objects whose manifests may go. */
    const settled = new Set<number>();
    const opened = (): Manifests => {
      const disk = this.diskNow();
      if (disk === undefined) throw new Error('The disk buffer cannot be opened.');
      return (manifests ??= disk.manifests(output));
    };
    return {
      read: () => {
        if (this.disk === undefined) return { open: [], done: [], last: 0 };
        const { damaged, ...found } = opened().read();
        for (const file of damaged) {
          log.error(
            { file },
            'The manifest of an object is damaged: its records go into a new one, and may arrive twice',
          );
        }
        return found;
      },
      stage: (chunks) => this.stage(chunks),
      write: async (manifest) => opened().write(manifest),
      acknowledge: async (manifest, delivered) => opened().acknowledge(manifest, delivered),
      settled: async (sequence) => {
        settled.add(sequence);
        // What is settled meanwhile is not in what is synced now.
        const before = new Set(settled);
        if ((await this.disk?.progressSynced()) !== true) return;
        try {
          for (const gone of await opened().tidy(before)) settled.delete(gone);
        } catch (error) {
          log.warn({ error }, 'Manifests of objects that were sent cannot be deleted');
        }
      },
    };
  }

  /** Makes chunks durable. False when the disk does not take one of them. */
  private async stage(chunks: readonly HeldChunk[]): Promise<boolean> {
    const open = chunks.filter((held) => !held.durable);
    for (const held of open) if (!this.store(held, 'now', false)) return false;
    this.disk?.hasten('now');
    const safe = Promise.all(open.map((held) => new Promise<void>((resolve) => held.whenSafe(resolve))));
    const over = new AbortController();
    await Promise.race([safe, this.failure(over.signal)]);
    over.abort();
    return open.every((held) => held.durable);
  }

  /** Resolves when the disk is failing, or `over` was aborted. */
  private async failure(over: AbortSignal): Promise<void> {
    while (!over.aborted && this.disk?.isFailing === false) {
      await pause(LOOK_MS, undefined, { signal: over }).catch(() => undefined);
    }
  }

  /** Records on disk for outputs that are not there, by output. */
  orphans(present: ReadonlyMap<string, string>): Map<string, number> {
    const records = new Map<string, number>();
    for (const stored of this.disk?.all() ?? []) {
      for (const output of stored.outputs()) {
        if (present.has(output)) continue;
        const open = stored.openFor(output).reduce((sum, [from, to]) => sum + to - from, 0);
        records.set(output, (records.get(output) ?? 0) + open);
      }
    }
    return records;
  }

  /** Hands records to another output's queue, in chunks of their own. Calls back when they are safe there. */
  handOver(parcels: readonly Parcel[], queue: DeliveryQueue): WhenSafe {
    const made = parcels.map(({ flight, from, to }) => {
      const held = this.hold(flight.chunk.extract([[from, to]]).detach());
      queue.enqueue(held, [[0, to - from]]);
      const { isStaged } = held;
      if (isStaged || this.options.limits().overflow) this.store(held, 'soon', !isStaged);
      return held;
    });
    return (callback) => {
      let open = made.length;
      let lost = false;
      for (const held of made) {
        held.onGivenUp = () => {
          lost = true;
        };
        held.whenSafe(() => {
          open--;
          if (open === 0 && !lost) callback();
        });
      }
    };
  }

  // ---------------------------------------------------------------- life

  /** Why nothing more goes to disk, a sentence; undefined while it does. */
  get problem(): string | undefined {
    return this.room.problem;
  }

  writeProgress(): void {
    this.disk?.writeProgress();
  }

  /** Once a second. */
  async tick(): Promise<void> {
    if (this.wanting.size > 0) this.storeWanting();
    if (this.options.memory.isWaitedFor) this.relieve();
    if (this.disk !== undefined && this.wanting.size === 0) this.room.refresh(this.disk);
    await this.disk?.tick();
  }

  async close(): Promise<void> {
    clearTimeout(this.looking);
    await this.disk?.close();
  }
}

/** One output gathers it, and another one needs it too: should that be dead, the chunk stays on disk for its sake alone. */
function isShared({ filesystem, isStaged, flights }: HeldChunk): boolean {
  return isStaged && !filesystem && [...flights].some(({ staged }) => !staged);
}

function copyOf(disk: DiskStore, stored: StoredChunk): DiskCopy {
  return {
    get busy() {
      return stored.busy;
    },
    becomeOverflow: () => disk.becomeOverflow(stored),
    settle: (output, from, to) => disk.settle(stored, output, from, to),
    read: () => disk.read(stored),
  };
}
