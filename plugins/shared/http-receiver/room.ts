/** The room that one request has in the input's memory: for its body, and for what that becomes, whichever is more. */
import { LEAST_CONTAINER, LEAST_RECORD, MemoryRoom, UNCOUNTED } from '../memory-room.ts';
import { Refusal } from './refusal.ts';

const OPEN_MAP = '{';
const OPEN_LIST = '[';

export class Room extends MemoryRoom {
  /** What the records came to. Bytes. */
  private spent = 0;
  private containers = 0;

  /** Makes sure of so many bytes in all, in steps. Throws {@link Refusal} when there is no room. */
  ensure(total: number, step?: number): void {
    this.need(total, 'The body', step);
  }

  /** A record more, or what becomes an item of the answer. `bytes`: of its text, as far as it has one. Throws {@link Refusal}. */
  spend(bytes: number): void {
    this.spent += Math.max(bytes, LEAST_RECORD);
    if (this.spent > this.bytes + UNCOUNTED)
      this.need(
        this.spent - UNCOUNTED,
        `The records of the body (each counts ${LEAST_RECORD} bytes at least)`,
      );
  }

  /** Values were made, or will be, that have so many lists and maps more. Throws {@link Refusal}. */
  built(containers: number): void {
    this.containers += containers;
    this.ensureBuilt(this.containers);
  }

  /** A JSON text is parsed, and its value kept. Throws {@link Refusal}. */
  keepsParsed(text: string): void {
    this.built(containersOf(text));
  }

  /** A JSON text is parsed, and its value used up. Throws {@link Refusal}. */
  parses(text: string): void {
    this.ensureBuilt(containersOf(text));
  }

  private ensureBuilt(containers: number): void {
    const total = containers * LEAST_CONTAINER - UNCOUNTED;
    if (total > this.bytes)
      this.need(total, `The lists and maps of the body (each counts ${LEAST_CONTAINER} bytes)`);
  }

  private need(total: number, what: string, step?: number): void {
    const asked = this.ask(total, step);
    if (asked === 'given') return;
    if (asked === 'later') throw new Refusal(429, 'There is no room for this body: send it again later.');
    const { bytes, option } = this.largest;
    throw new Refusal(
      413,
      `${what} would take more than the ${bytes} bytes of memory that there can be: send less at a time, or raise ${option}.`,
    );
  }
}

/** Lists and maps that a JSON text can have at most; 0 where they do not matter. */
function containersOf(text: string): number {
  // The smallest has two characters.
  return (text.length / 2) * LEAST_CONTAINER > UNCOUNTED ? count(text, OPEN_MAP) + count(text, OPEN_LIST) : 0;
}

function count(text: string, character: string): number {
  let found = 0;
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) found++;
  return found;
}
