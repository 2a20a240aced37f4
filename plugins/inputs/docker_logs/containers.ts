/** The containers whose logs are followed: their facts, looked at again when Docker changed them. */
import { recordToJson } from '../../../src/plugin.ts';
import type { Batch, Logger } from '../../../src/plugin.ts';
import type { Attendant } from '../../shared/tail/attendants.ts';
import { changedAt, configOf, containerRecord, readContainer } from './container.ts';
import type { ContainerFacts, WantsLabel } from './container.ts';

/** Between two looks at a container that writes. Milliseconds. */
const LOOK_MS = 10_000;
/** Digits of an id that stand for a container without a name. */
const SHORT_ID = 12;

export class Containers {
  private readonly wants: WantsLabel;
  private readonly key: string | undefined;
  private readonly log: Logger;

  /** `key`: under which records say what container they are of; undefined for nowhere. */
  constructor(wants: WantsLabel, key: string | undefined, log: Logger) {
    this.wants = wants;
    this.key = key;
    this.log = log;
  }

  /** The tag of a log: the placeholders of the template filled in. */
  tagOf(template: string, path: string): string {
    const { id, name, image } = readContainer(path, () => false);
    const short = id.slice(0, SHORT_ID);
    const values: Record<string, string> = { name: name ?? short, id: short, image: image ?? '' };
    return template.replaceAll(/<(name|id|image)>/g, (_, key: string) => values[key] ?? '');
  }

  /** Who adds to the records of a log what is known of its container. */
  attend(path: string): Attendant | undefined {
    const { key } = this;
    if (key === undefined) return undefined;
    let facts: ContainerFacts;
    let member = '';
    let lookedAt = 0;
    let changed = 0;
    const look = (): void => {
      lookedAt = performance.now();
      changed = changedAt(configOf(path));
      facts = readContainer(path, this.wants);
      member = `${JSON.stringify(key)}:${recordToJson(containerRecord(facts))}`;
      if (facts.refused.length > 0) {
        this.log.warn(
          { file: path, refused: facts.refused },
          'Docker says of a container what is too long or malformed; records go without it',
        );
      }
    };
    look();
    return {
      process: (batch: Batch) => {
        if (performance.now() - lookedAt >= LOOK_MS) {
          if (changedAt(configOf(path)) === changed) lookedAt = performance.now();
          else look();
        }
        for (let index = 0; index < batch.length; index++)
          batch.set(index, key, containerRecord(facts), member);
      },
      close: () => undefined,
    };
  }
}
