/**
 * Answers of HTTP Event Collector: a text and a code, in Splunk's words, since clients go by the code.
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/troubleshoot-http-event-collector
 */
import type { Answer } from '../../shared/http-receiver/protocol.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

export const SUCCESS = 0;
export const TOKEN_REQUIRED = 2;
export const INVALID_AUTHORIZATION = 3;
export const INVALID_TOKEN = 4;
export const NO_DATA = 5;
export const INVALID_FORMAT = 6;
const INTERNAL_ERROR = 8;
const SERVER_BUSY = 9;
export const CHANNEL_MISSING = 10;
export const INVALID_CHANNEL = 11;
export const EVENT_REQUIRED = 12;
export const EVENT_BLANK = 13;
export const ACK_DISABLED = 14;
export const BAD_FIELDS = 15;
export const HEALTHY = 17;
export const QUEUES_FULL = 18;
const TOO_LARGE = 27;

const ANSWERS = {
  [SUCCESS]: [200, 'Success'],
  [TOKEN_REQUIRED]: [401, 'Token is required'],
  [INVALID_AUTHORIZATION]: [401, 'Invalid authorization'],
  [INVALID_TOKEN]: [403, 'Invalid token'],
  [NO_DATA]: [400, 'No data'],
  [INVALID_FORMAT]: [400, 'Invalid data format'],
  [INTERNAL_ERROR]: [500, 'Internal server error'],
  [SERVER_BUSY]: [503, 'Server is busy'],
  [CHANNEL_MISSING]: [400, 'Data channel is missing'],
  [INVALID_CHANNEL]: [400, 'Invalid data channel'],
  [EVENT_REQUIRED]: [400, 'Event field is required'],
  [EVENT_BLANK]: [400, 'Event field cannot be blank'],
  [ACK_DISABLED]: [400, 'ACK is disabled'],
  [BAD_FIELDS]: [400, 'Error in handling indexed fields'],
  [HEALTHY]: [200, 'HEC is healthy'],
  [QUEUES_FULL]: [503, 'HEC is unhealthy, queues are full'],
  [TOO_LARGE]: [413, 'Request entity too large'],
} as const satisfies Readonly<Record<number, readonly [status: number, text: string]>>;

export type HecCode = keyof typeof ANSWERS;

/** A refusal that has a code of its own. */
export class HecRefusal extends Refusal {
  override name = 'HecRefusal';
  readonly code: HecCode;
  /** Which event of the body, from 0. */
  readonly event: number | undefined;

  /** `message` is for the log; the client gets Splunk's text. */
  constructor(code: HecCode, message: string, event?: number) {
    super(ANSWERS[code][0], message);
    this.code = code;
    this.event = event;
  }
}

/** An answer by its code, with further members. */
export function hecAnswer(code: HecCode, more: Readonly<Record<string, unknown>> = {}): Answer {
  const [status, text] = ANSWERS[code];
  return { status, body: JSON.stringify({ text, code, ...more }) };
}

/** The answer to a request that is not taken. What time heals is 503 with code 9: that is what clients of Splunk try again. */
export function hecRefusal(refusal: Refusal): Answer {
  if (refusal instanceof HecRefusal) {
    const { code, event } = refusal;
    return hecAnswer(code, event === undefined ? {} : { 'invalid-event-number': event });
  }
  switch (refusal.status) {
    case 400:
      return hecAnswer(INVALID_FORMAT);
    case 413:
      // Splunk's text does not say what would help.
      return hecAnswer(TOO_LARGE, { detail: refusal.message });
    case 429:
    case 503:
      return hecAnswer(SERVER_BUSY);
    case 500:
      return hecAnswer(INTERNAL_ERROR);
    default:
      // Splunk's web server has such answers, without codes of HEC: the status stands for one.
      return {
        status: refusal.status,
        body: JSON.stringify({ text: refusal.message, code: refusal.status }),
      };
  }
}
