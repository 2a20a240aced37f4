/**
 * A stand-in of CloudWatch Logs that is as strict as its documentation: limits, order, names, missing groups and streams. Written from
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html; moto, which the service suite uses,
 * enforces no limits.
 */
import { startServer } from '../../../net/servers.ts';
import type { Received, TestServer } from '../../../net/servers.ts';

export interface StoredEvent {
  timestamp: number;
  message: string;
}

/** What answers a request instead of the stand-in; undefined leaves it to it. */
export interface Refusal {
  status: number;
  code: string;
  message?: string;
  headers?: Record<string, string>;
}

interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

export class StandIn {
  /** Streams by group, events by stream. */
  readonly groups = new Map<string, Map<string, StoredEvent[]>>();
  readonly settings = new Map<string, { retentionInDays?: number; logGroupClass?: string }>();
  /** The names of the requests. */
  readonly actions: string[] = [];
  readonly puts: { group: string; stream: string; events: StoredEvent[]; headers: Received['headers'] }[] =
    [];
  /** Asked before each request. */
  refuse: ((action: string, input: Record<string, unknown>, nth: number) => Refusal | undefined) | undefined;
  private server: TestServer | undefined;

  async open(): Promise<this> {
    this.server = await startServer((request, response) => {
      const action = String(request.headers['x-amz-target']).replace('Logs_20140328.', '');
      const input = JSON.parse(request.body.toString()) as Record<string, unknown>;
      this.actions.push(action);
      const refusal = this.refuse?.(action, input, this.actions.length - 1);
      const { status, body, headers } =
        refusal === undefined
          ? this.answer(action, input, request)
          : { ...error(refusal.status, refusal.code, refusal.message), headers: refusal.headers };
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...headers });
      response.end(JSON.stringify(body));
    });
    return this;
  }

  get port(): number {
    return this.server?.port ?? 0;
  }

  async close(): Promise<void> {
    await this.server?.close();
  }

  /** The events of a stream. */
  events(group: string, stream: string): StoredEvent[] {
    return this.groups.get(group)?.get(stream) ?? [];
  }

  get all(): StoredEvent[] {
    return [...this.groups.values()].flatMap((streams) => [...streams.values()].flat());
  }

  count(action: string): number {
    return this.actions.filter((name) => name === action).length;
  }

  private answer(action: string, input: Record<string, unknown>, request: Received): Answer {
    const group = String(input['logGroupName']);
    const streams = this.groups.get(group);
    const missing = error(400, 'ResourceNotFoundException', 'The specified log group does not exist.');
    switch (action) {
      case 'CreateLogGroup':
        if (streams !== undefined) return error(400, 'ResourceAlreadyExistsException');
        if (!/^[-._/#A-Za-z0-9]{1,512}$/.test(group))
          return error(400, 'InvalidParameterException', 'group name');
        this.groups.set(group, new Map());
        this.settings.set(group, { logGroupClass: String(input['logGroupClass']) });
        return ok();
      case 'PutRetentionPolicy':
        if (streams === undefined) return missing;
        this.settings.set(group, {
          ...this.settings.get(group),
          retentionInDays: Number(input['retentionInDays']),
        });
        return ok();
      case 'CreateLogStream': {
        const stream = String(input['logStreamName']);
        if (streams === undefined) return missing;
        if (streams.has(stream)) return error(400, 'ResourceAlreadyExistsException');
        if (!/^[^:*]{1,512}$/.test(stream)) return error(400, 'InvalidParameterException', 'stream name');
        streams.set(stream, []);
        return ok();
      }
      case 'PutLogEvents': {
        const stream = String(input['logStreamName']);
        const events = input['logEvents'] as StoredEvent[];
        this.puts.push({ group, stream, events, headers: request.headers });
        const problem = batchProblem(events);
        if (problem !== undefined) return error(400, 'InvalidParameterException', problem);
        const stored = streams?.get(stream);
        if (stored === undefined) return missing;
        return this.store(stored, events);
      }
      default:
        return error(400, 'UnknownOperationException');
    }
  }

  private store(stored: StoredEvent[], events: StoredEvent[]): Answer {
    const now = Date.now();
    const taken = events.filter(({ timestamp }) => isInTime(timestamp, now));
    stored.push(...taken);
    if (taken.length === events.length) return ok();
    const tooNew = events.findIndex(({ timestamp }) => timestamp > now + 2 * HOUR_MS);
    const tooOld = events.findLastIndex(({ timestamp }) => timestamp < now - 14 * DAY_MS);
    return ok({
      rejectedLogEventsInfo: {
        ...(tooNew === -1 ? {} : { tooNewLogEventStartIndex: tooNew }),
        ...(tooOld === -1 ? {} : { tooOldLogEventEndIndex: tooOld + 1 }),
      },
    });
  }
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function isInTime(timestamp: number, now: number): boolean {
  return timestamp >= now - 14 * DAY_MS && timestamp <= now + 2 * HOUR_MS;
}

/** What is wrong with the events of a request. */
export function batchProblem(events: readonly StoredEvent[]): string | undefined {
  if (events.length === 0 || events.length > 10_000) return `${events.length} events`;
  let bytes = 0;
  let before = 0;
  for (const { timestamp, message } of events) {
    if (message === '') return 'an empty message';
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) return `the time ${timestamp}`;
    if (timestamp < before) return 'events that are not in order';
    before = timestamp;
    bytes += Buffer.byteLength(message) + 26;
  }
  if (bytes > 1_048_576) return `${bytes} bytes`;
  const span = before - (events[0]?.timestamp ?? 0);
  return span > DAY_MS ? `a span of ${span} ms` : undefined;
}

function ok(body: unknown = {}): Answer {
  return { status: 200, body };
}

function error(status: number, code: string, message = 'why'): Answer {
  return { status, body: { __type: code, message } };
}
