/**
 * A request and its answer: `reading` until its records are with the pipeline, then `waiting` for its receipt, then `answered`. It is
 * answered once, whoever comes first.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { abandon, endWhenIdle, endWhenUnread, streamOf } from './either-http.ts';
import type { Answer, Protocol } from './protocol.ts';
import type { RefusalLog } from './refusal-log.ts';
import type { Refusal } from './refusal.ts';
import type { RequestMetrics } from './request-metrics.ts';
import type { ReceiverSettings } from './settings.ts';

/** `Retry-After` of refusals that time heals. Seconds. */
const RETRY_AFTER = '1';

export interface ExchangeOptions {
  /** The client waits for a word before it sends the body. */
  expectsContinue: boolean;
  settings: Pick<ReceiverSettings, 'keepAlive' | 'maxBodyBytes' | 'bodyIdleMs'>;
  protocol: Protocol;
  metrics: RequestMetrics;
  refusals: RefusalLog;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  state: 'reading' | 'waiting' | 'answered' = 'reading';
  private readonly options: ExchangeOptions;
  private readonly aborter = new AbortController();
  private expectsContinue: boolean;
  private timer: NodeJS.Timeout | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: ExchangeOptions) {
    this.request = request;
    this.response = response;
    this.options = options;
    this.expectsContinue = options.expectsContinue;
    if (!options.settings.keepAlive) this.isLast();
    // What breaks closes too, and that is seen.
    request.on('error', () => {});
    response.on('error', () => {});
  }

  /** Aborted when the request is answered before its body is there. */
  get answered(): AbortSignal {
    return this.aborter.signal;
  }

  /** The connection is closed behind the answer. */
  isLast(): void {
    // A connection of HTTP/2 has other requests, and ends by itself.
    if (!this.response.headersSent && streamOf(this.request) === undefined)
      this.response.shouldKeepAlive = false;
  }

  /** Lets a client send its body that asked whether it may. */
  askForBody(): void {
    if (this.expectsContinue) this.response.writeContinue();
    this.expectsContinue = false;
  }

  /** Calls `act` when there is no answer after that time; in place of what was to be called before. */
  after(milliseconds: number, act: () => void): void {
    clearTimeout(this.timer);
    if (this.state !== 'answered') this.timer = setTimeout(act, milliseconds);
  }

  /** Answers with what `answer` says, else with the protocol's own success. */
  succeed(answer?: () => Answer): void {
    if (this.state === 'answered') return;
    this.send(answer === undefined ? this.options.protocol.success(this.request) : answer());
  }

  refuse(refusal: Refusal): void {
    if (this.state === 'answered') return;
    const { request, response } = this;
    const { status } = refusal;
    if (status === 0) {
      abandon(request);
      return;
    }
    this.options.refusals.refused(refusal, request.socket.remoteAddress);
    if (status === 429 || status === 503) response.setHeader('retry-after', RETRY_AFTER);
    // Whether its body comes nevertheless is not known; and a request that broke off has no end.
    if (this.expectsContinue || status === 408) this.isLast();
    const answer = this.options.protocol.refusal(request, refusal);
    if (answer === undefined) {
      abandon(request);
      return;
    }
    // A protocol may have its own status for it, or say it elsewhere.
    this.send(answer, answer.status < 400 ? status : answer.status);
    if (!request.complete) this.discardBody();
  }

  /** Answers. `counted`: the status in the metrics, where a protocol says it elsewhere. */
  send(answer: Answer, counted = answer.status): void {
    const { status, body, contentType = 'application/json', headers = [], trailers } = answer;
    const { response } = this;
    this.end();
    for (const [name, value] of headers) response.appendHeader(name, value);
    if (body.length > 0) response.setHeader('content-type', contentType);
    if (trailers !== undefined) response.addTrailers(trailers);
    else if (status !== 204) response.setHeader('content-length', Buffer.byteLength(body));
    response.writeHead(status);
    response.end(body);
    endWhenUnread(this.request, response, this.options.settings.bodyIdleMs);
    this.options.metrics.answered(counted);
  }

  /** The response is over: sent, or its connection is gone. */
  closed(): void {
    if (this.state === 'answered') return;
    this.end();
    this.options.metrics.aborted();
  }

  private end(): void {
    clearTimeout(this.timer);
    const wasReading = this.state === 'reading';
    this.state = 'answered';
    if (wasReading) this.aborter.abort();
  }

  /** Reads over the rest of a body, so that its sender comes to read the answer: a reset would destroy that. */
  private discardBody(): void {
    const { request } = this;
    endWhenIdle(request, this.options.settings.bodyIdleMs);
    let left = this.options.settings.maxBodyBytes;
    request.on('data', (piece: Buffer) => {
      left -= piece.length;
      if (left < 0) abandon(request);
    });
    request.resume();
  }
}
