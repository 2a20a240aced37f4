/** What the main thread and its watchdog say to each other. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { LogLevel } from '../telemetry/log.ts';
import type { StallLimits } from './stall.ts';

/** A request as it came over the wire, its body read. */
export interface FrontRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Uint8Array | undefined;
  /** The caller's, from the socket. */
  address: string | undefined;
}

export interface FrontAnswer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: Uint8Array<ArrayBuffer> | string;
}

/** The body of `/ready`. */
export interface Readiness {
  ready: boolean;
  reasons: readonly string[];
}

/** Where the agent's own log goes, for a thread that writes to it by itself. */
export interface LogTarget {
  level: LogLevel;
  /** Path, undefined for stderr. */
  file: string | undefined;
  pretty: boolean;
  color: boolean;
}

/** What the thread is started with. */
export interface WatchdogData {
  /** Of the main loop's heartbeat. */
  memory: SharedArrayBuffer;
  limits: StallLimits;
  log: LogTarget;
  /** Where to serve HTTP; undefined for nowhere. */
  listen: { host: string; port: number } | undefined;
}

export type ToWatchdog =
  | { kind: 'stages'; names: readonly string[] }
  | { kind: 'ready'; readiness: Readiness }
  | { kind: 'level'; level: LogLevel }
  | { kind: 'answer'; id: number; answer: FrontAnswer };

export type FromWatchdog =
  /** It watches; `port` is the real one. */
  | { kind: 'started'; port: number | undefined }
  /** It cannot listen. */
  | { kind: 'refused'; code: string | undefined; message: string }
  | { kind: 'request'; id: number; request: FrontRequest };
