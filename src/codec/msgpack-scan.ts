/**
 * Finds where a MessagePack value ends, while its bytes arrive: nothing is built, nothing is read twice, and what a length claims is
 * held against a limit before anybody makes room for it.
 *
 * Source: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { MsgpackError } from './msgpack-reader.ts';

export class MsgpackScanner {
  /** A value has begun, and its end was not found yet. */
  private inside = false;
  /** Values that are still to come, those inside of what has begun included. */
  private open = 0;
  /** Bytes of the value that were stepped over; of its last text maybe more than have come. */
  private passed = 0;
  private readonly limit: number;

  /** `limit`: bytes that a value may have. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes that the value which has begun will have at least; 0 between two values. */
  get least(): number {
    return this.inside ? this.passed + this.open : 0;
  }

  /**
   * Goes on with the value that begins at `start`, and says where it ends; -1 when its end has not come yet: then call again with the value
   * at `start` of a buffer that holds more of it. Throws {@link MsgpackError} for what is no MessagePack, {@link TooLongError} for a value
   * that is, or will be, over the limit.
   */
  end(bytes: Buffer, start: number): number {
    if (!this.inside) {
      this.inside = true;
      this.open = 1;
      this.passed = 0;
    }
    const available = bytes.length - start;
    while (this.open > 0 && this.passed < available) {
      const size = this.step(bytes, start + this.passed);
      if (size === 0) break;
      this.passed += size;
    }
    // Each value that is still to come has a byte at least.
    if (this.passed + this.open > this.limit) throw new TooLongError(this.limit);
    if (this.open > 0 || this.passed > available) return -1;
    this.inside = false;
    return start + this.passed;
  }

  /** The bytes of the head at `at`, and of the text or number behind it; 0 when the head is not all there. */
  private step(bytes: Buffer, at: number): number {
    const head = bytes[at] as number;
    if (head <= 0x7f || head >= 0xe0) return this.value(1);
    if (head <= 0x8f) return this.container(1, (head & 0x0f) * 2);
    if (head <= 0x9f) return this.container(1, head & 0x0f);
    if (head <= 0xbf) return this.value(1 + (head & 0x1f));
    if (head === 0xc1) throw new MsgpackError(`The byte 0xc1 has no meaning, at byte ${this.passed}.`);
    const width = WIDTHS[head - 0xc0] as number;
    const kind = KINDS[head - 0xc0] as number;
    if (kind === FIXED) return this.value(1 + width);
    if (at + 1 + width > bytes.length) return 0;
    const length = bytes.readUIntBE(at + 1, width);
    if (kind === LIST) return this.container(1 + width, length);
    if (kind === MAP) return this.container(1 + width, length * 2);
    return this.value(1 + width + length + (kind === EXTENSION ? 1 : 0));
  }

  private value(size: number): number {
    this.open--;
    return size;
  }

  private container(size: number, values: number): number {
    this.open += values - 1;
    return size;
  }
}

/** A value is longer than it may be. */
export class TooLongError extends Error {
  override name = 'TooLongError';

  constructor(limit: number) {
    super(`The message has more than ${limit} bytes.`);
  }
}

/** What the heads from 0xc0 to 0xdf are. */
const FIXED = 0;
const SIZED = 1;
const EXTENSION = 2;
const LIST = 3;
const MAP = 4;
const KINDS = new Uint8Array(32);
for (const head of [0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb]) KINDS[head - 0xc0] = SIZED;
for (const head of [0xc7, 0xc8, 0xc9]) KINDS[head - 0xc0] = EXTENSION;
for (const head of [0xdc, 0xdd]) KINDS[head - 0xc0] = LIST;
for (const head of [0xde, 0xdf]) KINDS[head - 0xc0] = MAP;
/** Bytes behind them: of a fixed value all, of others those of its length. */
const WIDTHS = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 1, 2, 4, 2, 4, 2, 4,
];
