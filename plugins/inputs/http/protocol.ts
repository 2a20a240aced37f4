/** Records by POST: what the http input says over the receiver. */
import type { IncomingMessage } from 'node:http';
import { addedKey, RequestBatches } from '../../shared/http-receiver/batches.ts';
import type { AddedKey, TagKey } from '../../shared/http-receiver/batches.ts';
import { mediaTypeOf } from '../../shared/http-receiver/content.ts';
import type { Exchange } from '../../shared/http-receiver/exchange.ts';
import { jsonRefusal } from '../../shared/http-receiver/protocol.ts';
import type { Answer, Protocol, TakeBody } from '../../shared/http-receiver/protocol.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import { forwardedFor } from '../../shared/http-receiver/sender.ts';
import { decoderFor } from './formats.ts';
import { tagFromPath } from './tag.ts';

export interface HttpProtocolOptions {
  /** The tag as written; with it the path of the URL does not count. */
  tag: string | undefined;
  /** The tag of requests for `/`. */
  defaultTag: string;
  tagKey: TagKey | undefined;
  /** Key that takes the sender's address. */
  remoteAddressKey: string | undefined;
  successCode: number;
  successHeaders: readonly (readonly [string, string])[];
  healthEndpoint: boolean;
}

export class HttpProtocol implements Protocol {
  readonly refusal = jsonRefusal;
  private readonly options: HttpProtocolOptions;
  private readonly answer: Answer;

  constructor(options: HttpProtocolOptions) {
    this.options = options;
    this.answer = { status: options.successCode, body: '', headers: options.successHeaders };
  }

  answersOpenly(exchange: Exchange): boolean {
    const { method, url = '' } = exchange.request;
    if (!this.options.healthEndpoint || method !== 'GET' || url.replace(/\?.*$/s, '') !== '/health')
      return false;
    exchange.send({ status: 200, body: '{"status":"ok"}\n' });
    return true;
  }

  accept({ request, response }: Exchange): TakeBody {
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      throw new Refusal(405, 'Only POST is taken here.');
    }
    const { tag, defaultTag, tagKey } = this.options;
    const decode = decoderFor(mediaTypeOf(request));
    const described = {
      tag: tag ?? tagFromPath(request.url ?? '/') ?? defaultTag,
      tagKey,
      added: this.remoteAddress(request),
      now: Date.now(),
    };
    return (body, room) => {
      const batches = new RequestBatches({ ...described, room });
      decode(body, batches);
      return batches;
    };
  }

  success(): Answer {
    return this.answer;
  }

  /** As in Fluent Bit: what a proxy says, the first of the chain; nothing without a proxy, or where the record has the key. */
  private remoteAddress(request: IncomingMessage): AddedKey[] {
    const key = this.options.remoteAddressKey;
    const address = key === undefined ? undefined : forwardedFor(request);
    return key === undefined || address === undefined ? [] : [addedKey(key, address, { yields: true })];
  }
}
