/**
 * A receipt travels with a batch whose source waits for an answer. It settles when all that was made of the batch is delivered,
 * dead-lettered or dropped by rule, at every output.
 */
export class Receipt {
  private open = 1;
  private readonly onSettled: () => void;

  /** `onSettled` is called once. */
  constructor(onSettled: () => void) {
    this.onSettled = onSettled;
  }

  /** One more thing must happen before it settles. */
  hold(): void {
    this.open++;
  }

  /** One of the held things happened. The maker's own hold counts as one: the pipeline releases it after routing. */
  release(): void {
    this.open--;
    if (this.open === 0) this.onSettled();
  }
}
