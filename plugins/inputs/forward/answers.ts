/**
 * The answers that a connection owes, given in the order in which their messages came: an answer goes out when its records are safe and all
 * before it have gone.
 */

interface Owed {
  chunks: readonly string[];
  isSafe: boolean;
}

export class Answers {
  private readonly owed: Owed[] = [];
  private readonly say: (chunk: string) => void;

  /** `say` gives an answer. */
  constructor(say: (chunk: string) => void) {
    this.say = say;
  }

  /** None is owed. */
  get isEmpty(): boolean {
    return this.owed.length === 0;
  }

  /** Owes answers; the function says that their records are safe. */
  owe(chunks: readonly string[]): () => void {
    const entry: Owed = { chunks, isSafe: false };
    this.owed.push(entry);
    return () => {
      entry.isSafe = true;
      while (this.owed[0]?.isSafe === true)
        for (const chunk of this.owed.shift()?.chunks ?? []) this.say(chunk);
    };
  }
}
