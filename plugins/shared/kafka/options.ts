/** The options that the kafka input and output share, their check, and the settings made of them. */
import {
  boolean,
  csv,
  enumOf,
  ignored,
  prefix,
  secret,
  string,
  time,
  tlsOptions,
} from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues } from '../../../src/plugin.ts';
import { applyProperties, defaultSettings } from './settings.ts';
import type { KafkaSettings, Role } from './settings.ts';

const BY_BROKERS = 'where Kafka is stands in brokers';
const KEPT = 'connections to brokers are kept open and used for all requests';
const SYSTEM = "names are resolved by the operating system's resolver";

export const kafkaOptions = {
  brokers: csv()
    .default([])
    .describe(
      'Brokers to begin with, `host:port` each, separated by commas; they name the others. Also as rdkafka.bootstrap.servers.',
    ),
  client_id: string().default('fluent-bit').describe('Name by which the brokers know this client.'),
  'sasl.mechanism': enumOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512')
    .optional()
    .describe('How to authenticate; PLAIN when only user and password are written.'),
  'sasl.username': string().optional().describe('User of SASL.'),
  'sasl.password': secret().optional().describe('Password of SASL.'),
  ...tlsOptions,
  'net.connect_timeout': time()
    .default('10s')
    .describe('Time for connecting to a broker, TLS and SASL included.'),
  'net.io_timeout': time().default('60s').describe('Time for the answer to a request.'),
  'rdkafka.*': prefix().describe(
    'Properties of librdkafka by their names, such as rdkafka.compression.codec: those that have an equivalent, see docs/kafka.md. They win over the other keys.',
  ),
  aws_msk_iam: boolean().default(false).describe('Not there yet.'),
  aws_msk_iam_cluster_arn: ignored('it belongs to aws_msk_iam, which is not there yet'),
  host: ignored(BY_BROKERS),
  port: ignored(BY_BROKERS),
  ipv6: ignored(BY_BROKERS),
  'net.keepalive': ignored(KEPT),
  'net.keepalive_idle_timeout': ignored(KEPT),
  'net.keepalive_max_recycle': ignored(KEPT),
  'net.max_worker_connections': ignored(KEPT),
  'net.source_address': ignored('the operating system chooses the address to connect from'),
  'net.proxy_env_ignore': ignored('there are no proxies for the protocol of Kafka'),
  'net.dns.mode': ignored(SYSTEM),
  'net.dns.resolver': ignored(SYSTEM),
  'net.dns.prefer_ipv4': ignored(SYSTEM),
  'net.dns.prefer_ipv6': ignored(SYSTEM),
  'net.connect_timeout_log_error': ignored('a connection that times out is always logged'),
  'net.tcp_keepalive': ignored('a broken connection is noticed by net.io_timeout'),
  'net.tcp_keepalive_time': ignored("the operating system's value is used"),
  'net.tcp_keepalive_interval': ignored("the operating system's value is used"),
  'net.tcp_keepalive_probes': ignored("the operating system's value is used"),
};

export type KafkaValues = OptionValues<typeof kafkaOptions>;

/** What the options come to, with the problems that were found on the way. */
export function readKafkaOptions(
  options: KafkaValues,
  role: Role,
  own: Partial<KafkaSettings>,
): { settings: KafkaSettings; problems: OptionProblem[] } {
  const settings: KafkaSettings = {
    ...defaultSettings(),
    brokers: options.brokers,
    clientId: options.client_id,
    mechanism: options['sasl.mechanism'],
    username: options['sasl.username'],
    password: options['sasl.password']?.reveal(),
    connectTimeoutMs: options['net.connect_timeout'] * 1000,
    requestTimeoutMs: options['net.io_timeout'] * 1000,
    ...own,
  };
  const problems = applyProperties(settings, options['rdkafka.*'], role);
  if (settings.mechanism === undefined && (settings.saslWanted || settings.username !== undefined))
    settings.mechanism = 'PLAIN';
  problems.push(...checkSettings(settings, options));
  return { settings, problems };
}

const BROKER = /^(?:\[[\da-fA-F:.]+\]|[^\s:/[\]]+)(?::\d{1,5})?$/;
const NAME = /^\S+$/;

function checkSettings(settings: KafkaSettings, options: KafkaValues): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const { brokers, mechanism, username, password, clientId, tlsOver } = settings;
  if (brokers.length === 0)
    problems.push({ key: 'brokers', message: 'is missing: name at least one broker, as host:port' });
  const odd = brokers.find((broker) => !BROKER.test(broker));
  if (odd !== undefined)
    problems.push({ key: 'brokers', message: `holds "${odd}", which is no host:port: write each like that` });
  if (!NAME.test(clientId))
    problems.push({ key: 'client_id', message: 'holds a space: a client id is one word' });
  if (mechanism !== undefined && (username === undefined || password === undefined)) {
    problems.push({
      key: 'sasl.mechanism',
      message: `${mechanism} needs a user and a password: write sasl.username and sasl.password`,
    });
  }
  if (options.aws_msk_iam)
    problems.push({ key: 'aws_msk_iam', message: 'is not there yet: use SCRAM or a client certificate' });
  const crtFile = tlsOver.crtFile ?? options['tls.crt_file'];
  const keyFile = tlsOver.keyFile ?? options['tls.key_file'];
  if ((crtFile === undefined) !== (keyFile === undefined)) {
    problems.push({
      key: crtFile === undefined ? 'tls.key_file' : 'tls.crt_file',
      message: 'stands alone: an own certificate takes both tls.crt_file and tls.key_file',
    });
  }
  const encrypted = options.tls || settings.tlsOn;
  const verify = tlsOver.verify ?? options['tls.verify'];
  const verifyHostname = tlsOver.verifyHostname ?? options['tls.verify_hostname'];
  if (encrypted && !(verify && verifyHostname)) {
    problems.push({
      key: verify ? 'tls.verify_hostname' : 'tls.verify',
      message:
        'is off: whoever is on the way can read and change the records; set tls.ca_file or tls.vhost instead',
      level: 'warning',
    });
  }
  if (mechanism === 'PLAIN' && !encrypted) {
    problems.push({
      key: 'sasl.mechanism',
      message: 'PLAIN sends the password as it is, and there is no tls: whoever is on the way can read it',
      level: 'warning',
    });
  }
  return problems;
}

/** The settings, for `create`: the check has found them good. */
export function settingsOf(options: KafkaValues, role: Role, own: Partial<KafkaSettings>): KafkaSettings {
  return readKafkaOptions(options, role, own).settings;
}

const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/;

/** Whether Kafka takes it as the name of a topic. */
export function isTopicName(name: string): boolean {
  return TOPIC.test(name) && name !== '.' && name !== '..';
}

export function checkTopics(topics: readonly string[]): OptionProblem[] {
  if (topics.length === 0) return [{ key: 'topics', message: 'is empty: name at least one topic' }];
  const odd = topics.find((topic) => !isTopicName(topic));
  if (odd === undefined) return [];
  const regex = odd.startsWith('^') ? ' (patterns are not there: name the topics)' : '';
  return [
    {
      key: 'topics',
      message: `holds "${odd}", which no topic can be called${regex}: letters, digits, ., _ and - only, 249 at most`,
    },
  ];
}
