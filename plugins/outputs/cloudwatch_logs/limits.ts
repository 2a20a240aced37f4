/**
 * What CloudWatch Logs takes in one PutLogEvents.
 *
 * Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
 */

/** The UTF-8 bytes of all messages, and {@link EVENT_OVERHEAD} for each. */
export const MAX_BATCH_BYTES = 1_048_576;
export const EVENT_OVERHEAD = 26;
export const MAX_BATCH_EVENTS = 10_000;
/** From the first to the last event of a request. Milliseconds. */
export const MAX_SPAN_MS = 24 * 3_600_000;
/** The UTF-8 bytes of one message, which is the largest that fits into a request. */
export const MAX_EVENT_BYTES = MAX_BATCH_BYTES - EVENT_OVERHEAD;
/** Older events are refused one by one. Milliseconds. */
export const MAX_AGE_MS = 14 * 24 * 3_600_000;
/** Events further in the future are refused one by one. Milliseconds. */
export const MAX_AHEAD_MS = 2 * 3_600_000;
export const MAX_NAME_LENGTH = 512;
/** The days that a log group's retention can have. */
export const RETENTION_DAYS: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];
