/** Waiting with an end: for a stop, whose time is limited and which a second signal cuts short. */

/** How long inputs may go on to read what cannot be read later, once they shall stop. Share of the grace time. */
export const SAVING_SHARE = 0.3;

export class Deadline {
  private readonly forcing: Promise<void>;
  private fire: () => void = () => undefined;
  /** True once {@link force} was called. */
  forced = false;
  private readonly startedAt = performance.now();

  constructor() {
    this.forcing = new Promise((resolve) => {
      this.fire = resolve;
    });
  }

  /** All waits end now. */
  force(): void {
    this.forced = true;
    this.fire();
  }

  /** Waits for `work`, at most until `ms` milliseconds after this object was made. False when the time was over first. */
  async wait(work: Promise<unknown>, ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const left = Math.max(0, this.startedAt + ms - performance.now());
    const over = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), left);
    });
    try {
      return await Promise.race([work.then(() => true), over, this.forcing.then(() => false)]);
    } finally {
      clearTimeout(timer);
    }
  }
}
