/**
 * Indexer acknowledgement: a request that names a channel gets a number with its success, which the client asks about later. A number is given
 * out only when the records are safe, so what was given out is acknowledged; of anything else nothing is known, and the client sends it again.
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/about-http-event-collector-indexer-acknowledgment
 */
import type { IncomingMessage } from 'node:http';
import { isRecord } from '../../../src/plugin.ts';
import type { Value } from '../../../src/plugin.ts';
import { HecRefusal, INVALID_CHANNEL, INVALID_FORMAT } from './answers.ts';

/** Channels that are remembered; a client makes one for itself, and keeps it. */
const MAX_CHANNELS = 10_000;
/** Numbers of one question. */
const MAX_ASKED = 100_000;
const GUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** The channel of a request, from its header or its URL. Throws {@link HecRefusal} for what is no GUID. */
export function channelOf({ headers }: IncomingMessage, query: URLSearchParams): string | undefined {
  const given = [headers['x-splunk-request-channel']].flat()[0] ?? query.get('channel') ?? '';
  if (given === '') return undefined;
  if (!GUID.test(given)) throw new HecRefusal(INVALID_CHANNEL, 'The channel is no GUID.');
  return given.toLowerCase();
}

export class Channels {
  /** How many numbers each has given out, from 0 on; the one that was used last at the end. */
  private readonly given = new Map<string, number>();

  /** The number of a request whose records are safe. */
  next(channel: string): number {
    const number = this.given.get(channel) ?? 0;
    this.given.delete(channel);
    if (this.given.size === MAX_CHANNELS) this.forgetOldest();
    this.given.set(channel, number + 1);
    return number;
  }

  /** Answers the body of a question, `{"acks":[0,1]}`. Throws {@link HecRefusal}. */
  answer(channel: string, question: string): string {
    const given = this.given.get(channel) ?? 0;
    const acks: Record<string, boolean> = {};
    for (const number of numbersIn(question)) acks[number] = number < given;
    return JSON.stringify({ acks });
  }

  private forgetOldest(): void {
    const [oldest = ''] = this.given.keys();
    this.given.delete(oldest);
  }
}

function numbersIn(question: string): readonly number[] {
  let value: Value;
  try {
    value = JSON.parse(question) as Value;
  } catch {
    value = null;
  }
  const acks = isRecord(value) ? value['acks'] : undefined;
  if (!Array.isArray(acks) || acks.length > MAX_ASKED || !acks.every(isNumber))
    throw new HecRefusal(INVALID_FORMAT, 'The question for acknowledgements is not {"acks":[NUMBER, …]}.');
  return acks;
}

function isNumber(value: Value): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
