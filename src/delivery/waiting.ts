/**
 * What waits for an output: in its lanes, ready to be sent, and behind them in the backlog, in memory or only on disk. One order through
 * both (DELIVERY.md, rule 16): the lanes are filled from the backlog, and what memory has no room for goes back there.
 */
import type { Logger } from '../telemetry/log.ts';
import { Backlog } from './backlog.ts';
import type { Flight } from './flight.ts';
import type { HeldChunk } from './held-chunk.ts';
import { Lanes } from './lanes.ts';
import type { OutputLedger } from './ledger.ts';
import { parcelBytes } from './parcel.ts';
import type { Parcel } from './parcel.ts';

export interface WaitingOptions {
  /** Name of the output in the state. */
  output: string;
  ledger: OutputLedger;
  log: Logger;
  /** Whether there is memory to read so many bytes back from disk. */
  mayLoad: (bytes: number) => boolean;
  /** Something was read back. */
  onLoaded: () => void;
}

/** Between two tries to read a chunk back that cannot be read. Milliseconds. */
const LOAD_RETRY_MS = 1000;

export class Waiting {
  lanes: Lanes;
  readonly backlog = new Backlog();
  /** Of what is in the lanes or being sent. */
  records = 0;
  bytes = 0;
  private readonly options: WaitingOptions;
  private loading: Promise<void> | undefined;
  private closed = false;

  constructor(order: 'none' | 'tag' | 'all', options: WaitingOptions) {
    this.options = options;
    this.lanes = new Lanes(order);
  }

  /** Records that wait or are being sent. */
  get total(): number {
    return this.records + this.backlog.records;
  }

  get totalBytes(): number {
    return this.bytes + this.backlog.bytes;
  }

  /** Takes a new flight in, whose chunk is in memory: what waits on disk comes first. */
  add(flight: Flight): void {
    if (this.backlog.empty) {
      this.raise(flight);
      return;
    }
    this.backlog.push(flight);
    flight.unpin();
  }

  /** A parcel is in nobody's hands here any more. */
  forget(parcel: Parcel): void {
    this.records -= parcel.to - parcel.from;
    this.bytes -= parcelBytes(parcel);
  }

  /** Goes on with lanes of another order. */
  reorder(order: 'none' | 'tag' | 'all'): void {
    const waiting = [...this.lanes.waiting()];
    this.lanes = new Lanes(order);
    for (const parcel of waiting) this.lanes.push(parcel);
    this.closed = false;
  }

  /** Appends a flight's open records to the lanes. */
  private raise(flight: Flight): void {
    const { attempts, firstTriedAt } = flight;
    for (const [from, to] of flight.openRanges) {
      const parcel: Parcel = { flight, from, to, attempts, firstTriedAt };
      this.records += to - from;
      this.bytes += parcelBytes(parcel);
      this.lanes.push(parcel);
    }
  }

  /**
   * Moves flights of these chunks out of the lanes, so that their memory can go once they are on disk. What is being sent at this
   * moment stays.
   */
  evict(chunks: ReadonlySet<HeldChunk>): void {
    let first = Number.POSITIVE_INFINITY;
    for (const held of chunks) {
      for (const flight of held.flights) if (this.mayGo(flight)) first = Math.min(first, held.id);
    }
    // What came later goes with them, on disk or not: it must not overtake them.
    const flights = new Set<Flight>();
    for (const { flight } of this.lanes.waiting()) {
      if (flight.held.id >= first && this.mayGo(flight)) flights.add(flight);
    }
    if (flights.size === 0) return;
    const moved = new Set<Flight>();
    for (const parcel of this.lanes.takeOut(flights)) {
      const { flight } = parcel;
      this.forget(parcel);
      flight.attempts = Math.max(flight.attempts, parcel.attempts);
      flight.firstTriedAt ||= parcel.firstTriedAt;
      moved.add(flight);
    }
    this.backlog.insert([...moved]);
    for (const flight of moved) flight.unpin();
  }

  private mayGo({ output, pinned, sending, deferred }: Flight): boolean {
    return output === this.options.output && pinned && sending === 0 && deferred === 0;
  }

  /**
   * Fills the lanes from the backlog, in order, until `enough`. What is only on disk is read if `mayRead`, one chunk at a time; then
   * `onLoaded` says that there is more.
   */
  refill(enough: () => boolean, mayRead: boolean): void {
    while (!this.backlog.empty && this.loading === undefined && !this.closed) {
      if (enough()) return;
      const flight = this.backlog.first() as Flight;
      const { held } = flight;
      if (held.pin()) {
        flight.pinned = true;
        this.backlog.shift();
        this.raise(flight);
        continue;
      }
      // With nothing in its hands an output may always read, however many others do.
      if (!mayRead || (this.records > 0 && !this.options.mayLoad(held.facts.bytes))) return;
      this.loading = this.load(flight).finally(() => {
        this.loading = undefined;
        this.options.onLoaded();
      });
    }
  }

  /** Reads a flight's chunk back and puts it into the lanes. Never rejects. */
  private async load(flight: Flight): Promise<void> {
    const { ledger } = this.options;
    const outcome = await this.read(flight);
    // A full disk that makes room, or a stop, may have taken it out meanwhile.
    const waits = this.backlog.first() === flight;
    if (outcome === 'read') {
      flight.pinned = true;
      if (!waits || this.closed) {
        flight.unpin();
        return;
      }
    }
    if (!waits || outcome === 'closed') return;
    this.backlog.shift();
    if (outcome === 'read') {
      this.raise(flight);
      return;
    }
    ledger.dropped(outcome).value += flight.openRecords;
    settleAll(flight);
  }

  private async read({ held }: Flight): Promise<'read' | 'damaged' | 'unreadable' | 'closed'> {
    const { log } = this.options;
    for (let tries = 1; !this.closed; tries++) {
      try {
        return (await held.load()) ? 'read' : 'damaged';
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
          log.error(
            { error, records: held.facts.records },
            'A file of the disk buffer is gone, and its records with it',
          );
          return 'unreadable';
        }
        // Descriptors or the disk may come back: nothing is given up for that.
        if (tries === 1)
          log.warn({ error }, 'Records cannot be read back from the disk buffer; it is tried again');
        await new Promise((resolve) => setTimeout(resolve, LOAD_RETRY_MS));
      }
    }
    return 'closed';
  }

  /** Drops the oldest records that wait on disk until so many bytes are free. Returns the bytes that went. */
  dropOldest(bytes: number): number {
    let gone = 0;
    const flights = this.backlog.remove((flight) => {
      if (gone >= bytes || !flight.isDurable || flight.pinned) return false;
      gone += flight.openBytes;
      return true;
    });
    for (const flight of flights) {
      this.options.ledger.dropped('buffer_full').value += flight.openRecords;
      settleAll(flight);
    }
    return gone;
  }

  /**
   * Settles what is neither on disk nor can be read again, and says so to whoever waits for it. Returns how many records that were, and
   * how many of the others are on disk.
   */
  abandon(): { dropped: number; onDisk: number } {
    let dropped = 0;
    let onDisk = 0;
    for (const parcel of this.lanes.waiting()) {
      const { flight, from, to } = parcel;
      if (flight.isDurable) onDisk += to - from;
      if (!flight.isLost) continue;
      dropped += to - from;
      flight.held.onGivenUp?.();
      this.forget(parcel);
      flight.settle(from, to);
    }
    for (const flight of this.backlog.remove(({ isLost }) => isLost)) {
      dropped += flight.openRecords;
      flight.held.onGivenUp?.();
      settleAll(flight);
    }
    for (const flight of this.backlog) if (flight.isDurable) onDisk += flight.openRecords;
    return { dropped, onDisk };
  }

  /** Flights with records in the lanes. */
  flightsUp(): Set<Flight> {
    return new Set([...this.lanes.waiting()].map(({ flight }) => flight));
  }

  /** Nothing is read any more; resolves when nothing is being read. */
  async close(): Promise<void> {
    this.closed = true;
    await this.loading;
  }
}

/** Every record of a flight that is in no parcel is settled. */
function settleAll(flight: Flight): void {
  flight.settle(0, flight.held.facts.records);
}
