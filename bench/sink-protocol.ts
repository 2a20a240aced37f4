/** What a benchmark and its destination, a process of its own, say to each other. */

/** How the destination treats requests. */
export type Weather =
  /** Answers 200 at once. */
  | { kind: 'good' }
  /** Answers 200, up to so many milliseconds late. */
  | { kind: 'slow'; ms: number }
  /** Of all requests, this share gets 429, 503, or a connection that is cut behind or within the body. */
  | { kind: 'flaky'; share: number }
  /** Takes requests and never answers; it has not got them. */
  | { kind: 'silent' };

export type Command =
  /** Listens: on any port at first, on the same one later. */
  | { ask: 'open' }
  /** Refuses connections, and cuts those that there are. */
  | { ask: 'close' }
  | { ask: 'weather'; weather: Weather }
  /** Forgets all that was counted, but not which numbered lines it has. */
  | { ask: 'forget' }
  | { ask: 'report' };

export interface StreamReport {
  /** All lines below this number are there. */
  below: number;
  /** Lines beyond the first gap. */
  beyond: number;
}

export interface Report {
  port: number;
  requests: number;
  /** Records in requests that were answered with 200 or cut behind the body. */
  records: number;
  bytes: number;
  /** Unix milliseconds of the first byte of a body; absent when there was none. */
  firstAt?: number;
  /** Milliseconds between the `at` inside of records and the arrival of their request; NaN where there is none. */
  latency: { median: number; p99: number };
  /** Numbered lines, by stream. */
  streams: Readonly<Record<string, StreamReport>>;
  /** Numbered lines that were there already. */
  doubles: number;
  /** Lines whose checksum is wrong. */
  torn: number;
}
