/** Documents as Elasticsearch takes them: what the elasticsearch input says over the receiver. */
import type { IncomingMessage } from 'node:http';
import type { InputContext } from '../../../src/plugin.ts';
import { RequestBatches } from '../../shared/http-receiver/batches.ts';
import type { TagKey } from '../../shared/http-receiver/batches.ts';
import { mediaTypeOf } from '../../shared/http-receiver/content.ts';
import type { Exchange } from '../../shared/http-receiver/exchange.ts';
import type { Answer, Protocol, TakeBody, Taken } from '../../shared/http-receiver/protocol.ts';
import type { Refusal } from '../../shared/http-receiver/refusal.ts';
import { RefusedRecords } from '../../shared/http-receiver/refused-records.ts';
import type { Room } from '../../shared/http-receiver/room.ts';
import { Rarely } from '../../shared/rarely.ts';
import { decodeBulk, takeDocument } from './bulk.ts';
import { Documents } from './documents.ts';
import type { DocumentShape } from './documents.ts';
import { errorAnswer, SearchRefusal } from './errors.ts';
import { Items } from './items.ts';
import type { Probes } from './probes.ts';
import { routeOf } from './routes.ts';
import type { Route } from './routes.ts';

const NOTHING: Taken['byTag'] = new Map();
/** Clients of Elastic go on with nothing that does not say so. */
const PRODUCT = ['x-elastic-product', 'Elasticsearch'] as const;
const TYPES: ReadonlySet<string> = new Set([
  'application/json',
  'application/x-ndjson',
  'application/vnd.elasticsearch+json',
  'application/vnd.elasticsearch+x-ndjson',
]);

export interface SearchProtocolOptions extends DocumentShape {
  tag: string;
  tagKey: TagKey | undefined;
}

export class SearchProtocol implements Protocol {
  private readonly options: SearchProtocolOptions;
  private readonly probes: Probes;
  private readonly refused: RefusedRecords;
  private readonly untimed = new Rarely();
  private readonly log: InputContext['log'];

  constructor(options: SearchProtocolOptions, probes: Probes, context: InputContext) {
    this.options = options;
    this.probes = probes;
    this.refused = new RefusedRecords(context);
    this.log = context.log;
  }

  accept({ request }: Exchange): TakeBody {
    const { method = '', url = '/' } = request;
    const route = routeOf(method, url);
    if (route === undefined) {
      const answer = this.probes.answer(method, url.replace(/\?.*$/s, ''));
      if (answer === undefined) {
        const reason = `no handler found for uri [${url}] and method [${method}]`;
        throw new SearchRefusal(400, 'illegal_argument_exception', reason);
      }
      // A template may come with it, which is read over.
      return () => ({ byTag: NOTHING, answer: () => forClient(request, answer) });
    }
    if (!TYPES.has(mediaTypeOf(request))) {
      const reason = 'The Content-Type must be application/x-ndjson or application/json.';
      throw new SearchRefusal(406, 'media_type_header_exception', reason);
    }
    return (body, room) => {
      if (body.length === 0) throw new SearchRefusal(400, 'parse_exception', 'request body is required');
      return this.take(body.toString('utf8'), route, request, room);
    };
  }

  success(request: IncomingMessage): Answer {
    return forClient(request, { status: 200, body: '{}' });
  }

  refusal(request: IncomingMessage, refusal: Refusal): Answer | undefined {
    return dropsWhatIsRefused(request) && mayBeTakenLater(refusal)
      ? undefined
      : forClient(request, errorAnswer(refusal));
  }

  private take(body: string, route: Route, request: IncomingMessage, room: Room): Taken {
    const now = Date.now();
    const batches = new RequestBatches({
      tag: this.options.tag,
      tagKey: this.options.tagKey,
      added: [],
      now,
      room,
    });
    const { byTag } = batches;
    const documents = new Documents(this.options, batches, now);
    const items = new Items(room);
    if (route.kind === 'bulk') decodeBulk(body, route.target, documents, items);
    else takeDocument(body, route.action, documents, items);
    this.tellOfTimes(documents.untimed);
    const { firstError } = items;
    if (route.kind === 'document') {
      if (firstError !== undefined)
        throw new SearchRefusal(firstError.status, firstError.type, firstError.reason);
      return { byTag, answer: () => forClient(request, { status: 201, body: items.documentAnswer() }) };
    }
    if (firstError !== undefined) this.refused.count(items.refused, firstError.reason);
    return {
      byTag,
      answer: () => forClient(request, { status: 200, body: items.bulkAnswer(Date.now() - now) }),
    };
  }

  private tellOfTimes(untimed: number): void {
    if (untimed === 0) return;
    const requests = this.untimed.happened();
    if (requests === 0) return;
    const key = this.options.timeKey;
    this.log.warn(
      { key, documents: untimed, requests },
      'Cannot read the time of some documents; their time is that of arrival',
    );
  }
}

/**
 * rsyslog before 8.2606 looks at no status: a batch that is answered with anything but items is dropped. One that gets no answer it sends
 * again. It is the shipper that does not say who it is.
 */
function dropsWhatIsRefused({ headers, url = '' }: IncomingMessage): boolean {
  return headers['user-agent'] === undefined && /\/_bulk(?:\?|$)/.test(url);
}

/** With time, or with a configuration that is put right. */
function mayBeTakenLater({ status }: Refusal): boolean {
  return status === 401 || status === 408 || status === 429 || status >= 500;
}

/** The answer in the media type that the client asked for. */
function forClient({ headers }: IncomingMessage, answer: Answer): Answer {
  const wanted = /application\/vnd\.elasticsearch\+json;\s*compatible-with=\d+/.exec(
    headers.accept ?? '',
  )?.[0];
  return {
    ...answer,
    ...(wanted === undefined || answer.contentType !== undefined ? {} : { contentType: wanted }),
    headers: [PRODUCT],
  };
}
