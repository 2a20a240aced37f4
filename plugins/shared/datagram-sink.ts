/** What a listener for datagrams hands them to. */

/** Who sent a datagram. */
export interface Sender {
  readonly address: string;
  readonly port: number;
}

export interface DatagramSink {
  /**
   * Takes a datagram; its memory and its sender are the listener's again when this returns. `sender`: absent where a datagram does not say it. `isCut`: it was
   * longer than the listener takes, and its rest is gone.
   */
  take(bytes: Buffer, sender: Sender | undefined, isCut: boolean): void;
  /** Those that came together are taken: they can be emitted. The promise is that there is room for more. */
  flush(): Promise<void> | undefined;
}

/** Datagrams that are taken at most before a flush. */
export const BURST = 1000;
/** Bytes that are taken at most before a flush, which the pipeline's memory knows of: datagrams can have some hundred kilobytes each. */
export const BURST_BYTES = 1_000_000;
