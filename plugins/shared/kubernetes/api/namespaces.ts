/** Namespaces by single requests, known ones refreshed in the background once they are old. */
import type { Answer, Namespace } from '../pods.ts';
import { ApiFailure } from './failure.ts';

/** That there is no such namespace, or that it may not be asked for, is believed for so long. Milliseconds. */
const BELIEVED_MS = 30_000;
const MAX_KNOWN = 10_000;

interface Known {
  answer: Answer<Namespace>;
  /** From when on it is asked for anew, monotonic milliseconds. */
  until: number;
  /** From when on it counts no more; infinite for what was found. */
  gone: number;
}

export interface NamespaceSource {
  /** Undefined: there is none. Throws {@link ApiFailure}. */
  get(name: string): Promise<Namespace | undefined>;
  ttlMs: number;
}

export class Namespaces {
  private readonly source: NamespaceSource;
  private readonly known = new Map<string, Known>();
  private readonly asking = new Map<string, Promise<Answer<Namespace>>>();

  constructor(source: NamespaceSource) {
    this.source = source;
  }

  /** What is known without waiting. */
  get(name: string): Answer<Namespace> | undefined {
    const known = this.known.get(name);
    const now = performance.now();
    if (known === undefined || now >= known.gone) return undefined;
    if (now >= known.until) void this.ask(name);
    return known.answer;
  }

  /** Asks for it; all that ask share a request. Never rejects. */
  ask(name: string): Promise<Answer<Namespace>> {
    let asking = this.asking.get(name);
    if (asking === undefined) {
      asking = this.request(name).finally(() => this.asking.delete(name));
      this.asking.set(name, asking);
    }
    return asking;
  }

  private async request(name: string): Promise<Answer<Namespace>> {
    const now = performance.now();
    try {
      const found = await this.source.get(name);
      if (found === undefined)
        return this.keep(name, { answer: 'absent', until: now + BELIEVED_MS, gone: now + BELIEVED_MS });
      const until = this.source.ttlMs === 0 ? Number.POSITIVE_INFINITY : now + this.source.ttlMs;
      return this.keep(name, { answer: { found }, until, gone: Number.POSITIVE_INFINITY });
    } catch (error) {
      const before = this.known.get(name)?.answer;
      // What was known is better than nothing.
      if (typeof before === 'object')
        return this.keep(name, { answer: before, until: now + BELIEVED_MS, gone: Number.POSITIVE_INFINITY });
      const isForbidden = error instanceof ApiFailure && error.reason === 'forbidden';
      const gone = isForbidden ? now + BELIEVED_MS : now;
      return this.keep(name, { answer: 'unknown', until: gone, gone });
    }
  }

  private keep(name: string, known: Known): Answer<Namespace> {
    if (this.known.size >= MAX_KNOWN && !this.known.has(name)) this.known.clear();
    this.known.set(name, known);
    return known.answer;
  }
}
