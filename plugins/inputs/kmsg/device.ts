/**
 * /dev/kmsg: each read is one record. It is read without waiting and asked again after a while, since Node.js can wait for no such device
 * without giving a thread to it. In its place may stand a file or FIFO with the same text, in which one read holds any number of lines.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Longer than any record of the kernel (CONSOLE_EXT_LOG_MAX). Bytes. */
const BUFFER_BYTES = 16_384;

export class KmsgDevice {
  /** It is no device, but stands for one. */
  readonly isStandIn: boolean;
  private readonly descriptor: number;
  private readonly buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  /** Of a stand-in, what is read and not given. */
  private rest = '';

  /** Throws as `fs.openSync` does. */
  constructor(path: string) {
    this.descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.isStandIn = !fstatSync(this.descriptor).isCharacterDevice();
  }

  /**
   * The next record; undefined while there is none. Throws as `fs.readSync` does: EPIPE when records were overwritten before they were
   * read, and the next read goes on behind them.
   */
  next(): string | undefined {
    if (this.isStandIn) return this.nextOfText();
    const bytes = this.read();
    return bytes === 0 ? undefined : this.buffer.toString('utf8', 0, bytes);
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private read(): number {
    try {
      return readSync(this.descriptor, this.buffer, 0, BUFFER_BYTES, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
  }

  /** A record ends where a line begins without a space; the last one that is there, when no more comes. */
  private nextOfText(): string | undefined {
    let end = endOfRecord(this.rest);
    while (end === -1) {
      const bytes = this.read();
      if (bytes === 0) break;
      this.rest += this.buffer.toString('latin1', 0, bytes);
      end = endOfRecord(this.rest);
    }
    if (end === -1 && this.rest.endsWith('\n')) end = this.rest.length;
    if (end === -1) return undefined;
    const record = Buffer.from(this.rest.slice(0, end), 'latin1').toString('utf8');
    this.rest = this.rest.slice(end);
    return record;
  }
}

function endOfRecord(text: string): number {
  const end = text.search(/\n[^ ]/);
  return end === -1 ? -1 : end + 1;
}
