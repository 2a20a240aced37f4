/** Keeps the table at what the API server says of a node's pods: a list, then a watch, again and again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { LogRecord } from '../../../../src/plugin.ts';
import { Backoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import type { Contact } from './contact.ts';
import { ApiFailure } from './failure.ts';
import { pagesOf } from './list.ts';
import type { ApiTelemetry } from './telemetry.ts';
import { watchOf } from './watch.ts';

const PATH = '/api/v1/pods';
const DOING = 'watching pods';
/** Objects in a page, where the server cuts its answer. */
const PAGE = 250;
/** A watch ends after a time between these, so that a thousand of them do not end at once. Seconds. */
const WATCH_SECONDS = [300, 600] as const;
/** The server sends a bookmark each minute; silence for longer than two is a dead connection. Milliseconds. */
const IDLE_MS = 150_000;
const SHORT_MS = 1000;

export interface PodWatchOptions {
  client: KubeClient;
  nodeName: string;
  contact: Contact;
  telemetry: ApiTelemetry;
  signal: AbortSignal;
  handler: {
    /** A list begins. */
    begin(): void;
    pod(object: LogRecord): void;
    deleted(object: LogRecord): void;
    /** It is at its end: all that it did not have is gone. */
    end(): void;
    /** The list is through, or the watch goes on: what is not known now may be asked for. */
    connected(): void;
    /** It is not to be had now. */
    failed(failure: ApiFailure): void;
  };
}

/** Runs until the signal is aborted. Never throws. */
export async function watchPods(options: PodWatchOptions): Promise<void> {
  const { contact, telemetry, signal, handler } = options;
  const backoff = new Backoff();
  const watch = new PodWatch(options, backoff);
  while (!signal.aborted) {
    try {
      const since = performance.now();
      await watch.round();
      // A server that ends every watch at once is not asked as often as it can answer.
      if (performance.now() - since < SHORT_MS) await sleep(SHORT_MS * (1 + Math.random()), signal);
    } catch (error) {
      if (signal.aborted) return;
      const failure =
        error instanceof ApiFailure
          ? error
          : new ApiFailure('bad_answer', error instanceof Error ? error.message : String(error));
      telemetry.failed(failure, DOING);
      if (watch.recover(failure)) continue;
      const wait = backoff.failed(failure.retryAfterMs);
      contact.failed(performance.now() + wait);
      handler.failed(failure);
      await sleep(wait, signal);
    }
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

class PodWatch {
  private readonly options: PodWatchOptions;
  private readonly backoff: Backoff;
  private readonly query: { fieldSelector: string };
  /** Where the watch goes on; undefined: a list comes first. */
  private at: string | undefined;
  /** The newest that was seen, so that no list is older; undefined: any. Empty: the server is to look it up itself. */
  private newest: string | undefined;
  private why: 'start' | 'gone' | 'error' = 'start';

  constructor(options: PodWatchOptions, backoff: Backoff) {
    this.options = options;
    this.backoff = backoff;
    this.query = { fieldSelector: `spec.nodeName=${options.nodeName}` };
  }

  /** One list, if need be, and one watch to its end. */
  async round(): Promise<void> {
    const { client, telemetry, signal, handler } = this.options;
    this.at ??= await this.list();
    telemetry.request('watch');
    const [from, to] = WATCH_SECONDS;
    const changes = watchOf(
      client,
      {
        path: PATH,
        query: this.query,
        resourceVersion: this.at,
        timeoutSeconds: Math.round(from + Math.random() * (to - from)),
        idleTimeoutMs: IDLE_MS,
        onOpen: () => this.succeeded(),
      },
      signal,
    );
    for await (const { type, object, resourceVersion } of changes) {
      telemetry.change(type);
      if (type === 'DELETED') handler.deleted(object);
      else if (type !== 'BOOKMARK') handler.pod(object);
      this.at = resourceVersion;
      this.newest = resourceVersion;
    }
  }

  /** After a failure that a list mends at once. */
  recover({ reason }: ApiFailure): boolean {
    if (reason !== 'gone') {
      // What a stream breaks with is no reason to list anew; a line that cannot be read is.
      if (reason === 'bad_answer') this.listAnew('error');
      return false;
    }
    const wasListing = this.at === undefined;
    this.listAnew('gone');
    if (!wasListing) return true;
    // Not even as old as what was seen: the server is to look it up itself. If that fails too, it is waited for.
    const again = this.newest !== '';
    this.newest = '';
    return again;
  }

  private listAnew(why: 'gone' | 'error'): void {
    this.at = undefined;
    this.why = why;
  }

  private async list(): Promise<string> {
    const { client, telemetry, signal, handler } = this.options;
    telemetry.request('list');
    telemetry.listed(this.why);
    // Of any age at first, then no older than what was seen: from the server's memory, which is what a thousand nodes can ask for.
    const version =
      this.newest === undefined
        ? { resourceVersion: '0' }
        : this.newest === ''
          ? {}
          : { resourceVersion: this.newest, resourceVersionMatch: 'NotOlderThan' };
    handler.begin();
    let at = '';
    for await (const page of pagesOf(client, PATH, { ...this.query, ...version, limit: PAGE }, signal)) {
      for (const item of page.items) handler.pod(item);
      at = page.resourceVersion;
    }
    handler.end();
    this.newest = at;
    return at;
  }

  private succeeded(): void {
    this.backoff.succeeded();
    this.options.contact.succeeded();
    this.options.telemetry.succeeded(DOING);
    this.options.handler.connected();
  }
}
