/** What a Kafka client is told, whichever way it was written: by our own keys or by `rdkafka.*`, the properties of librdkafka. */
import type { OptionProblem, OptionValues, tlsOptions, TlsSettings } from '../../../src/plugin.ts';
import { tlsSettings } from '../destination.ts';
import { PROPERTIES } from './properties.ts';

export type Role = 'producer' | 'consumer';
export type Mechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

export interface KafkaSettings {
  /** `host`, `host:port` or `[v6]:port`. */
  brokers: readonly string[];
  clientId: string;
  mechanism: Mechanism | undefined;
  username: string | undefined;
  password: string | undefined;
  /** SASL was asked for by `security.protocol`. */
  saslWanted: boolean;
  tlsOn: boolean;
  /** Over what the `tls.*` keys say. */
  tlsOver: Partial<TlsSettings>;
  /** Milliseconds. */
  connectTimeoutMs: number;
  requestTimeoutMs: number;

  /** All replicas, or the leader alone. */
  acks: 'all' | 'leader';
  idempotent: boolean;
  compression: Compression;
  /** Bytes of a batch before compression; a single larger record is sent all the same. */
  batchBytes: number;
  /** Time that a broker gets to have a batch replicated. Milliseconds. */
  ackTimeoutMs: number;

  autoCreateTopics: boolean;
  groupInstanceId: string | undefined;
  sessionTimeoutMs: number;
  heartbeatMs: number;
  /** Where a group without committed offsets begins. */
  start: 'earliest' | 'latest';
  fetchBytes: number;
  fetchPartitionBytes: number;
  fetchWaitMs: number;
  fetchMinBytes: number;
  readCommitted: boolean;
}

/** A session is over when no heartbeat came for this time, as in librdkafka. Milliseconds. */
const SESSION_MS = 45_000;
/** Of librdkafka and of Java's consumer. Milliseconds. */
const HEARTBEAT_MS = 3000;

export function defaultSettings(): KafkaSettings {
  return {
    brokers: [],
    clientId: 'fluent-bit',
    mechanism: undefined,
    username: undefined,
    password: undefined,
    saslWanted: false,
    tlsOn: false,
    tlsOver: {},
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 60_000,
    acks: 'all',
    idempotent: true,
    compression: 'none',
    batchBytes: 1_000_000,
    ackTimeoutMs: 30_000,
    autoCreateTopics: true,
    groupInstanceId: undefined,
    sessionTimeoutMs: SESSION_MS,
    heartbeatMs: HEARTBEAT_MS,
    start: 'earliest',
    fetchBytes: 4_000_000,
    fetchPartitionBytes: 1_048_576,
    fetchWaitMs: 500,
    fetchMinBytes: 1,
    readCommitted: true,
  };
}

/** Reads the properties over the settings, in file order; returns what is wrong with them. */
export function applyProperties(
  settings: KafkaSettings,
  properties: readonly (readonly [string, string])[],
  role: Role,
): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const report = (index: number, message: string, level: 'error' | 'warning'): void => {
    problems.push({ key: 'rdkafka.*', index, message, level });
  };
  for (const [index, [written, value]] of properties.entries()) {
    const name = written.toLowerCase();
    const property = Object.hasOwn(PROPERTIES, name) ? PROPERTIES[name] : undefined;
    if (property === undefined) {
      report(
        index,
        `sets ${written}, which has no equivalent here: see docs/kafka.md for the properties of librdkafka that have one`,
        'error',
      );
    } else if ('refused' in property) report(index, `sets ${written}: ${property.refused}`, 'error');
    else if ('ignored' in property)
      report(index, `sets ${written}, which has no effect: ${property.ignored}`, 'warning');
    else if (property.role !== undefined && property.role !== role)
      report(index, `sets ${written}, which has no effect: it is for a ${property.role}`, 'warning');
    else {
      const message = property.apply(settings, value.trim());
      if (message !== undefined) report(index, `sets ${written}, and its value ${message}`, 'error');
    }
  }
  return problems;
}

/** The TLS of a connection; undefined without. */
export function tlsOf(
  options: OptionValues<typeof tlsOptions>,
  settings: KafkaSettings,
): TlsSettings | undefined {
  const written = tlsSettings({ ...options, tls: options.tls || settings.tlsOn });
  return written === undefined ? undefined : { ...written, ...settings.tlsOver };
}
