/** Why Kafka does not do what it was asked, in words that say what to do. */
import { describeFailure } from '../../../src/plugin.ts';

/** By the names of Kafka's error codes. */
const ADVICE: Readonly<Record<string, string>> = {
  SASL_AUTHENTICATION_FAILED:
    'the brokers do not accept user and password: check sasl.username and sasl.password',
  UNSUPPORTED_SASL_MECHANISM: 'the brokers do not offer that SASL mechanism: check sasl.mechanism',
  ILLEGAL_SASL_STATE: 'the brokers want no SASL at that port: check the port and security.protocol',
  TOPIC_AUTHORIZATION_FAILED:
    'this user may not do that with the topic: have it permitted (ACLs of the topic)',
  GROUP_AUTHORIZATION_FAILED:
    'this user may not read with that group_id: have it permitted (ACLs of the group)',
  CLUSTER_AUTHORIZATION_FAILED:
    'this user may not write idempotently: have IdempotentWrite permitted, or set rdkafka.enable.idempotence to false',
  UNKNOWN_TOPIC_OR_PARTITION:
    'the topic is unknown: create it, or let the brokers create topics (auto.create.topics.enable)',
  INVALID_TOPIC_EXCEPTION: 'no topic can be called that',
  LEADER_NOT_AVAILABLE: 'the partition has no leader now: see whether all brokers are up',
  NOT_LEADER_OR_FOLLOWER: 'the leader of the partition has changed',
  NOT_ENOUGH_REPLICAS: 'too few replicas are in sync: see whether all brokers are up',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'too few replicas are in sync: see whether all brokers are up',
  REQUEST_TIMED_OUT: 'the replicas did not confirm in time: see whether all brokers are up',
  KAFKA_STORAGE_ERROR: 'the disk of the broker fails: see its log',
  UNSUPPORTED_VERSION: 'the brokers are too old: Kafka 2.4 or newer is needed',
  POLICY_VIOLATION: 'a policy of the cluster forbids it',
  THROTTLING_QUOTA_EXCEEDED: 'a quota of this client is used up',
  FENCED_INSTANCE_ID: 'another process uses the same group.instance.id: give each its own',
};

/** Names of codes by number, for those that come as a number. */
export type CodeNames = Readonly<Record<number, string>>;

/** A clause about an error code of the protocol, its name in parentheses. */
export function describeCode(code: number, names: CodeNames): string {
  const name = names[code] ?? `code ${code}`;
  const words = ADVICE[name];
  return words === undefined ? `the broker says ${name}` : `${words} (${name})`;
}

/** An error of the library may carry others, as its cause and in a list. */
interface Carrier {
  message: string;
  code?: unknown;
  apiId?: unknown;
  cause?: unknown;
  errors?: unknown;
}

/** More than any error of the library carries. */
const MOST_ERRORS = 50;

function* inside(error: unknown): Generator<Carrier> {
  const open = [error];
  for (let count = 0; open.length > 0 && count < MOST_ERRORS; count++) {
    const current = open.shift();
    if (!(current instanceof Error)) continue;
    const carrier = current as Carrier;
    yield carrier;
    open.push(carrier.cause, ...(Array.isArray(carrier.errors) ? (carrier.errors as unknown[]) : []));
  }
}

/** The names of Kafka's error codes that an error carries. */
export function codesIn(error: unknown): Set<string> {
  const codes = new Set<string>();
  for (const { apiId } of inside(error)) if (typeof apiId === 'string') codes.add(apiId);
  return codes;
}

/** The name of the topic that the library found unknown. */
function unknownTopic(message: string): string | undefined {
  return /^Unknown topic (.*)\.$/.exec(message)?.[1];
}

/** Whether it says that a topic is not there. */
export function isUnknownTopic(error: unknown): boolean {
  return [...inside(error)].some(
    ({ message, apiId }) => apiId === 'UNKNOWN_TOPIC_OR_PARTITION' || unknownTopic(message) !== undefined,
  );
}

/** A clause about an error of the client. */
export function describeKafkaError(error: unknown): string {
  const all = [...inside(error)];
  for (const { apiId } of all) {
    const words = typeof apiId === 'string' ? ADVICE[apiId] : undefined;
    if (words !== undefined) return `${words} (${String(apiId)})`;
  }
  for (const { message } of all) {
    const topic = unknownTopic(message);
    if (topic !== undefined)
      return `topic "${topic}": ${ADVICE['UNKNOWN_TOPIC_OR_PARTITION'] ?? ''} (UNKNOWN_TOPIC_OR_PARTITION)`;
    if (message.startsWith('Broker requires TLS'))
      return 'the broker speaks TLS at that port: set tls to on, or take its other port';
    if (message.startsWith('TLS handshake failed')) return 'it does not speak TLS: is the port right?';
  }
  for (const one of all) {
    const words = describeFailure(one);
    if (words !== one.message) return words;
  }
  const last = all.at(-1)?.message ?? String(error);
  if (last === 'Connection closed')
    return 'the connection was closed: is it running, and does it want SASL or TLS at that port?';
  return last.replace(/\.$/, '');
}
