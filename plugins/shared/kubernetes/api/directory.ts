/**
 * Pods and namespaces as the API server, or the kubelet, says them:
 *
 * - with the name of a node: by a list and a watch of its pods. What that does not have is asked for by name, once it stands.
 * - without: each pod by name when somebody wants it, and again when a container turns up that was not in it.
 * - with a kubelet: the list of its pods, again when somebody wants one that is not in it.
 */
import type { Answer, Namespace, Pod, PodDirectory, PodQuery } from '../pods.ts';
import { Backoff } from './backoff.ts';
import { objectPath } from './client.ts';
import type { KubeClient } from './client.ts';
import { Contact, wholeMs } from './contact.ts';
import { ApiFailure, asFailure } from './failure.ts';
import { pagesOf } from './list.ts';
import { Namespaces } from './namespaces.ts';
import { answerNamed, namespaceOf, podOf } from './pod-of.ts';
import { nameKey, PodTable } from './pod-table.ts';
import { watchPods } from './pod-watch.ts';
import type { DirectorySettings } from './settings.ts';
import { StringPool } from './string-pool.ts';
import type { ApiTelemetry, Doing } from './telemetry.ts';
import { Waiters } from './waiters.ts';

/** Of one object, bytes: several times what etcd takes. */
const OBJECT_BYTES = 8 * 1024 * 1024;
/** That a pod is not there, or may not be asked for, is believed for so long. Milliseconds. */
const BELIEVED_MS = 30_000;
/** Pods that are known where there is no watch. */
const MAX_PODS = 5000;
/** Between two looks for deleted pods whose time is over. Milliseconds. */
const FORGET_MS = 30_000;
/** Between two lists of the kubelet, and their age after which there is another. Milliseconds. */
const KUBELET_PAUSE_MS = 1000;
const KUBELET_TTL_MS = 60_000;
/** What a watch that goes on has missed comes within this time, milliseconds; then it is asked for. */
const CATCH_UP_MS = 200;
const KUBELET_PAGE = 10_000;

export class ApiPodDirectory implements PodDirectory {
  private readonly client: KubeClient;
  private readonly kubelet: KubeClient | undefined;
  private readonly settings: DirectorySettings;
  private readonly telemetry: ApiTelemetry;
  private readonly table = new PodTable();
  private readonly pool = new StringPool();
  private readonly contact = new Contact();
  private readonly waiters = new Waiters(() => {
    if (this.asking.size > 0) this.contact.gaveUp(performance.now());
  });
  private readonly backoff = new Backoff();
  private readonly doing: Doing;
  private readonly namespaces: Namespaces;
  private readonly over = new AbortController();
  private readonly asking = new Map<string, Promise<void>>();
  /** Of the watch: its list is through. */
  private isListed = false;
  private isWatchOpen = false;
  /** The rights for list and watch are missing: pods are asked for one by one until they are there. */
  private mayNotWatch = false;
  /** Until when no pod is asked for by name: the right is missing. Monotonic milliseconds. */
  private mayNotGetUntil = 0;
  private kubeletListedAt = Number.NEGATIVE_INFINITY;
  private kubeletListing: Promise<void> | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private readonly forgetTimer: NodeJS.Timeout;
  private readonly watching: Promise<void>;

  constructor(
    { client, kubelet }: { client: KubeClient; kubelet: KubeClient | undefined },
    settings: DirectorySettings,
    telemetry: ApiTelemetry,
  ) {
    this.client = client;
    this.kubelet = kubelet;
    this.settings = settings;
    this.doing = kubelet === undefined ? 'asking for a pod' : 'asking the kubelet';
    this.telemetry = telemetry;
    this.namespaces = new Namespaces({
      ttlMs: settings.namespaceTtlMs,
      get: (name) => this.getNamespace(name),
      telemetry,
      signal: this.over.signal,
    });
    this.forgetTimer = setInterval(() => {
      this.table.forget(performance.now());
      this.report();
    }, FORGET_MS);
    this.forgetTimer.unref();
    this.watching = this.watch();
  }

  pod(query: PodQuery): Answer<Pod> | undefined {
    const now = performance.now();
    const found = this.table.find(query);
    const believed = this.waiters.believed(query, now);
    if (found !== undefined && (believed === 'found' || !this.isStale(query))) {
      this.refresh(query, found.at, now);
      return { found: found.pod };
    }
    if (believed !== undefined && believed !== 'found') return believed;
    if (this.contact.isLost(now)) {
      this.probe(query, now);
      return found === undefined ? 'unknown' : { found: found.pod };
    }
    return undefined;
  }

  async awaitPod(query: PodQuery, waitMs: number): Promise<Answer<Pod>> {
    const known = this.pod(query);
    if (known !== undefined) return known;
    if (this.over.signal.aborted) return this.bestOf(query);
    const now = performance.now();
    const answer = this.waiters.wait(query, this.contact.patience(now, waitMs) - now, () =>
      this.bestOf(query),
    );
    this.want(query);
    return answer;
  }

  namespace(name: string): Answer<Namespace> | undefined {
    return this.namespaces.get(name);
  }

  awaitNamespace(name: string, waitMs: number): Promise<Answer<Namespace>> {
    return this.namespaces.wait(name, waitMs);
  }

  retain(query: PodQuery): { release(): void } {
    return this.table.retain(query);
  }

  hurry(): void {
    this.over.abort(new Error('The directory is closed.'));
    clearTimeout(this.retryTimer);
    this.waiters.close();
  }

  async close(): Promise<void> {
    this.hurry();
    clearInterval(this.forgetTimer);
    await this.watching;
    await this.client.close();
    await this.kubelet?.close();
    this.telemetry.pods(0, 0);
    this.telemetry.close();
  }

  /** Without a watch nobody says that a container was started anew, or the pod made anew under its name. */
  private isStale(query: PodQuery): boolean {
    return !this.isWatched && this.kubelet === undefined && !this.table.hasContainer(query);
  }

  /** Whether there is contact is seen by single requests; while the watch is broken, by that alone. */
  private get mayAsk(): boolean {
    return !this.isWatched || this.isWatchOpen;
  }

  private get isWatched(): boolean {
    return this.settings.nodeName !== undefined && this.kubelet === undefined && !this.mayNotWatch;
  }

  /** A known pod that is old is asked for again, and nobody waits for that. */
  private refresh(query: PodQuery, at: number, now: number): void {
    if (this.isWatched || now < this.contact.retryAt) return;
    if (this.kubelet !== undefined) {
      if (now - this.kubeletListedAt >= (this.settings.podTtlMs || KUBELET_TTL_MS)) void this.ask(query);
    } else if (this.settings.podTtlMs > 0 && now - at >= this.settings.podTtlMs) {
      void this.ask(query);
    }
  }

  /** While there is no contact, one that is asked for is how it is tried again; the watch does so by itself. */
  private probe(query: PodQuery, now: number): void {
    if (this.mayAsk && now >= this.contact.retryAt && this.asking.size === 0) void this.ask(query);
  }

  /** What is said of a pod when the time is over. */
  private bestOf(query: PodQuery): Answer<Pod> {
    const found = this.table.find(query);
    return found === undefined ? 'unknown' : { found: found.pod };
  }

  /** Sees to it that a pod gets known that somebody waits for. */
  private want(query: PodQuery): void {
    if (this.over.signal.aborted) return;
    const now = performance.now();
    // The watch brings it, or says when it is time to ask.
    if (this.isWatched && !this.isListed) return;
    if (now >= this.mayNotGetUntil) {
      if (now >= this.contact.retryAt) void this.ask(query);
    } else if (!this.isWatched) {
      this.settle(query, 'unknown', BELIEVED_MS);
    }
  }

  private wantAll(): void {
    for (const query of this.waiters.queries()) this.want(query);
  }

  /** One request per name at a time. Never rejects. */
  private ask(query: PodQuery): Promise<void> {
    const key = nameKey(query);
    let asking = this.asking.get(key);
    if (asking === undefined) {
      asking = this.request(query).finally(() => this.asking.delete(key));
      this.asking.set(key, asking);
    }
    return asking;
  }

  private async request(query: PodQuery): Promise<void> {
    try {
      if (this.kubelet === undefined) await this.getPod(query);
      else await this.listKubelet(this.kubelet);
      this.backoff.succeeded();
      if (this.mayAsk) this.contact.succeeded();
      this.telemetry.succeeded(this.doing);
    } catch (error) {
      if (!this.over.signal.aborted) this.askFailed(query, asFailure(error));
      return;
    }
    this.report();
    this.settle(query, 'absent', BELIEVED_MS);
  }

  private askFailed(query: PodQuery, failure: ApiFailure): void {
    const now = performance.now();
    this.telemetry.failed(failure, this.doing);
    if (failure.reason === 'forbidden') {
      this.mayNotGetUntil = now + BELIEVED_MS;
      // Where there is a watch, that may still bring it.
      if (!this.isWatched) this.waiters.settleAll('unknown', BELIEVED_MS);
      return;
    }
    const wait = this.backoff.failed(failure.retryAfterMs);
    if (!this.isWatched) {
      this.contact.failed(now + wait);
      this.waiters.shorten((left) => this.contact.patience(now, left) - now);
    }
    // As long as somebody waits, it is tried again.
    this.wantSoon(wholeMs(wait));
  }

  private wantSoon(ms: number): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.wantAll(), ms);
    this.retryTimer.unref();
  }

  private async getPod({ namespace, name }: PodQuery): Promise<void> {
    this.telemetry.request('pod');
    const object = await this.getOrNothing(objectPath('namespaces', namespace, 'pods', name));
    const pod = podOf(answerNamed(object, { namespace, name }), this.pool);
    const now = performance.now();
    if (pod !== undefined) this.table.put(pod, now);
    if (!this.isWatched) this.table.evict(MAX_PODS);
  }

  /** Undefined where there is no such object. */
  private async getOrNothing(path: string): Promise<unknown> {
    try {
      return await this.client.get(path, {}, OBJECT_BYTES, this.over.signal);
    } catch (error) {
      if (error instanceof ApiFailure && error.reason === 'not_found') return undefined;
      throw error;
    }
  }

  private async getNamespace(name: string): Promise<Namespace | undefined> {
    const object = await this.getOrNothing(objectPath('namespaces', name));
    return namespaceOf(answerNamed(object, { name }), this.pool);
  }

  /** A list that was begun after the call, shared by all that ask meanwhile. */
  private async listKubelet(kubelet: KubeClient): Promise<void> {
    await this.kubeletListing;
    this.kubeletListing ??= this.doListKubelet(kubelet).finally(() => {
      this.kubeletListing = undefined;
    });
    await this.kubeletListing;
  }

  private async doListKubelet(kubelet: KubeClient): Promise<void> {
    const wait = this.kubeletListedAt + KUBELET_PAUSE_MS - performance.now();
    if (wait > 0) await new Promise((resolve) => void setTimeout(resolve, wait));
    this.telemetry.request('kubelet');
    this.table.beginList();
    for await (const { items } of pagesOf(kubelet, '/pods', { limit: KUBELET_PAGE }, this.over.signal))
      for (const item of items) this.put(item);
    this.kubeletListedAt = performance.now();
    this.table.endList(this.kubeletListedAt);
  }

  private watch(): Promise<void> {
    const { nodeName } = this.settings;
    if (nodeName === undefined || this.kubelet !== undefined) return Promise.resolve();
    return watchPods({
      client: this.client,
      nodeName,
      contact: this.contact,
      telemetry: this.telemetry,
      signal: this.over.signal,
      handler: {
        begin: () => this.table.beginList(),
        pod: (object) => this.put(object),
        deleted: (object) => {
          const pod = this.put(object);
          if (pod !== undefined) this.table.remove(pod, performance.now());
          this.report();
        },
        end: () => {
          this.table.endList(performance.now());
          this.isListed = true;
          this.report();
        },
        connected: () => {
          this.mayNotWatch = false;
          this.isWatchOpen = true;
          this.isListed = true;
          this.waiters.forgetUnknown();
          // What came meanwhile is under way.
          this.wantSoon(CATCH_UP_MS);
        },
        failed: (failure) => this.watchFailed(failure),
      },
    });
  }

  private watchFailed({ reason }: ApiFailure): void {
    const now = performance.now();
    this.isWatchOpen = false;
    if (reason === 'forbidden') {
      // The server answers; only that it may not be watched. Whether pods may be asked for by name is another right.
      this.mayNotWatch = true;
      this.contact.succeeded();
      this.wantAll();
      return;
    }
    this.waiters.shorten((left) => this.contact.patience(now, left) - now);
  }

  private put(object: unknown): Pod | undefined {
    const pod = podOf(object, this.pool);
    if (pod === undefined) return undefined;
    this.table.put(pod, performance.now());
    this.waiters.heard(pod, (query) => this.table.find(query)?.pod);
    this.report();
    return pod;
  }

  /** Answers those that wait for a pod with what is known now. */
  private settle(query: PodQuery, otherwise: 'absent' | 'unknown', believedMs: number): void {
    this.waiters.settle(query, (each) => this.table.find(each)?.pod, otherwise, believedMs);
  }

  private report(): void {
    this.telemetry.pods(this.table.live, this.table.deletedCount);
  }
}
