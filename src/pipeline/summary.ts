/** The last line: what a stop came to, and what is left where (DELIVERY.md, rule 28). */

/** What waits for an output when the agent stops. */
export interface LeftOver {
  output: string;
  /** Records that will be read again from their source. */
  inSource: number;
  /** Records that are in the disk buffer. */
  onDisk: number;
  /** Of these, records in objects that the next run gathers on. */
  gathered: number;
  /** Records that could not be read again and had no disk to go to. */
  dropped: number;
}

export interface StopSummary {
  /** Seconds that the agent ran. */
  seconds: number;
  read: number;
  delivered: number;
  /** Records that filters took out, as they were told. */
  filtered: number;
  /** Records that went for any other reason. */
  dropped: number;
  deadLettered: number;
  left: readonly LeftOver[];
  /** Records in requests whose answer was not awaited: the destination may or may not have them. */
  inDoubt: number;
  /** A second signal cut the stop short. */
  forced: boolean;
  text: string;
}

/** Writes the line. */
export function summarize(summary: Omit<StopSummary, 'text'>): StopSummary {
  const left = summary.left
    .filter((entry) => entry.inSource > 0 || entry.onDisk > 0 || entry.dropped > 0)
    .map((entry) => {
      const parts = [];
      if (entry.inSource > 0) parts.push(`${count(entry.inSource)} in the source`);
      if (entry.onDisk > 0) {
        const gathered =
          entry.gathered > 0 ? ` (${count(entry.gathered)} in objects that are still open)` : '';
        parts.push(`${count(entry.onDisk)} on disk${gathered}`);
      }
      if (entry.dropped > 0) parts.push(`${count(entry.dropped)} lost (cannot be read again)`);
      return `${entry.output}: ${parts.join(', ')}`;
    });
  const text = [
    `Stopped after ${summary.seconds.toFixed(1)} s`,
    `read ${count(summary.read)}`,
    `delivered ${count(summary.delivered)}`,
    `filtered out ${count(summary.filtered)}`,
    `dropped ${count(summary.dropped)}`,
    `dead letters ${count(summary.deadLettered)}`,
    left.length === 0 ? 'nothing left' : `left for ${left.join('; ')}`,
    `${count(summary.inDoubt)} in doubt`,
  ].join(' · ');
  return { ...summary, text };
}

/** With commas between thousands. By hand: a number format of Intl costs 15 ms and some megabytes at start. */
function count(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
