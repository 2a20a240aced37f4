/** Reads the events of a cluster: goes on behind the last version that is safe everywhere, by a watch; by a list where that is too old. */
import { setTimeout as pause } from 'node:timers/promises';
import { Batch } from '../../../src/plugin.ts';
import type { Emit, Input, InputContext, LogRecord } from '../../../src/plugin.ts';
import { Backoff } from '../../shared/kubernetes/api/backoff.ts';
import type { KubeClient } from '../../shared/kubernetes/api/client.ts';
import { ApiFailure, asFailure } from '../../shared/kubernetes/api/failure.ts';
import { pagesOf } from '../../shared/kubernetes/api/list.ts';
import type { ApiTelemetry } from '../../shared/kubernetes/api/telemetry.ts';
import { watchOf } from '../../shared/kubernetes/api/watch.ts';
import { timeOf } from './event-time.ts';
import type { Position } from './position.ts';
import { readSnapshot } from './snapshot.ts';

/** Of a batch: events, and how far its versions may lie apart (offsets are 32 bits wide). */
const BATCH_EVENTS = 500;
const BATCH_SPAN = 2 ** 30;
/** Events of a page, where the configuration says nothing. */
const PAGE = 500;
/** A watch that the server did not end in time is given up after this long. Milliseconds. */
const IDLE_AFTER_MS = 30_000;
const DOING = 'reading events';

export interface EventsInputOptions {
  client: KubeClient;
  telemetry: ApiTelemetry;
  position: Position;
  /** The collection. */
  path: string;
  /** Events of a page; 0: as many as is good. */
  limit: number;
  /** What is older is not read when there is no position yet. Milliseconds. */
  retentionMs: number;
  /** Before a watch that has ended is begun again, at least. Milliseconds. */
  intervalMs: number;
  /** After which the server ends a watch, and silence is taken for a dead connection; 0: never. Seconds. */
  watchSeconds: number;
}

export class EventsInput implements Input {
  private readonly options: EventsInputOptions;
  private readonly context: InputContext;
  private readonly over = new AbortController();
  private readonly backoff = new Backoff();
  private emit: Emit = () => undefined;
  private batch = new Batch();
  /** All versions before it have been seen: once the batch is handed over, that is how far it is. */
  private seen = 0;
  private handing: Promise<void> | undefined;
  private turn: NodeJS.Immediate | undefined;
  private reading: Promise<void> | undefined;
  private why: 'start' | 'gone' = 'start';
  /** The history is to be compared with what is remembered. */
  private isDoubtful = true;
  /** The agent stops and took a batch no more: nothing behind it counts as read. */
  private isRefused = false;

  constructor(options: EventsInputOptions, context: InputContext) {
    this.options = options;
    this.context = context;
    this.seen = options.position.next;
  }

  start(emit: Emit): void {
    this.emit = emit;
    this.reading = this.read();
  }

  async stop(): Promise<void> {
    this.over.abort(new Error('The input stops.'));
    await this.reading;
  }

  async close(): Promise<void> {
    await this.options.client.close();
    this.options.telemetry.close();
  }

  /** Until it is stopped. Never rejects. */
  private async read(): Promise<void> {
    const { telemetry, intervalMs } = this.options;
    const { signal } = this.over;
    while (!signal.aborted) {
      let wait = intervalMs;
      try {
        await this.round();
      } catch (error) {
        await this.handOver();
        if (signal.aborted) break;
        const failure = asFailure(error);
        telemetry.failed(failure, DOING);
        if (failure.reason === 'gone' && this.why !== 'gone') {
          this.why = 'gone';
          continue;
        }
        this.isDoubtful = true;
        wait = this.backoff.failed(Math.max(intervalMs, failure.retryAfterMs ?? 0));
      }
      await pause(wait, undefined, { signal, ref: false }).catch(() => undefined);
    }
    await this.handOver();
  }

  /** A list, if need be, and a watch to its end. */
  private async round(): Promise<void> {
    const { client, telemetry, position, path, watchSeconds } = this.options;
    if (this.isDoubtful) await this.compare();
    if (position.next === 0 || this.why === 'gone') await this.list();
    telemetry.request('watch');
    const changes = watchOf(
      client,
      {
        path,
        query: {},
        resourceVersion: String(Math.max(this.seen - 1, 0)),
        timeoutSeconds: watchSeconds === 0 ? undefined : watchSeconds,
        // The server is to end it, not the silence.
        idleTimeoutMs: watchSeconds === 0 ? 0 : watchSeconds * 1000 + IDLE_AFTER_MS,
        onOpen: () => this.succeeded(),
      },
      this.over.signal,
    );
    for await (const { type, object, resourceVersion } of changes) {
      telemetry.change(type);
      const version = Number(resourceVersion);
      // Counted on, it would be no position any more.
      if (!Number.isSafeInteger(version))
        throw new ApiFailure('bad_answer', `${path}: a resource version of the watch is no number.`);
      if (type === 'ADDED' || type === 'MODIFIED') await this.add(object, version);
      this.seen = Math.max(this.seen, version + 1);
      this.handOverSoon();
      // While there is no room nothing more is read of the stream.
      await this.handing;
    }
    await this.handOver();
  }

  /** A cluster that was made anew, or put back to an earlier state, counts from an earlier version on: none of its events are known. */
  private async compare(): Promise<void> {
    const { client, position, path } = this.options;
    if (position.next > 0) {
      for await (const { resourceVersion } of pagesOf(client, path, { limit: 1 }, this.over.signal)) {
        if (Number(resourceVersion) + 1 < position.next) {
          this.context.log.warn(
            { remembered: position.next - 1, server: Number(resourceVersion) },
            'The API server has another history than the one that is remembered; its events are read from the beginning',
          );
          position.forget();
          this.seen = 0;
        }
        break;
      }
    }
    this.isDoubtful = false;
  }

  private async list(): Promise<void> {
    const { client, telemetry, position, path, limit, retentionMs } = this.options;
    const isFirst = position.next === 0;
    const oldest = (Date.now() - retentionMs) / 1000;
    let isCut = true;
    while (isCut) {
      telemetry.request('list');
      telemetry.listed(this.why);
      const snapshot = await readSnapshot(
        {
          client,
          path,
          limit: limit === 0 ? PAGE : limit,
          from: this.seen,
          wants: (event) => !isFirst || (timeOf(event)?.seconds ?? oldest) >= oldest,
        },
        this.over.signal,
      );
      for (const { event, version } of snapshot.events) await this.add(event, version);
      // A list without a version of its own says nothing of where it stands.
      if (Number.isFinite(snapshot.reached)) this.seen = Math.max(this.seen, snapshot.reached);
      await this.handOver();
      ({ isCut } = snapshot);
    }
    this.why = 'start';
  }

  private succeeded(): void {
    this.backoff.succeeded();
    this.options.telemetry.succeeded(DOING);
  }

  private async add(event: LogRecord, version: number): Promise<void> {
    if (version < this.seen || !Number.isSafeInteger(version)) return;
    const { length, base } = this.batch;
    if (length >= BATCH_EVENTS || (length > 0 && version - base > BATCH_SPAN)) await this.handOver();
    const { batch } = this;
    if (batch.length === 0) batch.base = version;
    const start = version - batch.base;
    const now = Date.now();
    const { seconds, nanos } = timeOf(event) ?? {
      seconds: Math.floor(now / 1000),
      nanos: (now % 1000) * 1_000_000,
    };
    batch.push(event, undefined, seconds, nanos, start, start + 1);
    this.seen = version + 1;
  }

  /** With what else is there now, so that a burst is not a batch per event. */
  private handOverSoon(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined;
      void this.handOver();
    });
  }

  /** Hands over what there is, behind what is being handed over; resolves when there is room for more. */
  private handOver(): Promise<void> {
    this.handing = (this.handing ?? Promise.resolve()).then(() => this.handOverNow());
    return this.handing;
  }

  private async handOverNow(): Promise<void> {
    const { batch, seen } = this;
    const { position } = this.options;
    if (batch.length > 0) {
      const end = batch.base + (batch.stops[batch.length - 1] as number);
      this.batch = new Batch();
      batch.source = position.source;
      await this.emit(this.context.tag, batch);
      this.isRefused ||= position.next < end;
    }
    // Behind it came what is no event to read.
    if (!this.isRefused) position.reach(seen);
  }
}
