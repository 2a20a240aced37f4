/**
 * Reads MessagePack into values of records, with 64-bit integers exact.
 *
 * Its own reader, because what it reads comes from strangers: nothing is allocated by a length that the input claims and does not
 * have, depth is bounded, and every key is a key. The library makes an array of the claimed length first (five bytes cost a quarter
 * of a gigabyte, and nest), and refuses the key `__proto__`.
 *
 * Extension types: 0 is Fluentd's EventTime, -1 the timestamp of the specification; inside a record both become seconds. The data
 * of any other is base64 text. Binary data is taken for UTF-8 text.
 *
 * Source: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { valueToJson } from '../event/json.ts';
import { setKey } from '../event/record.ts';
import type { LogRecord, Value } from '../event/record.ts';

/** Lists and maps inside each other, as for JSON. */
export const MAX_DEPTH = 64;
/** Lists and maps. */
const TELL_EVERY = 1024;
/** So many items of a list, or pairs of a map, take as much as one. */
const ITEMS_PER_CONTAINER = 4;
const BROKEN_OFF = 'The bytes end in the middle of a value';
const EVENT_TIME = 0;
const TIMESTAMP = -1;

/** What a value is, by its first byte. */
export type MsgpackKind = 'map' | 'list' | 'number' | 'extension' | 'bytes' | 'nil' | 'other' | 'end';

/** The bytes are no MessagePack, or more than is allowed. The message is a sentence. */
export class MsgpackError extends Error {
  override name = 'MsgpackError';
}

/** Told, now and then, that lists and maps were made of the bytes, so many more, their items counted in: they take more memory than the bytes do. It may throw. */
export interface ContainerAccount {
  built(containers: number): void;
}

export class MsgpackReader {
  /** Where the next value starts. May be set back to one that was read before. */
  offset = 0;
  /** The time that `readTime` read: Unix seconds. */
  seconds = 0;
  /** 0 to 999,999,999. */
  nanos = 0;
  readonly bytes: Buffer;
  private depth = 0;
  /** Made since the account was told. */
  private containers = 0;
  /** A list or map that is a key is being read. */
  private inKey = false;
  private readonly account: ContainerAccount | undefined;

  constructor(bytes: Buffer, account?: ContainerAccount) {
    this.bytes = bytes;
    this.account = account;
  }

  /** What comes next. Reads nothing. */
  peek(): MsgpackKind {
    if (this.offset >= this.bytes.length) return 'end';
    const head = this.bytes[this.offset] as number;
    if (head <= 0x7f || head >= 0xe0) return 'number';
    if (head <= 0x8f || head === 0xde || head === 0xdf) return 'map';
    if (head <= 0x9f || head === 0xdc || head === 0xdd) return 'list';
    if (head <= 0xbf || (head >= 0xc4 && head <= 0xc6) || (head >= 0xd9 && head <= 0xdb)) return 'bytes';
    if (head === 0xc0) return 'nil';
    if (head >= 0xca && head <= 0xd3) return 'number';
    if ((head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8)) return 'extension';
    return 'other';
  }

  /** Reads the head of a list and returns its length; its items follow. Throws {@link MsgpackError}. */
  readListHead(): number {
    const head = this.byte();
    if ((head & 0xf0) === 0x90) return this.within(head & 0x0f, 1);
    if (head === 0xdc) return this.within(this.uint(2), 1);
    if (head === 0xdd) return this.within(this.uint(4), 1);
    throw this.error('A list is expected');
  }

  /** Reads the head of a map and returns how many pairs follow. Throws {@link MsgpackError}. */
  readMapHead(): number {
    const head = this.byte();
    if ((head & 0xf0) === 0x80) return this.within(head & 0x0f, 2);
    if (head === 0xde) return this.within(this.uint(2), 2);
    if (head === 0xdf) return this.within(this.uint(4), 2);
    throw this.error('A map is expected');
  }

  /** Reads a text or binary data as it is; a view. Throws {@link MsgpackError}. */
  readBytes(): Buffer {
    const length = this.readBytesHead();
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  /** Reads the head of a text or of binary data and returns its length, which is there. Throws {@link MsgpackError}. */
  readBytesHead(): number {
    const head = this.byte();
    let length: number;
    if ((head & 0xe0) === 0xa0) length = head & 0x1f;
    else if (head === 0xc4 || head === 0xd9) length = this.uint(1);
    else if (head === 0xc5 || head === 0xda) length = this.uint(2);
    else if (head === 0xc6 || head === 0xdb) length = this.uint(4);
    else throw this.error('A text is expected');
    if (length > this.bytes.length - this.offset) throw this.error(BROKEN_OFF);
    return length;
  }

  /** Reads a time, a number of seconds or a time extension, into `seconds` and `nanos`. Throws {@link MsgpackError}. */
  readTime(): void {
    if (this.peek() === 'number') {
      const value = Number(this.read());
      if (!Number.isFinite(value)) throw this.error('A time is expected');
      this.seconds = Math.floor(value);
      // A double has no exact nanoseconds; rounding may carry into the next second.
      this.nanos = Math.min(Math.round((value - this.seconds) * 1e9), 999_999_999);
    } else if (this.peek() !== 'extension' || !this.extensionTime(this.extension())) {
      throw this.error('A time is expected');
    }
  }

  /** Reads a value. Throws {@link MsgpackError}. */
  read(): Value {
    const head = this.byte();
    if (head <= 0x7f) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head <= 0x8f) return this.map(this.within(head & 0x0f, 2));
    if (head <= 0x9f) return this.list(this.within(head & 0x0f, 1));
    if (head <= 0xbf) return this.text(head & 0x1f);
    return this.readLong(head);
  }

  private readLong(head: number): Value {
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xd9:
        return this.text(this.uint(1));
      case 0xc5:
      case 0xda:
        return this.text(this.uint(2));
      case 0xc6:
      case 0xdb:
        return this.text(this.uint(4));
      case 0xca:
        return this.bytes.readFloatBE(this.take(4));
      case 0xcb:
        return this.bytes.readDoubleBE(this.take(8));
      case 0xcc:
        return this.uint(1);
      case 0xcd:
        return this.uint(2);
      case 0xce:
        return this.uint(4);
      case 0xcf:
        return exact(this.bytes.readBigUInt64BE(this.take(8)));
      case 0xd0:
        return this.bytes.readInt8(this.take(1));
      case 0xd1:
        return this.bytes.readInt16BE(this.take(2));
      case 0xd2:
        return this.bytes.readInt32BE(this.take(4));
      case 0xd3:
        return exact(this.bytes.readBigInt64BE(this.take(8)));
      case 0xdc:
        return this.list(this.within(this.uint(2), 1));
      case 0xdd:
        return this.list(this.within(this.uint(4), 1));
      case 0xde:
        return this.map(this.within(this.uint(2), 2));
      case 0xdf:
        return this.map(this.within(this.uint(4), 2));
      case 0xc1:
        throw this.error('The byte 0xc1 has no meaning');
      default:
        this.offset--;
        return this.extensionValue();
    }
  }

  private list(length: number): Value[] {
    this.enter(length);
    const list: Value[] = [];
    for (let index = 0; index < length; index++) list.push(this.read());
    this.depth--;
    return list;
  }

  private map(length: number): LogRecord {
    this.enter(length);
    const map: LogRecord = {};
    for (let index = 0; index < length; index++) setKey(map, this.key(), this.read());
    this.depth--;
    return map;
  }

  /** Reads a key of a map; what is no text is its JSON. Throws {@link MsgpackError}. */
  key(): string {
    const kind = this.peek();
    if (kind !== 'map' && kind !== 'list') {
      const key = this.read();
      return typeof key === 'string' ? key : valueToJson(key);
    }
    // JSON as a key within JSON: its quotes double each time, so that a few bytes would come to gigabytes.
    if (this.inKey) throw this.error('The key of a map is a list or map that has such a key itself');
    this.inKey = true;
    const key = valueToJson(this.read());
    this.inKey = false;
    return key;
  }

  private enter(items: number): void {
    this.containers += 1 + items / ITEMS_PER_CONTAINER;
    if (this.containers >= TELL_EVERY) {
      this.account?.built(this.containers);
      this.containers = 0;
    }
    if (++this.depth > MAX_DEPTH) throw this.error(`Lists and maps nest deeper than ${MAX_DEPTH}`);
  }

  private extensionValue(): Value {
    const extension = this.extension();
    if (this.extensionTime(extension)) return this.seconds + this.nanos / 1e9;
    return this.bytes.toString('base64', extension.start, extension.stop);
  }

  private extension(): Extension {
    const head = this.byte();
    const length = head >= 0xd4 ? 1 << (head - 0xd4) : this.uint(1 << (head - 0xc7));
    const type = this.bytes.readInt8(this.take(1));
    const start = this.take(length);
    return { type, start, stop: start + length };
  }

  /** False when the extension is no time. */
  private extensionTime({ type, start, stop }: Extension): boolean {
    const { bytes } = this;
    const length = stop - start;
    if (type === EVENT_TIME && length === 8) {
      this.seconds = bytes.readUInt32BE(start);
      this.nanos = bytes.readUInt32BE(start + 4);
    } else if (type === TIMESTAMP && length === 4) {
      this.seconds = bytes.readUInt32BE(start);
      this.nanos = 0;
    } else if (type === TIMESTAMP && length === 8) {
      const both = bytes.readBigUInt64BE(start);
      this.seconds = Number(both & 0x3_ffff_ffffn);
      this.nanos = Number(both >> 34n);
    } else if (type === TIMESTAMP && length === 12) {
      this.seconds = Number(bytes.readBigInt64BE(start + 4));
      this.nanos = bytes.readUInt32BE(start);
    } else {
      return false;
    }
    if (this.nanos > 999_999_999) throw this.error('A time has more than a second of nanoseconds');
    return true;
  }

  private text(length: number): string {
    const start = this.take(length);
    return this.bytes.toString('utf8', start, start + length);
  }

  private byte(): number {
    return this.bytes[this.take(1)] as number;
  }

  private uint(length: number): number {
    return this.bytes.readUIntBE(this.take(length), length);
  }

  /** Steps over bytes that must be there; returns where they start. */
  private take(length: number): number {
    const start = this.offset;
    if (start + length > this.bytes.length) throw this.error(BROKEN_OFF);
    this.offset = start + length;
    return start;
  }

  /** A number of items that the rest can hold, at so many bytes each. */
  private within(items: number, least: number): number {
    if (items * least > this.bytes.length - this.offset)
      throw this.error('A list or map is longer than the bytes that follow');
    return items;
  }

  /** What is wrong where the reader stands. */
  error(what: string): MsgpackError {
    return new MsgpackError(`${what}, at byte ${this.offset}.`);
  }
}

interface Extension {
  type: number;
  start: number;
  stop: number;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
