/** A value that must never be shown: wherever it is printed, logged or serialised it says `***`. */
import { inspect } from 'node:util';

const SHOWN = '***';

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself: for the place where it goes out (a header, a key file's passphrase), never for a message. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
