/** Keeps a share of the records of a file: by their place in it, so that what is read again after a crash is judged the same way. */

const RANGE = 2 ** 32;

/** Whether the record at an offset is among the share, above 0 and up to 1, that is kept. */
export function isSampled(offset: number, share: number): boolean {
  // The finaliser of MurmurHash3: neighbouring offsets come out far apart.
  let hash = (offset % RANGE) ^ Math.floor(offset / RANGE);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / RANGE < share;
}
