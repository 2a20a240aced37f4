/** The dead letters that an agent has written. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readNumbered } from './numbered.ts';

export interface Letter {
  output: string;
  status?: number;
  reason: string;
  attempts: number;
  record: { log: string };
}

/** All letters below a state path, the oldest first. */
export function readLetters(state: string): Letter[] {
  return globSync(join(state, '*/dead-letters/*/*.ndjson'))
    .toSorted()
    .flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as Letter);
}

/** The number of the line that a letter holds. */
export function numberOf({ record }: Letter): number | undefined {
  return readNumbered(record.log)?.n;
}
