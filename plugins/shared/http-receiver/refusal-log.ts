/** Says which requests are refused: of each status the first, then once in a while with how many there were. The metrics have all. */
import type { InputContext } from '../../../src/plugin.ts';
import { Rarely } from '../rarely.ts';
import type { Refusal } from './refusal.ts';

export class RefusalLog {
  private readonly log: InputContext['log'];
  private readonly byStatus = new Map<number, Rarely>();

  constructor(log: InputContext['log']) {
    this.log = log;
  }

  /** `peer`: address of who sent it. */
  refused({ status, message: reason }: Refusal, peer: string | undefined): void {
    const rarely = this.byStatus.get(status) ?? new Rarely();
    this.byStatus.set(status, rarely);
    const requests = rarely.happened();
    if (requests > 0) this.log.warn({ status, reason, peer, requests }, 'A request was not taken');
  }
}
