/** Reading a file's bytes at offsets. */
import { closeSync, read } from 'node:fs';
import { promisify } from 'node:util';

export const readAt = promisify(read);

export interface FileReader {
  readonly descriptor: number;
  /** Reads into `buffer` at `offset`; resolves with the number of bytes, 0 at the end. Never asked for what was released. */
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /** True when a compressed file ended in the middle: it may still be being written. */
  readonly isCut: boolean;
  /** True when such a file has grown since. */
  hasMore(): boolean;
  /** The bytes before `position` are not needed any more. */
  release(position: number): void;
  close(): void;
}

export class PlainReader implements FileReader {
  readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const { bytesRead } = await readAt(this.descriptor, buffer, offset, length, position);
    return bytesRead;
  }

  readonly isCut = false;

  hasMore(): boolean {
    return false;
  }

  release(): void {}

  close(): void {
    closeSync(this.descriptor);
  }
}
