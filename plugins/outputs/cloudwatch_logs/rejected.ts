/**
 * Which events of a request CloudWatch did not take.
 *
 * Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_RejectedLogEventsInfo.html
 */
import type { RejectedLogEventsInfo } from '@aws-sdk/client-cloudwatch-logs';
import { MAX_AGE_MS, MAX_AHEAD_MS } from './limits.ts';

const TOO_OLD = 'CloudWatch refused it as too old: it takes nothing from before the last 14 days.';
const TOO_NEW = 'CloudWatch refused it as too new: it takes nothing from more than 2 hours in the future.';
const EXPIRED = 'CloudWatch refused it as expired: it is older than the retention of its log group.';

/**
 * The reason for each event that was not taken, by its index in the request. `times` are those of the events, in order, in Unix
 * milliseconds like `now`.
 *
 * Stores that speak this protocol differ in whether an index is the last or the one behind it. Where one says that something was too old
 * or too new, events that are so by their own time count as such, too: they are in the dead letters rather than nowhere.
 */
export function rejectedEvents(
  info: RejectedLogEventsInfo,
  times: readonly number[],
  now: number,
): Map<number, string> {
  const {
    tooOldLogEventEndIndex: oldEnd,
    tooNewLogEventStartIndex: newStart,
    expiredLogEventEndIndex: expiredEnd,
  } = info;
  const reasons = new Map<number, string>();
  for (const [index, time] of times.entries()) {
    if (oldEnd !== undefined && (index < oldEnd || time < now - MAX_AGE_MS)) reasons.set(index, TOO_OLD);
    else if (expiredEnd !== undefined && index < expiredEnd) reasons.set(index, EXPIRED);
    else if (newStart !== undefined && (index >= newStart || time > now + MAX_AHEAD_MS))
      reasons.set(index, TOO_NEW);
  }
  return reasons;
}
