/** What a plugin says over the receiver: which requests it takes, what their bodies hold, and how it answers. */
import type { IncomingMessage } from 'node:http';
import type { Batch } from '../../../src/plugin.ts';
import type { BodyLimits } from './body.ts';
import type { Exchange } from './exchange.ts';
import type { Refusal } from './refusal.ts';
import type { Room } from './room.ts';

export interface Answer {
  /** HTTP status. */
  status: number;
  /** May be empty. */
  body: string | Buffer;
  /** `application/json` unless it is said; without body there is none. */
  contentType?: string;
  /** Further headers; a name may come several times. */
  headers?: readonly (readonly [string, string])[];
  /** What comes behind the body; by HTTP/2 only. */
  trailers?: Readonly<Record<string, string>>;
}

/** What a body held. */
export interface Taken {
  readonly byTag: ReadonlyMap<string, Batch>;
  /** The answer once these records are safe, where it depends on the body; else it is {@link Protocol.success}. Called once at most. */
  readonly answer?: () => Answer;
}

/**
 * Takes a whole body in. Throws {@link Refusal}; then nothing of the body is used. What it takes besides the body's memory it asks the
 * room for.
 */
export type TakeBody = (body: Buffer, room: Room, limits: BodyLimits) => Taken | Promise<Taken>;

export interface Protocol {
  /** Answers a request that needs no credentials, a health check; false when it is none. */
  answersOpenly?(exchange: Exchange): boolean;
  /**
   * Looks at the head of a request whose credentials are right, before the body is asked for. Undefined when it has answered
   * itself. Throws {@link Refusal}.
   */
  accept(exchange: Exchange): TakeBody | undefined;
  /** The answer to a request whose records are safe. */
  success(request: IncomingMessage): Answer;
  /**
   * The answer to a request that is not taken; `Retry-After` is added to it where that makes sense. Undefined: none, the connection is
   * cut, for clients that take any answer for a final one.
   */
  refusal(request: IncomingMessage, refusal: Refusal): Answer | undefined;
}

/** A refusal as JSON: `{"error":"…"}`. */
export function jsonRefusal(_request: IncomingMessage, { status, message }: Refusal): Answer {
  return { status, body: `${JSON.stringify({ error: message })}\n` };
}
