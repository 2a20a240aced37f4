/**
 * A receipt travels with a batch whose source waits for an answer. It settles when all that was made of the batch is safe: durable
 * on disk, or delivered, dead-lettered or dropped by rule at every output.
 */
export class Receipt {
  private open = 1;
  private safe = true;
  private readonly onSettled: (safe: boolean) => void;

  /** `onSettled` is called once; `safe` is false when the agent gave some of it up (a stop without a disk): the source must keep it. */
  constructor(onSettled: (safe: boolean) => void) {
    this.onSettled = onSettled;
  }

  /** One more thing must happen before it settles. */
  hold(): void {
    this.open++;
  }

  /** One of the held things happened. The maker's own hold counts as one: the pipeline releases it after routing. */
  release(): void {
    this.open--;
    if (this.open === 0) this.onSettled(this.safe);
  }

  /** Something of it was given up; it settles as not safe. The hold is released as ever. */
  giveUp(): void {
    this.safe = false;
  }
}
