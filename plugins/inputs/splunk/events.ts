/**
 * Envelopes of HTTP Event Collector to events:
 *
 *     {"time":1700000000.5,"host":"h","source":"s","sourcetype":"t","index":"i","fields":{"k":"v"},"event":"a line, or a map"}
 *
 * A body with a bad envelope is answered with its number and why; all others in it are taken, before it and behind it, since most clients
 * drop a body that was refused.
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/format-events-for-http-event-collector
 */
import { isRecord, isTooDeep, memberText, parseExact } from '../../../src/plugin.ts';
import type { LogRecord, Value } from '../../../src/plugin.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import { BAD_FIELDS, EVENT_BLANK, EVENT_REQUIRED, HecRefusal, INVALID_FORMAT, NO_DATA } from './answers.ts';
import { splitEnvelopes } from './split.ts';
import { EventClock } from './time.ts';

/** What the envelope says of an event. */
const DESCRIPTION = ['host', 'source', 'sourcetype', 'index', 'fields'] as const;

export interface Decoding {
  into: RequestBatches;
  /** What becomes the record: the envelope as it came, or what is under `event`. */
  record: 'envelope' | 'event';
  /** Metadata of each event that the request brings along. */
  metadata: LogRecord | undefined;
  /** Unix milliseconds, for events without a time. */
  now: number;
}

export interface Decoded {
  /** Envelopes that were not taken. */
  refused: number;
  /** The first of them. */
  first: HecRefusal | undefined;
}

/** Takes the envelopes of a body in. Throws {@link HecRefusal} when there is none. */
export function decodeEvents(body: string, decoding: Decoding): Decoded {
  decoding.into.room.keepsParsed(body);
  const clock = new EventClock();
  const decoded: Decoded = { refused: 0, first: undefined };
  let event = 0;
  splitEnvelopes(body, (text) => {
    try {
      takeEnvelope(text, event, clock, decoding);
    } catch (error) {
      // What is not about this event alone refuses the body.
      if (!(error instanceof Refusal) || error.status !== 400) throw error;
      decoded.refused++;
      decoding.into.room.spend(0);
      decoded.first ??=
        error instanceof HecRefusal ? error : new HecRefusal(INVALID_FORMAT, error.message, event);
    }
    event++;
  });
  if (event === 0) throw new HecRefusal(NO_DATA, 'The body holds no events.');
  return decoded;
}

/** Takes lines of text in, a record each under `log`. Throws {@link HecRefusal} when there is none. */
export function decodeLines(body: string, { into, metadata, now }: Decoding): void {
  const seconds = Math.floor(now / 1000);
  const nanos = (now % 1000) * 1e6;
  for (let start = 0; start < body.length;) {
    let end = body.indexOf('\n', start);
    if (end === -1) end = body.length;
    const stop = body.charCodeAt(end - 1) === 0x0d ? end - 1 : end;
    const line = body.slice(start, Math.max(start, stop));
    start = end + 1;
    if (line.trim() !== '') into.takeEvent({ log: line }, undefined, seconds, nanos, metadata);
  }
  if (into.byTag.size === 0) throw new HecRefusal(NO_DATA, 'The body holds no lines.');
}

function takeEnvelope(text: string | undefined, number: number, clock: EventClock, decoding: Decoding): void {
  const envelope = text === undefined || isTooDeep(text) ? undefined : parse(text);
  if (text === undefined || !isRecord(envelope))
    throw new HecRefusal(INVALID_FORMAT, `Event ${number} is no valid JSON object.`, number);
  const { event, fields } = envelope;
  if (event === undefined) throw new HecRefusal(EVENT_REQUIRED, `Event ${number} has no event.`, number);
  if (event === null || event === '')
    throw new HecRefusal(EVENT_BLANK, `The event of event ${number} is blank.`, number);
  if (fields !== undefined && fields !== null && !isRecord(fields))
    throw new HecRefusal(BAD_FIELDS, `The fields of event ${number} are no object.`, number);
  const { into, now, metadata } = decoding;
  if (!clock.read(envelope['time'], text)) {
    clock.seconds = Math.floor(now / 1000);
    clock.nanos = (now % 1000) * 1e6;
  }
  const { seconds, nanos } = clock;
  if (decoding.record === 'event') {
    const said = describe(envelope, text, metadata);
    if (isRecord(event)) {
      const own = memberText(text, 'event');
      if (own === undefined)
        into.takeEvent(exactly(text)['event'] as LogRecord, undefined, seconds, nanos, said);
      else into.takeEvent(event, own, seconds, nanos, said);
    } else {
      into.takeEvent({ log: exactly(text)['event'] as Value }, undefined, seconds, nanos, said);
    }
  } else if (text.includes('\n') || text.includes('\r')) {
    into.takeEvent(exactly(text), undefined, seconds, nanos, metadata);
  } else {
    into.takeEvent(envelope, text, seconds, nanos, metadata);
  }
}

/** The metadata of a record that is the event alone: what its envelope says goes before what the request does. */
function describe(envelope: LogRecord, text: string, metadata: LogRecord | undefined): LogRecord | undefined {
  if (DESCRIPTION.every((key) => envelope[key] === undefined)) return metadata;
  const exact = exactly(text);
  const said: LogRecord = { ...(metadata?.['splunk'] as LogRecord | undefined) };
  for (const key of DESCRIPTION) {
    const value = exact[key];
    if (value !== undefined && value !== null) said[key] = value;
  }
  return { ...metadata, splunk: said };
}

function exactly(text: string): LogRecord {
  return parseExact(text) as LogRecord;
}

/** Undefined for what is no JSON. Wide numbers are rounded: their digits are in the text. */
function parse(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}
