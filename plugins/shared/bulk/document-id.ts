/**
 * Ids of documents, made of where a record came from: the same record has the same id however often it is sent, so that the store has it
 * once.
 *
 *     Gk3kqk0HTOuBrX2dH8u1xQ.1a9f.2C
 *     └ the source's id ───┘ │    └ its length in bytes
 *                            └ its first byte in the source
 *
 * The source's id is the 16 bytes of a UUID that is drawn for each generation of a file (or each run of the agent, for what cannot be
 * read again: then the numbers are a running number and 1), as base64url; the numbers are in the same 64 digits. The length is in it
 * because a line that was read before its end came is another document than the whole line.
 */

const DIGITS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const BASE = 64;
const DOT = 46;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Two dots and two numbers below 2^53 take no more. Bytes. */
export const MAX_POSITION_LENGTH = 20;

/** The part of an id that all records of a source share, as it stands inside a JSON string. */
export function sourcePart(sourceId: string): string {
  if (UUID.test(sourceId)) return Buffer.from(sourceId.replaceAll('-', ''), 'hex').toString('base64url');
  return JSON.stringify(sourceId).slice(1, -1);
}

/** Writes the rest of an id at an offset: first byte and length; answers with the offset behind it. */
export function writePosition(into: Uint8Array, at: number, start: number, length: number): number {
  into[at] = DOT;
  const behind = writeNumber(into, at + 1, start);
  into[behind] = DOT;
  return writeNumber(into, behind + 1, length);
}

function writeNumber(into: Uint8Array, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= BASE; rest = Math.floor(rest / BASE)) end++;
  let rest = value;
  for (let index = end - 1; index >= at; index--) {
    const higher = Math.floor(rest / BASE);
    into[index] = DIGITS[rest - higher * BASE] as number;
    rest = higher;
  }
  return end;
}
