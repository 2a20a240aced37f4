/** Namespaces by single requests, known ones refreshed in the background once they are old. */
import type { Answer, Namespace } from '../pods.ts';
import { Backoff } from './backoff.ts';
import { Contact, wholeMs } from './contact.ts';
import { asFailure } from './failure.ts';
import type { ApiTelemetry, Doing } from './telemetry.ts';

/** That there is no such namespace, or that it may not be asked for, is believed for so long. Milliseconds. */
const BELIEVED_MS = 30_000;
const MAX_KNOWN = 10_000;
const DOING: Doing = 'asking for a namespace';

interface Known {
  answer: Answer<Namespace>;
  /** From when on it is asked for anew, monotonic milliseconds. */
  until: number;
  /** From when on it counts no more; infinite for what was found. */
  gone: number;
}

export interface NamespaceSource {
  /** Undefined: there is none. Throws. */
  get(name: string): Promise<Namespace | undefined>;
  /** Milliseconds; 0: what is known is not asked for again. */
  ttlMs: number;
  telemetry: ApiTelemetry;
  /** When it is over, failures say nothing. */
  signal: AbortSignal;
}

export class Namespaces {
  private readonly source: NamespaceSource;
  /** Not that of pods: those may come by a watch, from a kubelet, or not be asked for at all. */
  private readonly contact = new Contact();
  private readonly backoff = new Backoff();
  private readonly known = new Map<string, Known>();
  private readonly asking = new Map<string, Promise<Answer<Namespace>>>();

  constructor(source: NamespaceSource) {
    this.source = source;
  }

  /** What is known without waiting; undefined when it would have to be asked for. */
  get(name: string): Answer<Namespace> | undefined {
    const known = this.known.get(name);
    const now = performance.now();
    const { retryAt } = this.contact;
    if (known !== undefined && now < known.gone) {
      if (now >= known.until && now >= retryAt) void this.ask(name);
      return known.answer;
    }
    if (now < retryAt) return 'unknown';
    if (!this.contact.isLost(now)) return undefined;
    // Nobody waits, and one that is asked for is how it is tried again.
    void this.ask(name);
    return 'unknown';
  }

  async wait(name: string, waitMs: number): Promise<Answer<Namespace>> {
    const known = this.get(name);
    if (known !== undefined) return known;
    const now = performance.now();
    const { promise, resolve } = Promise.withResolvers<Answer<Namespace>>();
    const late = (): void => {
      this.contact.gaveUp(performance.now());
      resolve('unknown');
    };
    const timer = setTimeout(late, wholeMs(this.contact.patience(now, waitMs) - now));
    void this.ask(name).then(resolve);
    return promise.finally(() => clearTimeout(timer));
  }

  /** All that ask share a request. Never rejects. */
  private ask(name: string): Promise<Answer<Namespace>> {
    let asking = this.asking.get(name);
    if (asking === undefined) {
      asking = this.request(name).finally(() => this.asking.delete(name));
      this.asking.set(name, asking);
    }
    return asking;
  }

  private async request(name: string): Promise<Answer<Namespace>> {
    const { telemetry, signal, ttlMs } = this.source;
    telemetry.request('namespace');
    try {
      const found = await this.source.get(name);
      telemetry.succeeded(DOING);
      this.backoff.succeeded();
      this.contact.succeeded();
      const now = performance.now();
      if (found === undefined) return this.keep(name, 'absent', now + BELIEVED_MS);
      return this.keep(name, { found }, ttlMs === 0 ? Number.POSITIVE_INFINITY : now + ttlMs);
    } catch (error) {
      const failure = asFailure(error);
      if (!signal.aborted) telemetry.failed(failure, DOING);
      return this.failed(name, failure.reason === 'forbidden', failure.retryAfterMs);
    }
  }

  private failed(name: string, isForbidden: boolean, retryAfterMs: number | undefined): Answer<Namespace> {
    const now = performance.now();
    if (isForbidden) this.contact.succeeded();
    else this.contact.failed(now + this.backoff.failed(retryAfterMs));
    const before = this.known.get(name)?.answer;
    // What was known is better than nothing.
    if (typeof before === 'object') return this.keep(name, before, now + BELIEVED_MS);
    return this.keep(name, 'unknown', isForbidden ? now + BELIEVED_MS : now);
  }

  private keep(name: string, answer: Answer<Namespace>, until: number): Answer<Namespace> {
    if (this.known.size >= MAX_KNOWN && !this.known.has(name)) this.known.clear();
    const gone = typeof answer === 'object' ? Number.POSITIVE_INFINITY : until;
    this.known.set(name, { answer, until, gone });
    return answer;
  }
}
