/** What the tests use of snappyjs, which has no types. */
declare module 'snappyjs' {
  export function compress(bytes: Uint8Array): Uint8Array;
  /** Throws for what would be longer than `limit` bytes. */
  export function uncompress(bytes: Uint8Array, limit?: number): Uint8Array;
}
