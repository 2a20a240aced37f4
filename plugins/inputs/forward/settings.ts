/** The input's options as its parts use them. */
import type { Secret } from '../../../src/plugin.ts';

export interface ForwardInputSettings {
  host: string;
  port: number;
  /** Listens there instead of on host and port. */
  unix: { path: string; mode: number | undefined } | undefined;
  backlog: number;
  sharePort: boolean;
  /** For TLS, and for the handshake. Milliseconds. */
  acceptTimeoutMs: number;
  /** Without data, or without room, in the middle of a message. Milliseconds. */
  stallMs: number;
  /** Without data between two messages; 0: no limit. Milliseconds. */
  idleMs: number;
  /** From the last byte of a message to its acknowledgement. Milliseconds. */
  ackTimeoutMs: number;
  /** 0: no limit. */
  maxConnections: number;
  /** Of a message, before and after decompression. */
  maxMessageBytes: number;
  tagPrefix: string | undefined;
  /** The tag as written; with it that of a message does not count. */
  tag: string | undefined;
  /** Who connects must know it; undefined for no handshake. */
  sharedKey: string | undefined;
  selfHostname: string;
  /** Passwords; none: nobody is asked for one. */
  users: ReadonlyMap<string, Secret>;
}
