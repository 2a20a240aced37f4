/**
 * Reads protobuf messages within their bounds: nothing is taken from behind the end of the message that it belongs to, integers of 64 bits
 * keep their digits, and text keeps its byte order mark. The wire itself is the library's.
 *
 *     for (let field = reader.next(); field !== 0; field = reader.next()) {
 *       if (field === 1 && reader.type === LENGTH) text = reader.text();    // a field that is not read is skipped
 *     }
 *
 * All but {@link OtlpError} that is thrown here comes from the library: the bytes are no protobuf.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
import { PbfReader } from 'pbf';
import { OtlpError } from './model.ts';

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const FIXED32 = 5;

const BEYOND = 'is no valid protobuf: a field reaches beyond its message';

export class ProtoReader {
  private readonly pbf: PbfReader;
  private readonly bytes: Buffer;
  /** Of the message that is being read. */
  private end: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.pbf = new PbfReader(bytes);
    this.end = bytes.length;
  }

  /** Wire type of the field. */
  get type(): number {
    return this.pbf.type;
  }

  /** Number of the next field; 0 at the end of the message. */
  next(): number {
    const { pbf, end } = this;
    const field = pbf.nextField(end);
    if (field === 0 ? pbf.pos !== end : pbf.pos > end) throw new OtlpError(BEYOND);
    return field;
  }

  /** Goes into the message that is the field's value. What it returns is for {@link leave}, after the last {@link next}. */
  enter(): number {
    const outer = this.end;
    const length = this.pbf.readVarint();
    this.end = this.within(this.pbf.pos + length);
    return outer;
  }

  leave(outer: number): void {
    this.end = outer;
  }

  text(): string {
    return this.encoded('utf8');
  }

  /** The bytes of the field as text. */
  encoded(encoding: 'utf8' | 'hex' | 'base64'): string {
    const { pbf } = this;
    const length = pbf.readVarint();
    const start = pbf.pos;
    pbf.pos = this.within(start + length);
    return this.bytes.toString(encoding, start, pbf.pos);
  }

  boolean(): boolean {
    return this.int64() !== 0;
  }

  /** A varint without sign, of up to 53 bits. */
  uint(): number {
    return this.pbf.readVarint();
  }

  double(): number {
    return this.pbf.readDouble();
  }

  fixed32(): number {
    return this.pbf.readFixed32();
  }

  fixed64(): bigint {
    const low = this.pbf.readFixed32();
    return (BigInt(this.pbf.readFixed32()) << 32n) | BigInt(low);
  }

  /** A varint with sign; a bigint where a number would lose digits. */
  int64(): number | bigint {
    const { pbf, bytes } = this;
    const start = pbf.pos;
    const value = pbf.readVarint(true);
    if (Number.isSafeInteger(value)) return value;
    let exact = 0n;
    for (let at = start; at < pbf.pos; at++)
      exact |= BigInt((bytes[at] as number) & 0x7f) << BigInt(7 * (at - start));
    return BigInt.asIntN(64, exact);
  }

  private within(stop: number): number {
    // Not "greater": a length behind the last byte is no number.
    if (!(stop <= this.end)) throw new OtlpError(BEYOND);
    return stop;
  }
}
