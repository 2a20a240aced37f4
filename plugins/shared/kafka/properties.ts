/**
 * The properties of librdkafka (`rdkafka.*`) that have an equivalent here, those that need none, and those that are refused.
 *
 * Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
 */
import type { Compression, KafkaSettings, Mechanism, Role } from './settings.ts';

/** Sets a value; returns a clause that says what is wrong with it. */
type Apply = (settings: KafkaSettings, value: string) => string | undefined;

export type Property =
  | { apply: Apply; role?: Role | undefined }
  /** Why it is not needed. */
  | { ignored: string }
  /** Why it cannot be, and what to do. */
  | { refused: string };

const COMPRESSIONS: ReadonlySet<string> = new Set(['none', 'gzip', 'snappy', 'lz4', 'zstd']);
const MECHANISMS: ReadonlySet<string> = new Set(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']);

/** A whole number within bounds. */
function integer(
  key: { [K in keyof KafkaSettings]: KafkaSettings[K] extends number ? K : never }[keyof KafkaSettings],
  min: number,
  max: number,
  role?: Role,
): Property {
  return {
    role,
    apply(settings, value) {
      const number = Number(value);
      if (!/^\d+$/.test(value) || number < min || number > max)
        return `is not a whole number from ${min} to ${max}`;
      settings[key] = number;
    },
  };
}

function flag(set: (settings: KafkaSettings, on: boolean) => void, role?: Role): Property {
  return {
    role,
    apply(settings, value) {
      if (!/^(?:true|false|on|off|yes|no|t|f|1|0)$/i.test(value)) return 'is neither true nor false';
      set(settings, /^(?:true|on|yes|t|1)$/i.test(value));
    },
  };
}

function text(set: (settings: KafkaSettings, value: string) => void, role?: Role): Property {
  return {
    role,
    apply(settings, value) {
      set(settings, value);
      return undefined;
    },
  };
}

const brokers = text((settings, value) => {
  settings.brokers = value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
});

const mechanism: Property = {
  apply(settings, value) {
    const name = value.toUpperCase();
    if (!MECHANISMS.has(name)) return `is none of ${[...MECHANISMS].join(', ')}, which are there`;
    settings.mechanism = name as Mechanism;
  },
};

const acks: Property = {
  role: 'producer',
  apply(settings, value) {
    if (/^(?:-1|all)$/i.test(value)) settings.acks = 'all';
    else if (value === '1') {
      settings.acks = 'leader';
      settings.idempotent = false;
    } else if (value === '0') return 'would mean that nothing says whether a record arrived: write all or 1';
    else return 'is none of all, -1 and 1';
  },
};

const compression: Property = {
  role: 'producer',
  apply(settings, value) {
    const name = value.toLowerCase();
    if (!COMPRESSIONS.has(name)) return `is none of ${[...COMPRESSIONS].join(', ')}`;
    settings.compression = name as Compression;
  },
};

const start: Property = {
  role: 'consumer',
  apply(settings, value) {
    if (/^(?:earliest|smallest|beginning)$/i.test(value)) settings.start = 'earliest';
    else if (/^(?:latest|largest|end)$/i.test(value)) settings.start = 'latest';
    else return 'is none of earliest, latest and their other names';
  },
};

const ignored = (reason: string): Property => ({ ignored: reason });
const BATCHES = 'the pipeline makes the batches: see service.flush';
const OWN_COMMITS = 'offsets are committed once their records are safe';
const OWN_RETRIES = 'the pipeline sends again: see retry_limit and scheduler.cap';
const OWN_LOG = 'what happens is in the log and in the metrics';
const NO_STORE = 'certificates and keys are PEM files: write tls.ca_file, tls.crt_file and tls.key_file';
const DAY_MS = 86_400_000;

export const PROPERTIES: Readonly<Record<string, Property>> = {
  'bootstrap.servers': brokers,
  'metadata.broker.list': brokers,
  'client.id': text((settings, value) => {
    settings.clientId = value;
  }),
  'security.protocol': {
    apply(settings, value) {
      const [, sasl, ssl] = /^(sasl_)?(?:plaintext|(ssl))$/i.exec(value) ?? [undefined, '?', undefined];
      if (sasl === '?') return 'is none of plaintext, ssl, sasl_plaintext and sasl_ssl';
      settings.saslWanted = sasl !== undefined;
      settings.tlsOn = ssl !== undefined;
    },
  },
  'sasl.mechanism': mechanism,
  'sasl.mechanisms': mechanism,
  'sasl.username': text((settings, value) => {
    settings.username = value;
  }),
  'sasl.password': text((settings, value) => {
    settings.password = value;
  }),
  'ssl.ca.location': text((settings, value) => {
    settings.tlsOver.caFile = value;
  }),
  'ssl.certificate.location': text((settings, value) => {
    settings.tlsOver.crtFile = value;
  }),
  'ssl.key.location': text((settings, value) => {
    settings.tlsOver.keyFile = value;
  }),
  'ssl.key.password': text((settings, value) => {
    settings.tlsOver.keyPasswd = value;
  }),
  'ssl.cipher.suites': text((settings, value) => {
    settings.tlsOver.ciphers = value;
  }),
  'enable.ssl.certificate.verification': flag((settings, on) => {
    settings.tlsOver.verify = on;
  }),
  'ssl.endpoint.identification.algorithm': {
    apply(settings, value) {
      if (!/^(?:https|none)$/i.test(value)) return 'is neither https nor none';
      settings.tlsOver.verifyHostname = value.toLowerCase() === 'https';
    },
  },
  'socket.connection.setup.timeout.ms': integer('connectTimeoutMs', 1000, DAY_MS),
  'socket.timeout.ms': integer('requestTimeoutMs', 1000, 300_000),

  'request.required.acks': acks,
  acks,
  'enable.idempotence': flag((settings, on) => {
    settings.idempotent = on;
  }, 'producer'),
  'compression.codec': compression,
  'compression.type': compression,
  'message.max.bytes': integer('batchBytes', 1000, 1_000_000_000, 'producer'),
  'batch.size': integer('batchBytes', 1000, 1_000_000_000, 'producer'),
  'request.timeout.ms': integer('ackTimeoutMs', 1, 900_000, 'producer'),
  'allow.auto.create.topics': flag((settings, on) => {
    settings.autoCreateTopics = on;
  }),

  'group.instance.id': text((settings, value) => {
    settings.groupInstanceId = value;
  }, 'consumer'),
  'session.timeout.ms': integer('sessionTimeoutMs', 1000, 3_600_000, 'consumer'),
  'heartbeat.interval.ms': integer('heartbeatMs', 1, 3_600_000, 'consumer'),
  'auto.offset.reset': start,
  'fetch.max.bytes': integer('fetchBytes', 1000, 1_000_000_000, 'consumer'),
  'max.partition.fetch.bytes': integer('fetchPartitionBytes', 1000, 1_000_000_000, 'consumer'),
  'fetch.message.max.bytes': integer('fetchPartitionBytes', 1000, 1_000_000_000, 'consumer'),
  'fetch.wait.max.ms': integer('fetchWaitMs', 0, 300_000, 'consumer'),
  'fetch.min.bytes': integer('fetchMinBytes', 1, 100_000_000, 'consumer'),
  'isolation.level': {
    role: 'consumer',
    apply(settings, value) {
      if (!/^read_(?:un)?committed$/i.test(value)) return 'is neither read_committed nor read_uncommitted';
      settings.readCommitted = value.toLowerCase() === 'read_committed';
    },
  },

  'linger.ms': ignored(BATCHES),
  'queue.buffering.max.ms': ignored(BATCHES),
  'queue.buffering.max.messages': ignored(BATCHES),
  'queue.buffering.max.kbytes': ignored(BATCHES),
  'batch.num.messages': ignored(BATCHES),
  'compression.level': ignored("each codec has its library's own level"),
  'message.send.max.retries': ignored(OWN_RETRIES),
  retries: ignored(OWN_RETRIES),
  'retry.backoff.ms': ignored(OWN_RETRIES),
  'retry.backoff.max.ms': ignored(OWN_RETRIES),
  'message.timeout.ms': ignored('see retry_max_age'),
  'delivery.timeout.ms': ignored('see retry_max_age'),
  'max.in.flight': ignored('a partition has one batch under way at a time'),
  'max.in.flight.requests.per.connection': ignored('a partition has one batch under way at a time'),
  'enable.auto.commit': ignored(OWN_COMMITS),
  'auto.commit.interval.ms': ignored(OWN_COMMITS),
  'enable.auto.offset.store': ignored(OWN_COMMITS),
  'max.poll.interval.ms': ignored('heartbeats go on while the pipeline has no room'),
  'queued.min.messages': ignored('one fetch is under way per broker'),
  'queued.max.messages.kbytes': ignored('memory is bounded by buffer_max_size'),
  'fetch.error.backoff.ms': ignored('what fails is tried again after a second'),
  'check.crcs': ignored('TCP and TLS have checksums of their own'),
  'topic.metadata.refresh.interval.ms': ignored('what is known of topics is asked again as it is needed'),
  'metadata.max.age.ms': ignored('what is known of topics is asked again as it is needed'),
  'socket.keepalive.enable': ignored('a broken connection is noticed by its time-out'),
  'socket.nagle.disable': ignored('Nagle is always off'),
  'reconnect.backoff.ms': ignored(OWN_RETRIES),
  'reconnect.backoff.max.ms': ignored(OWN_RETRIES),
  'statistics.interval.ms': ignored(OWN_LOG),
  'log.connection.close': ignored(OWN_LOG),
  log_level: ignored(OWN_LOG),
  debug: ignored(OWN_LOG),
  'api.version.request': ignored('the brokers are always asked for their versions'),
  'broker.address.family': ignored("the operating system's resolver says"),
  'partition.assignment.strategy': ignored('the group uses roundrobin'),

  partitioner: {
    refused:
      'records with a key go to the partition that Java would choose (murmur2), those without in turn; remove the property',
  },
  'group.id': { refused: 'write it as group_id' },
  'group.protocol': {
    refused: 'the classic protocol is spoken, which every broker has; remove the property',
  },
  'transactional.id': { refused: 'there are no transactions here; remove the property' },
  'ssl.keystore.location': { refused: NO_STORE },
  'ssl.keystore.password': { refused: NO_STORE },
  'ssl.truststore.location': { refused: NO_STORE },
  'ssl.ca.pem': { refused: NO_STORE },
  'ssl.certificate.pem': { refused: NO_STORE },
  'ssl.key.pem': { refused: NO_STORE },
  'ssl.crl.location': { refused: 'revocation lists are not read; remove the property' },
  'sasl.kerberos.service.name': { refused: 'Kerberos is not there: use SCRAM, PLAIN or a certificate' },
  'sasl.oauthbearer.config': { refused: 'OAUTHBEARER is not there: use SCRAM, PLAIN or a certificate' },
};
