/** The options of a receiver as its parts use them. */
import type { Secret } from '../../../src/plugin.ts';

export interface ReceiverSettings {
  host: string;
  port: number;
  backlog: number;
  sharePort: boolean;
  keepAlive: boolean;
  /** HTTP/2 is spoken too. */
  http2: boolean;
  /** For the TLS handshake, and for the head of a request. Milliseconds. */
  acceptTimeoutMs: number;
  /** For a whole request. Milliseconds. */
  requestTimeoutMs: number;
  /** Without a request on a connection, or without data within one. Milliseconds. */
  idleTimeoutMs: number;
  bodyIdleMs: number;
  /** From the last byte of a request to its answer. Milliseconds. */
  ackTimeoutMs: number;
  /** 0: no limit. */
  maxConnections: number;
  maxBodyBytes: number;
  token: Secret | undefined;
  /** `ID:KEY` in Base64, as clients of Elasticsearch send it. */
  apiKey?: string | undefined;
  user: { name: string; password: Secret } | undefined;
}
