/** The input's options as its parts use them. */
import type { Secret } from '../../../src/plugin.ts';
import type { TagKey } from './batches.ts';

export interface HttpInputSettings {
  host: string;
  port: number;
  backlog: number;
  sharePort: boolean;
  keepAlive: boolean;
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
  user: { name: string; password: Secret } | undefined;
  /** The tag as written; with it the path of the URL does not count. */
  tag: string | undefined;
  tagKey: TagKey | undefined;
  /** Key that takes the sender's address. */
  remoteAddressKey: string | undefined;
  successCode: number;
  successHeaders: readonly (readonly [string, string])[];
  healthEndpoint: boolean;
}
