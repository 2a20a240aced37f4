/**
 * A document with its action, as a record: as Fluent Bit has it, the action is a key of the record, in front of the others.
 *
 *     {"create":{"_index":"logs"}}⏎{"msg":"a"}   →   {"@meta":{"create":{"_index":"logs"}},"msg":"a"}
 *
 * A document that has that key already keeps its own.
 */
import { isRecord, isTooDeep, parseExact, setKey } from '../../../src/plugin.ts';
import type { LogRecord, Value } from '../../../src/plugin.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { DocumentClock } from './time.ts';

export interface DocumentShape {
  /** Key of the action. */
  metaKey: string;
  /** Key of the document's time; undefined: the time of arrival counts. */
  timeKey: string | undefined;
}

export class Documents {
  /** Documents whose time could not be read. */
  untimed = 0;
  private readonly shape: DocumentShape;
  private readonly into: RequestBatches;
  private readonly member: string;
  private readonly clock = new DocumentClock();
  private readonly seconds: number;
  private readonly nanos: number;

  /** `now`: Unix milliseconds. */
  constructor(shape: DocumentShape, into: RequestBatches, now: number) {
    this.shape = shape;
    this.into = into;
    this.member = `{${JSON.stringify(shape.metaKey)}:`;
    this.seconds = Math.floor(now / 1000);
    this.nanos = (now % 1000) * 1e6;
  }

  /**
   * Takes a document in. Answers why it cannot be: a sentence; undefined when it is taken. `action`: its JSON, on one line. Throws Refusal
   * for a tag that is none.
   */
  take(source: string, action: string): string | undefined {
    const text = source.trim();
    if (isTooDeep(text)) return 'The document nests too deep.';
    this.into.room.parses(text);
    let document: Value;
    try {
      document = JSON.parse(text) as Value;
    } catch {
      return 'The document is no valid JSON.';
    }
    if (!isRecord(document)) return 'The document is no JSON object.';
    const { metaKey } = this.shape;
    this.readTime(document);
    const { seconds, nanos } = this.clock;
    const oneLine = !text.includes('\r') && !text.includes('\n');
    if (Object.hasOwn(document, metaKey)) {
      if (oneLine) this.into.takeEvent(document, text, seconds, nanos, undefined);
      else this.into.takeEvent(parseExact(text) as LogRecord, undefined, seconds, nanos, undefined);
    } else if (oneLine) {
      const rest = text.slice(text.indexOf('{') + 1);
      const between = isEmpty(document) ? '' : ',';
      this.into.takeEvent(undefined, `${this.member}${action}${between}${rest}`, seconds, nanos, undefined);
    } else {
      const record: LogRecord = {};
      setKey(record, metaKey, parseExact(action));
      for (const [key, value] of Object.entries(parseExact(text) as LogRecord)) setKey(record, key, value);
      this.into.takeEvent(record, undefined, seconds, nanos, undefined);
    }
    return undefined;
  }

  private readTime(document: LogRecord): void {
    const { timeKey } = this.shape;
    const { clock } = this;
    const time = timeKey !== undefined && Object.hasOwn(document, timeKey) ? document[timeKey] : undefined;
    if (time !== undefined && time !== null) {
      if (clock.read(time)) return;
      this.untimed++;
    }
    clock.seconds = this.seconds;
    clock.nanos = this.nanos;
  }
}

function isEmpty(map: LogRecord): boolean {
  for (const _key in map) return false;
  return true;
}
