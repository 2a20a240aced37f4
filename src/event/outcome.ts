/** What became of the records of one delivery attempt, as an output says it. */

/** A record that the destination will never take. */
export interface Rejection {
  /** Index through all slices of the attempt, from 0. */
  index: number;
  /** The destination's status for this record (HTTP status or the like), if it gave one. */
  status?: number;
  /** The destination's reason, a sentence or its own words. */
  reason: string;
}

/** Records in neither list were delivered. An index in both counts as rejected. */
export interface Outcome {
  /** Indexes to send again later, alone. */
  retry?: readonly number[];
  rejected?: readonly Rejection[];
  /** The destination's wish, milliseconds from now. */
  retryAfterMs?: number;
  /** Why something is to be sent again; shown in the log. */
  reason?: string;
}

/** Every record of the attempt was delivered. */
export const allDelivered: Outcome = Object.freeze({});

/**
 * Thrown by an output when an attempt failed through the destination (connection, timeout, 5xx, 429, 401, 403, 404) and nothing
 * is known of its records: all are sent again. Any other throw is taken for a defect or a poisonous record.
 */
export class RetryableError extends Error {
  override name = 'RetryableError';
  /** The destination's wish (Retry-After), milliseconds from now. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * Thrown by an output when the destination refuses a whole request (400, 413, 422 …) and may take its parts: the queue halves the
 * attempt down to the single record, which is then rejected with this status and reason.
 */
export class SplitError extends Error {
  override name = 'SplitError';
  /** The destination's status. */
  readonly status: number | undefined;

  constructor(reason: string, status?: number) {
    super(reason);
    this.status = status;
  }
}
