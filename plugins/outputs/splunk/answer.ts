/**
 * What HTTP Event Collector answers: `{"text":"Invalid data format","code":6,"invalid-event-number":3}`, with an acknowledgement
 * `{"text":"Success","code":0,"ackId":7}`.
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/troubleshoot-http-event-collector
 */
import { isRecord, requireSuccess, RetryableError } from '../../../src/plugin.ts';
import type { HttpResponse } from '../../../src/plugin.ts';

/** What to do about a fault that is Splunk's or the configuration's, by HEC code. */
const ADVICE: Readonly<Record<number, string>> = {
  1: 'the token is disabled: enable it in Splunk',
  2: 'it wants a token: set splunk_token',
  3: 'the authorization is not as it should be: check splunk_token',
  4: 'it does not know the token: check splunk_token',
  10: 'it wants a channel: set channel',
  11: 'it does not take the channel: a channel is a GUID',
  14: 'the token has no indexer acknowledgement: enable it in Splunk, or leave out indexer_ack',
  16: 'it takes no token in the query',
  21: 'it does not know the token: check splunk_token',
  22: 'the token is disabled: enable it in Splunk',
};

/** An index that is the configuration's, or the event's own. */
const INCORRECT_INDEX = 7;
/** Faults of an event, which is told by its number. */
const EVENT_FAULTS: ReadonlySet<number> = new Set([6, INCORRECT_INDEX, 12, 13, 15]);

export interface Accepted {
  /** Number under which Splunk tells whether the events are indexed. */
  ackId?: number;
}

/** One event of the request is not taken; what became of those before it, Splunk's documentation does not say. */
export interface BadEvent {
  /** From 0. */
  event: number;
  status: number;
  reason: string;
}

/**
 * Reads the answer to a request of `events` events. `ownIndex`: events bring their own index along. Throws RetryableError and SplitError
 * as {@link requireSuccess} does.
 */
export function readAnswer(
  response: HttpResponse,
  events: number,
  ownIndex: boolean,
  place: string,
): Accepted | BadEvent {
  const { status } = response;
  const { code, text, number, ackId } = parseAnswer(response.text);
  if (status >= 200 && status < 300) return ackId === undefined ? {} : { ackId };
  const said = text === undefined ? '' : ` (${text})`;
  if (code === INCORRECT_INDEX && !ownIndex) {
    throw new RetryableError(
      `${place} answered ${status}: the index is not there, or the token may not write to it: check event_index${said}`,
    );
  }
  const advice = code === undefined ? undefined : ADVICE[code];
  if (advice !== undefined) throw new RetryableError(`${place} answered ${status}: ${advice}${said}`);
  if (
    status === 400 &&
    code !== undefined &&
    EVENT_FAULTS.has(code) &&
    number !== undefined &&
    number < events
  ) {
    return { event: number, status, reason: text ?? `Splunk refused the event with code ${code}.` };
  }
  requireSuccess(response, place, true);
  return {};
}

interface Answer {
  code?: number;
  text?: string;
  number?: number;
  ackId?: number;
}

function parseAnswer(body: string): Answer {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return {};
  }
  if (!isRecord(answer)) return {};
  const { code, text, ackId } = answer;
  const number = answer['invalid-event-number'];
  return {
    ...(typeof code === 'number' ? { code } : {}),
    ...(typeof text === 'string' ? { text } : {}),
    ...(isIndex(number) ? { number } : {}),
    ...(isIndex(ackId) ? { ackId } : {}),
  };
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
