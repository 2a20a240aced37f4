/**
 * The pieces of a body. A piece is an object by itself, and holds the block of memory that it was cut out of: of chunks of a byte each, that is a
 * hundred times what is counted. So many small ones are copied together.
 */

/** Pieces that are kept as they came, small or not: most bodies have no more. */
const FEW = 16;
/** Bytes. */
const SMALL = 4096;
const BLOCK = 64 * 1024;

export class Pieces {
  private readonly list: Buffer[] = [];
  private length = 0;
  private block: Buffer | undefined;
  private used = 0;

  add(piece: Buffer): void {
    this.length += piece.length;
    if (this.list.length < FEW || piece.length >= SMALL) {
      this.endBlock();
      this.list.push(piece);
      return;
    }
    if (this.used + piece.length > BLOCK) this.endBlock();
    this.block ??= Buffer.allocUnsafeSlow(BLOCK);
    this.used += piece.copy(this.block, this.used);
  }

  /** All of them. */
  join(): Buffer {
    this.endBlock();
    const [first] = this.list;
    return first !== undefined && this.list.length === 1 ? first : Buffer.concat(this.list, this.length);
  }

  private endBlock(): void {
    if (this.block !== undefined && this.used > 0)
      this.list.push(Buffer.from(this.block.subarray(0, this.used)));
    this.used = 0;
  }
}
