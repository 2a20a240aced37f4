/** Gives closed objects their last word (DELIVERY.md, rule 26): chunks durable, plan made, manifest written. */
import { randomBytes } from 'node:crypto';
import { load } from './reader.ts';
import type { Settlement } from './settlement.ts';
import type { StagedObject } from './staged-object.ts';

export class Sealer {
  private readonly settlement: Settlement;
  private saidUnbound = false;

  constructor(settlement: Settlement) {
    this.settlement = settlement;
  }

  /** Fixes what the object is. False when there is nothing left in it. Rejects when its records cannot be read now. */
  async seal(object: StagedObject): Promise<boolean> {
    const { shelf, output, log } = this.settlement.options;
    const staged = await shelf?.stage(object.entries.map(({ flight }) => flight.held));
    const time = await this.firstTime(object);
    if (time === undefined) return false;
    const plan = output.plan({ tag: object.tag, sequence: object.sequence, id: newId(), ...time });
    object.plan = plan;
    if (shelf === undefined) return true;
    let problem: unknown = 'the disk does not take all of its records';
    if (staged === true) {
      try {
        await shelf.write(object.manifest);
        object.bound = true;
        this.saidUnbound = false;
        return true;
      } catch (error) {
        problem = error;
      }
    }
    if (!this.saidUnbound) {
      log.warn(
        { error: problem, object: plan.key },
        'What is in an object cannot be written down; it is sent nevertheless, and a crash now would send its records twice',
      );
    }
    this.saidUnbound = true;
    return true;
  }

  /** The time of the first record; undefined when there is none left. */
  private async firstTime(object: StagedObject): Promise<{ seconds: number; nanos: number } | undefined> {
    for (const entry of object.entries) {
      const { flight } = entry;
      const [first] = flight.openRanges;
      if (first === undefined) continue;
      if (!(await load(entry))) {
        this.settlement.lose(object, entry, 'damaged');
        continue;
      }
      const { seconds, nanos } = flight.chunk.columns;
      const time = { seconds: seconds[first[0]] as number, nanos: nanos[first[0]] as number };
      flight.held.unpin();
      return time;
    }
    return undefined;
  }
}

/** Eight letters and digits. */
function newId(): string {
  const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  let id = '';
  // Bytes beyond the last multiple of the alphabet's length would make some letters likelier.
  while (id.length < 8) {
    for (const byte of randomBytes(16)) if (byte < 248 && id.length < 8) id += LETTERS.charAt(byte % 62);
  }
  return id;
}
