/** HTTP Event Collector: what the splunk input says over the receiver. */
import type { IncomingMessage } from 'node:http';
import type { InputContext, LogRecord } from '../../../src/plugin.ts';
import { addedKey, RequestBatches } from '../../shared/http-receiver/batches.ts';
import type { AddedKey, TagKey } from '../../shared/http-receiver/batches.ts';
import { mediaTypeOf, textOf } from '../../shared/http-receiver/content.ts';
import type { Exchange } from '../../shared/http-receiver/exchange.ts';
import type { Answer, Protocol, TakeBody, Taken } from '../../shared/http-receiver/protocol.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import { RefusedRecords } from '../../shared/http-receiver/refused-records.ts';
import type { Room } from '../../shared/http-receiver/room.ts';
import { senderOf } from '../../shared/http-receiver/sender.ts';
import {
  ACK_DISABLED,
  CHANNEL_MISSING,
  HEALTHY,
  hecAnswer,
  hecRefusal,
  HecRefusal,
  NO_DATA,
  QUEUES_FULL,
  SUCCESS,
} from './answers.ts';
import { channelOf, Channels } from './channels.ts';
import { decodeEvents, decodeLines } from './events.ts';
import type { Decoding } from './events.ts';
import { tokenOf } from './tokens.ts';

const ROOT = '/services/collector';
const NOTHING: Taken['byTag'] = new Map();

/** Version 1.0 is the only one there is. */
const ENDPOINTS: ReadonlyMap<string, 'event' | 'raw' | 'ack' | 'health'> = new Map(
  (['event', 'raw', 'ack', 'health'] as const).flatMap((name) => [
    [`${ROOT}/${name}`, name],
    [`${ROOT}/${name}/1.0`, name],
  ]),
);

export interface HecProtocolOptions {
  tag: string;
  tagKey: TagKey | undefined;
  record: Decoding['record'];
  /** Empty: anybody may send. */
  tokens: readonly string[];
  /** Where the token of a request is kept: `metadata`, under this key of the record, or nowhere. */
  keepToken: 'metadata' | { key: string } | undefined;
  /** Key that takes the sender's address. */
  remoteAddressKey: string | undefined;
  successHeaders: readonly (readonly [string, string])[];
  /** Requests that name a channel are given numbers to ask for. */
  acknowledges: boolean;
}

export class HecProtocol implements Protocol {
  readonly refusal = (_request: IncomingMessage, refusal: Refusal): Answer => hecRefusal(refusal);
  private readonly options: HecProtocolOptions;
  private readonly reserve: InputContext['reserve'];
  private readonly refused: RefusedRecords;
  private readonly channels = new Channels();

  constructor(options: HecProtocolOptions, context: InputContext) {
    this.options = options;
    this.reserve = (bytes) => context.reserve(bytes);
    this.refused = new RefusedRecords(context);
  }

  /** Load balancers and Docker look whether somebody is there before they have a token. */
  answersOpenly(exchange: Exchange): boolean {
    const { method } = exchange.request;
    const { pathname } = urlOf(exchange.request);
    if (method === 'OPTIONS' && (pathname === ROOT || ENDPOINTS.has(pathname))) {
      exchange.send({ status: 200, body: '', headers: [['allow', 'POST, OPTIONS']] });
      return true;
    }
    if (ENDPOINTS.get(pathname) !== 'health' || (method !== 'GET' && method !== 'HEAD')) return false;
    const room = this.reserve(1);
    room?.release();
    exchange.send(hecAnswer(room === undefined ? QUEUES_FULL : HEALTHY));
    return true;
  }

  accept({ request, response }: Exchange): TakeBody {
    const { pathname, searchParams: query } = urlOf(request);
    const endpoint = pathname === ROOT ? 'event' : ENDPOINTS.get(pathname);
    if (endpoint === undefined) throw new Refusal(404, `Nothing is taken here: events go to ${ROOT}/event.`);
    if (request.method !== 'POST' || endpoint === 'health') {
      response.setHeader('allow', endpoint === 'health' ? 'GET, HEAD' : 'POST, OPTIONS');
      throw new Refusal(405, `Only ${endpoint === 'health' ? 'GET' : 'POST'} is taken here.`);
    }
    const token = tokenOf(request.headers.authorization, this.options.tokens);
    const channel = channelOf(request, query);
    if (endpoint === 'ack') return this.acceptQuestion(channel);
    const type = mediaTypeOf(request);
    return (body, room) => {
      if (body.length === 0) throw new HecRefusal(NO_DATA, 'The body is empty.');
      return this.take(
        body,
        endpoint === 'raw' ? 'raw' : type,
        channel,
        this.decoding(request, query, token, room),
      );
    };
  }

  success(): Answer {
    return { ...hecAnswer(SUCCESS), headers: this.options.successHeaders };
  }

  private acceptQuestion(channel: string | undefined): TakeBody {
    if (!this.options.acknowledges) throw new HecRefusal(ACK_DISABLED, 'indexer_ack is off.');
    if (channel === undefined)
      throw new HecRefusal(CHANNEL_MISSING, 'The question for acknowledgements names no channel.');
    return (body) => {
      const answer = this.channels.answer(channel, body.toString('utf8'));
      return { byTag: NOTHING, answer: () => ({ status: 200, body: answer }) };
    };
  }

  private take(body: Buffer, type: string, channel: string | undefined, decoding: Decoding): Taken {
    const text = textOf(body);
    const { byTag } = decoding.into;
    // As in Fluent Bit: a body for the event endpoint that is no JSON, and does not say that it is, is text.
    if (type === 'raw' || (type !== 'application/json' && !/^\s*[{[]/.test(text))) {
      decodeLines(text, decoding);
    } else {
      const { refused, first } = decodeEvents(text, decoding);
      if (first !== undefined) {
        if (byTag.size === 0) throw first;
        this.refused.count(refused, first.message);
        return { byTag, answer: () => hecRefusal(first) };
      }
    }
    if (channel === undefined || !this.options.acknowledges) return { byTag };
    return {
      byTag,
      answer: () => ({
        ...hecAnswer(SUCCESS, { ackId: this.channels.next(channel) }),
        headers: this.options.successHeaders,
      }),
    };
  }

  private decoding(
    request: IncomingMessage,
    query: URLSearchParams,
    token: string | undefined,
    room: Room,
  ): Decoding {
    const { options } = this;
    const now = Date.now();
    const added: AddedKey[] = [];
    const metadata: LogRecord = {};
    if (token !== undefined && options.keepToken !== undefined) {
      // As in Fluent Bit: the header, not the token alone.
      const header = `Splunk ${token}`;
      if (options.keepToken === 'metadata') metadata['hec_token'] = header;
      else added.push(addedKey(options.keepToken.key, header));
    }
    if (options.remoteAddressKey !== undefined)
      added.push(addedKey(options.remoteAddressKey, senderOf(request)));
    const said: LogRecord = {};
    for (const key of ['host', 'source', 'sourcetype', 'index']) {
      const value = query.get(key);
      if (value !== null) said[key] = value;
    }
    if (Object.keys(said).length > 0) metadata['splunk'] = said;
    const given = Object.keys(metadata).length === 0 ? undefined : metadata;
    const { tag, tagKey, record } = options;
    return {
      into: new RequestBatches({ tag, tagKey, added, now, room, metadata: given }),
      record,
      metadata: given,
      now,
    };
  }
}

/** The request's URL. Paths do not tell capital letters from small ones, as in Fluent Bit. */
function urlOf({ url = '/' }: IncomingMessage): { pathname: string; searchParams: URLSearchParams } {
  const [path = '', query = ''] = url.split('?', 2);
  return { pathname: path.toLowerCase().replace(/\/$/, ''), searchParams: new URLSearchParams(query) };
}
