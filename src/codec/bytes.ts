/**
 * Where outputs put their bytes together: one growing buffer, filled by copies out of a chunk's NDJSON and by short texts.
 *
 * Copying bytes costs 50 ns a record where building a string and encoding it costs 200.
 */

const FIRST_SIZE = 64 * 1024;
/** A buffer doubles until it is this large, then grows by as much. */
const MOST_GROWTH = 512 * 1024;
/** A buffer that grew past this for one huge attempt is not kept for the next. */
const KEPT_SIZE = 8 * 1024 * 1024;
/** Sinks that a pool keeps unless told otherwise. */
const KEPT_SINKS = 2;

export class ByteSink {
  private buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  /** Bytes written so far. */
  length = 0;

  /** What was written; a view that is good until the sink is written to or handed back. */
  get bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  get capacity(): number {
    return this.buffer.length;
  }

  /** Makes room for `extra` more bytes; {@link raw} then takes that many without a check. */
  reserve(extra: number): void {
    const needed = this.length + extra;
    if (needed <= this.buffer.length) return;
    const grown = this.buffer.length + Math.min(this.buffer.length, MOST_GROWTH);
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, grown));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  /** The memory itself, for tight loops: reserve first, write from {@link length} on, then set `length`. */
  get raw(): Buffer {
    return this.buffer;
  }

  /** Appends text as UTF-8. */
  text(text: string): void {
    this.reserve(text.length * 3);
    this.length += this.buffer.write(text, this.length, 'utf8');
  }

  /** Appends text whose characters are bytes already. */
  latin1(text: string): void {
    this.reserve(text.length);
    this.length += this.buffer.write(text, this.length, 'latin1');
  }

  /** Appends the bytes of `source` from `start` to `stop`. */
  copy(source: Uint8Array & { copy: Buffer['copy'] }, start: number, stop: number): void {
    this.reserve(stop - start);
    this.length += source.copy(this.buffer, this.length, start, stop);
  }

  /** Appends one byte. */
  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }
}

/** Sinks in turn: as many as attempts run at once, a few kept between them. */
export class SinkPool {
  private readonly idle: ByteSink[] = [];
  private readonly kept: number;

  /** `kept` sinks are kept between attempts. */
  constructor(kept = KEPT_SINKS) {
    this.kept = kept;
  }

  /** An empty sink. */
  take(): ByteSink {
    const sink = this.idle.pop() ?? new ByteSink();
    sink.length = 0;
    return sink;
  }

  /** Hands a sink back: nobody reads its bytes any more. */
  give(sink: ByteSink): void {
    if (this.idle.length < this.kept && sink.capacity <= KEPT_SIZE) this.idle.push(sink);
  }
}
