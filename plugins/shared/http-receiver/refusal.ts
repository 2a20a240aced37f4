/** A request that is not taken: thrown anywhere on its way, answered in one place. */

export class Refusal extends Error {
  override name = 'Refusal';
  /** HTTP status of the answer. */
  readonly status: number;

  /** The message is a sentence for whoever sent the request. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
