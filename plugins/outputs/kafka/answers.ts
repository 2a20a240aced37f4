/** What the broker's answer for a batch says about its records. Source: https://kafka.apache.org/protocol#protocol_error_codes */

const CODES = {
  NONE: 0,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  NETWORK_EXCEPTION: 13,
  INVALID_TOPIC_EXCEPTION: 17,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  INVALID_REQUIRED_ACKS: 21,
  TOPIC_AUTHORIZATION_FAILED: 29,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_VERSION: 35,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 43,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_PRODUCER_ID_MAPPING: 49,
  UNKNOWN_PRODUCER_ID: 59,
  FENCED_LEADER_EPOCH: 74,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  INVALID_RECORD: 87,
  THROTTLING_QUOTA_EXCEEDED: 89,
  PRODUCER_FENCED: 90,
} as const;

/**
 * - `stored`: the records are there, by this request or by an earlier one
 * - `too_large`: none is; smaller batches may be
 * - `refused`: none is; some of the records are at fault
 * - `in_doubt`: they may be there
 * - `session_lost`: none is; the broker does not know the producer any more
 * - `moved`: none is; what is known of the topic is stale
 * - `failed`: none is
 */
export type Verdict = 'stored' | 'too_large' | 'refused' | 'in_doubt' | 'session_lost' | 'moved' | 'failed';

const VERDICTS: ReadonlyMap<number, Verdict> = new Map<number, Verdict>([
  [CODES.NONE, 'stored'],
  [CODES.DUPLICATE_SEQUENCE_NUMBER, 'stored'],
  [CODES.MESSAGE_TOO_LARGE, 'too_large'],
  [CODES.RECORD_LIST_TOO_LARGE, 'too_large'],
  [CODES.INVALID_TIMESTAMP, 'refused'],
  [CODES.INVALID_RECORD, 'refused'],
  [CODES.REQUEST_TIMED_OUT, 'in_doubt'],
  [CODES.NOT_ENOUGH_REPLICAS_AFTER_APPEND, 'in_doubt'],
  [CODES.NETWORK_EXCEPTION, 'in_doubt'],
  [CODES.OUT_OF_ORDER_SEQUENCE_NUMBER, 'session_lost'],
  [CODES.INVALID_PRODUCER_EPOCH, 'session_lost'],
  [CODES.INVALID_PRODUCER_ID_MAPPING, 'session_lost'],
  [CODES.UNKNOWN_PRODUCER_ID, 'session_lost'],
  [CODES.PRODUCER_FENCED, 'session_lost'],
  [CODES.UNKNOWN_TOPIC_OR_PARTITION, 'moved'],
  [CODES.LEADER_NOT_AVAILABLE, 'moved'],
  [CODES.NOT_LEADER_OR_FOLLOWER, 'moved'],
  [CODES.FENCED_LEADER_EPOCH, 'moved'],
  [CODES.CORRUPT_MESSAGE, 'failed'],
  [CODES.INVALID_TOPIC_EXCEPTION, 'failed'],
  [CODES.NOT_ENOUGH_REPLICAS, 'failed'],
  [CODES.INVALID_REQUIRED_ACKS, 'failed'],
  [CODES.TOPIC_AUTHORIZATION_FAILED, 'failed'],
  [CODES.CLUSTER_AUTHORIZATION_FAILED, 'failed'],
  [CODES.UNSUPPORTED_VERSION, 'failed'],
  [CODES.UNSUPPORTED_FOR_MESSAGE_FORMAT, 'failed'],
  [CODES.POLICY_VIOLATION, 'failed'],
  [CODES.UNSUPPORTED_COMPRESSION_TYPE, 'failed'],
  [CODES.THROTTLING_QUOTA_EXCEEDED, 'failed'],
]);

/** What a code says; of one that is not known here it is not known either whether the records are there. */
export function verdictOf(code: number): Verdict {
  return VERDICTS.get(code) ?? 'in_doubt';
}
