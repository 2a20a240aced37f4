/** How short memory is: in all, and in the accounts of single inputs. */
import type { InputAccount, MemoryBuffer } from '../buffer/memory.ts';
import type { HeldChunk } from '../delivery/held-chunk.ts';

/** Memory is short from here on, share of a limit: some time before an input must wait. */
const SHORT_SHARE = 0.7;
/** So much of it is left taken when it was. */
const RELIEVED_SHARE = 0.5;

export function isShort({ used, limit }: { readonly used: number; readonly limit: number }): boolean {
  return used > limit * SHORT_SHARE;
}

/** How much may be left taken of a limit, of which `usable` bytes are for inputs, so that what somebody was refused fits beside it. */
function target(limit: number, usable: number, wanted: number): number {
  return Math.min(limit * RELIEVED_SHARE, usable - wanted);
}

export class Shortage {
  /** The smallest limit that is nearly reached, bytes; that of all memory if none is. */
  readonly smallestLimit: number;
  /** Bytes that should go, of all inputs. */
  private excess: number;
  /** Bytes that should go, by input. */
  private readonly inputs = new Map<string, number>();
  private readonly all: boolean;

  /** `up`: the chunks in memory. */
  constructor(
    memory: MemoryBuffer,
    up: Iterable<HeldChunk>,
    accountOf: (input: string) => InputAccount | undefined,
  ) {
    this.all = isShort(memory) || memory.isWaitedFor || memory.wanted > 0;
    this.excess = memory.used - target(memory.limit, memory.limit - memory.reserved, memory.wanted);
    let smallest = memory.limit;
    for (const input of new Set([...up].map(({ facts }) => facts.input))) {
      const account = accountOf(input);
      if (account === undefined) continue;
      const { used, limit, refused } = account;
      if (!isShort(account) && refused.wanted === 0) continue;
      this.inputs.set(input, used - target(limit, limit, refused.wanted));
      smallest = Math.min(smallest, account.limit);
    }
    this.smallestLimit = smallest;
  }

  /** Whether chunks of an input should make room. */
  concerns(input: string): boolean {
    return this.all || this.inputs.has(input);
  }

  /** Whether a chunk should go, too; if so it counts as gone. */
  take({ facts, cost }: HeldChunk): boolean {
    const own = this.inputs.get(facts.input) ?? 0;
    if (!(this.all && this.excess > 0) && own <= 0) return false;
    this.excess -= cost;
    if (own > 0) this.inputs.set(facts.input, own - cost);
    return true;
  }
}
