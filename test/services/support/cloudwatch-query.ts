/** What CloudWatch Logs (moto) has, read by the SDK's own client on its own connections. */
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { parseExact } from '../../../src/event/json.ts';
import { timeOf } from './records.ts';
import type { Found } from './records.ts';

export interface FoundEvent {
  stream: string;
  /** Unix milliseconds. */
  timestamp: number;
  message: string;
}

export class CloudWatchReader {
  readonly client: CloudWatchLogsClient;

  constructor(endpoint: string, region = 'eu-central-1') {
    this.client = new CloudWatchLogsClient({
      endpoint,
      region,
      credentials: { accessKeyId: 'AKIDREADER', secretAccessKey: 'reader' },
    });
  }

  /** The group's streams, by name. */
  async streams(group: string): Promise<string[]> {
    const names: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await this.client.send(
        new DescribeLogStreamsCommand({
          logGroupName: group,
          ...(nextToken === undefined ? {} : { nextToken }),
        }),
      );
      names.push(...(page.logStreams ?? []).map(({ logStreamName = '' }) => logStreamName));
      ({ nextToken } = page);
    } while (nextToken !== undefined);
    return names;
  }

  async retention(group: string): Promise<number | undefined> {
    const { logGroups = [] } = await this.client.send(
      new DescribeLogGroupsCommand({ logGroupNamePrefix: group }),
    );
    return logGroups.find(({ logGroupName }) => logGroupName === group)?.retentionInDays;
  }

  /** All events of a group, those of a stream in their order. */
  async events(group: string): Promise<FoundEvent[]> {
    const found: FoundEvent[] = [];
    for (const stream of await this.streams(group)) {
      let token: string | undefined;
      for (;;) {
        const { events = [], nextForwardToken } = await this.client.send(
          new GetLogEventsCommand({
            logGroupName: group,
            logStreamName: stream,
            startFromHead: true,
            ...(token === undefined ? {} : { nextToken: token }),
          }),
        );
        if (events.length === 0) break;
        for (const { timestamp = 0, message = '' } of events) found.push({ stream, timestamp, message });
        token = nextForwardToken;
      }
    }
    return found;
  }

  close(): void {
    this.client.destroy();
  }
}

/** Gives the judge what was found; times are compared in milliseconds, which is what the store keeps. */
export function addEvents(judge: Found, events: readonly FoundEvent[]): void {
  for (const { timestamp, message } of events) {
    const record = parseExact(message) as { n: number };
    judge.add(record);
    const { seconds, nanos } = timeOf(record.n);
    const expected = seconds * 1000 + Math.floor(nanos / 1e6);
    if (timestamp !== expected)
      judge.wrong.push({ found: `${record.n} at ${timestamp}`, expected: `${record.n} at ${expected}` });
  }
}
