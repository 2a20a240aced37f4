/** The requests to CloudWatch Logs that the output makes, by the SDK's client. */
import type {
  CloudWatchLogsClient,
  LogGroupClass,
  RejectedLogEventsInfo,
} from '@aws-sdk/client-cloudwatch-logs';
import type { Aws } from '../../shared/aws/index.ts';
import type { Target } from './names.ts';

export interface LogsApi {
  /**
   * PutLogEvents with a body that is written already. Answers with what was not taken. The memory of the body must stay as it is until
   * then. All of these throw as {@link Aws.call} does.
   */
  putEvents(target: Target, body: Buffer, signal: AbortSignal): Promise<RejectedLogEventsInfo | undefined>;
  createStream(target: Target, signal: AbortSignal): Promise<void>;
  createGroup(group: string, groupClass: LogGroupClass | undefined, signal: AbortSignal): Promise<void>;
  setRetention(group: string, days: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Loads the client. `format` is the value of the header that tells CloudWatch what the messages are. */
export async function openApi(aws: Aws, format: string | undefined): Promise<LogsApi> {
  const {
    CloudWatchLogsClient: Client,
    CreateLogGroupCommand,
    CreateLogStreamCommand,
    PutLogEventsCommand,
    PutRetentionPolicyCommand,
  } = await import('@aws-sdk/client-cloudwatch-logs');
  const client: CloudWatchLogsClient = new Client(aws.clientConfig);
  return {
    putEvents: ({ group, stream }, body, signal) =>
      aws.call('PutLogEvents', signal, async (options) => {
        const command = new PutLogEventsCommand({
          logGroupName: group,
          logStreamName: stream,
          logEvents: [],
        });
        // Behind the SDK's serialiser, which would make an object and a text of every event, and before the signature.
        command.middlewareStack.add(
          (next) => (args) => {
            const request = args.request as { body: unknown; headers: Record<string, string> };
            request.body = body;
            if (format !== undefined) request.headers['x-amzn-logs-format'] = format;
            return next(args);
          },
          { step: 'build', priority: 'high', name: 'writtenBody' },
        );
        const { rejectedLogEventsInfo } = await client.send(command, options);
        return rejectedLogEventsInfo;
      }),
    createStream: ({ group, stream }, signal) =>
      aws.call('CreateLogStream', signal, async (options) => {
        await client.send(
          new CreateLogStreamCommand({ logGroupName: group, logStreamName: stream }),
          options,
        );
      }),
    createGroup: (group, groupClass, signal) =>
      aws.call('CreateLogGroup', signal, async (options) => {
        const input = {
          logGroupName: group,
          ...(groupClass === undefined ? {} : { logGroupClass: groupClass }),
        };
        await client.send(new CreateLogGroupCommand(input), options);
      }),
    setRetention: (group, days, signal) =>
      aws.call('PutRetentionPolicy', signal, async (options) => {
        await client.send(
          new PutRetentionPolicyCommand({ logGroupName: group, retentionInDays: days }),
          options,
        );
      }),
    close: () => client.destroy(),
  };
}
