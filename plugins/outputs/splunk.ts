/** The `splunk` output: sends events to Splunk's HTTP Event Collector, and waits until they are indexed where that is wanted. */
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  AccessorSyntaxError,
  boolean,
  compileTemplate,
  defineOutput,
  enumOf,
  ignored,
  integer,
  kv,
  requireSuccess,
  secret,
  SinkPool,
  size,
  string,
  time,
} from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import { checkHttpDestination, httpDestinationOptions, openHttpClient } from '../shared/http-destination.ts';
import { authorization, headerProblem } from '../shared/http-headers.ts';
import type { Headers } from '../shared/http-headers.ts';
import { Acks } from './splunk/acks.ts';
import { readAnswer } from './splunk/answer.ts';
import type { Accepted, BadEvent } from './splunk/answer.ts';
import { compileEvents } from './splunk/events.ts';
import { sendEvents } from './splunk/send.ts';

const compressGzip = promisify(gzip);

/** What waits for an acknowledgement holds up nothing else as long as there are others. */
const ACK_WORKERS = 16;
/** An attempt is given up after five minutes. Seconds. */
const LONGEST_ACK = 240;
/** Of a refused request in the log, bytes. */
const SHOWN_BYTES = 2000;

const TEMPLATES = ['event_host', 'event_source', 'event_sourcetype_key', 'event_index_key'] as const;

export default defineOutput({
  name: 'splunk',
  summary: "Sends events to Splunk's HTTP Event Collector",
  options: {
    ...httpDestinationOptions,
    port: integer({ min: 1, max: 65_535 }).default(8088).describe('Port.'),
    splunk_token: secret()
      .optional()
      .describe('Token of the HTTP Event Collector. It or http_user is needed.'),
    http_user: string().optional().describe('User of basic authentication, instead of the token.'),
    http_passwd: secret().optional().describe('Password of basic authentication.'),
    endpoint: enumOf('event', 'raw')
      .default('event')
      .describe(
        '`event`: records in an envelope with time and metadata; `raw`: a line of text each, whose time Splunk looks for itself.',
      ),
    splunk_send_raw: boolean()
      .default(false)
      .describe('The records are the envelopes: they bring `event`, `time` and so on along themselves.'),
    event_key: string()
      .optional()
      .describe('Record accessor: its text is the event; without it the record is.'),
    event_host: string().optional().describe('Host of the events; may have variables of record and tag.'),
    event_source: string().optional().describe('Source of the events; may have variables of record and tag.'),
    event_sourcetype: string().optional().describe('Source type of the events.'),
    event_sourcetype_key: string()
      .optional()
      .describe('Record accessor of the source type; event_sourcetype where a record has none.'),
    event_index: string().optional().describe('Index. Default: that of the token.'),
    event_index_key: string()
      .optional()
      .describe('Record accessor of the index; event_index where a record has none.'),
    event_field: kv()
      .default([])
      .describe(
        '`NAME ACCESSOR`: an indexed field, may be given several times. Nested values go as JSON text.',
      ),
    auto_extract_timestamp: boolean()
      .default(false)
      .describe('Events go without time: Splunk looks for it in them.'),
    compress: enumOf('gzip').optional().describe('Compresses the requests.'),
    channel: string()
      .optional()
      .describe(
        'Channel (a GUID). Default: one of its own where it is needed, for acknowledgements and the raw endpoint.',
      ),
    indexer_ack: boolean()
      .default(false)
      .describe(
        'Records are delivered only when Splunk has indexed them. The token must have indexer acknowledgement.',
      ),
    ack_poll_interval: time().default('1s').describe('Between two questions for acknowledgements.'),
    ack_timeout: time()
      .default('2m')
      .describe('What is not acknowledged by then is sent again, and may be there twice.'),
    batch_size: size().default('1M').describe('Most bytes of records in one attempt.'),
    http_buffer_size: ignored('answers are read up to a fixed size'),
    http_debug_bad_request: boolean()
      .default(false)
      .describe('Logs the beginning of a request that was answered with 400, and the answer.'),
  },
  traits: ({ indexer_ack: acknowledged, batch_size: bytes }) =>
    acknowledged
      ? { workers: ACK_WORKERS, order: 'none', limits: { bytes } }
      : { workers: 2, limits: { bytes } },
  target: ['host', 'port', 'event_index'],
  example: `pipeline:
  outputs:
    - name: splunk
      match: app.*
      host: splunk.example.com
      tls: on
      splunk_token: \${SPLUNK_TOKEN}
      event_sourcetype: app
      event_index_key: $team
      event_host: $hostname
      event_field: level $level
      compress: gzip
      indexer_ack: on
`,
  check(options) {
    const problems: OptionProblem[] = [...checkHttpDestination(options)];
    if (options.splunk_token === undefined && options.http_user === undefined) {
      problems.push({ key: 'splunk_token', message: 'is missing: set it, or http_user and http_passwd' });
    }
    const token = options.splunk_token?.reveal().trim();
    if (token !== undefined && headerProblem('authorization', token) !== undefined) {
      problems.push({ key: 'splunk_token', message: 'holds a character that a header cannot have' });
    }
    for (const key of TEMPLATES) problems.push(...templateProblems(key, options[key]));
    problems.push(...accessorProblems('event_key', options.event_key));
    for (const [index, [, accessor]] of options.event_field.entries())
      problems.push(...accessorProblems('event_field', accessor).map((problem) => ({ ...problem, index })));
    if (options.channel !== undefined) {
      const message = headerProblem('x-splunk-request-channel', options.channel);
      if (message !== undefined) problems.push({ key: 'channel', message });
    }
    if (options.ack_timeout > LONGEST_ACK) {
      problems.push({ key: 'ack_timeout', message: `is too long: ${LONGEST_ACK}s is the most` });
    }
    if (options.endpoint === 'raw') {
      for (const key of ['event_field', 'event_sourcetype_key', 'event_index_key'] as const) {
        if ((options[key]?.length ?? 0) > 0)
          problems.push({
            key,
            message: 'does not go with endpoint raw: its metadata is that of the whole request',
          });
      }
      for (const key of ['event_host', 'event_source'] as const) {
        if (templateProblems(key, options[key]).length === 0 && hasVariables(options[key]))
          problems.push({
            key,
            message: 'may have no variables with endpoint raw: it is that of the whole request',
          });
      }
      if (options.splunk_send_raw)
        problems.push({
          key: 'splunk_send_raw',
          message: 'does not go with endpoint raw, which takes any text',
        });
    }
    return problems;
  },
  async create(options, context) {
    const client = await openHttpClient(options, context);
    const raw = options.endpoint === 'raw';
    const writeEvents = compileEvents({
      shape: raw ? 'line' : options.splunk_send_raw ? 'own' : 'event',
      withTime: !options.auto_extract_timestamp,
      eventKey: options.event_key,
      host: options.event_host,
      source: options.event_source,
      sourcetype: options.event_sourcetype,
      sourcetypeKey: options.event_sourcetype_key,
      index: options.event_index,
      indexKey: options.event_index_key,
      fields: options.event_field,
    });
    const channel = options.channel ?? (raw || options.indexer_ack ? randomUUID() : undefined);
    const path = raw ? rawPath(options) : eventPath(options.auto_extract_timestamp);
    const place = `${client.place}${path.replace(/\?.*/s, '')}`;
    const ownIndex = options.event_index_key !== undefined || options.splunk_send_raw;
    const headers: Headers = {
      'user-agent': `Tailrace/${context.agentVersion}`,
      ...credentials(options),
      ...(channel === undefined ? {} : { 'x-splunk-request-channel': channel }),
    };
    const eventHeaders =
      options.compress === undefined ? headers : { ...headers, 'content-encoding': options.compress };
    const pool = new SinkPool();
    let toldOfNoAck = false;

    const acks = new Acks({
      pollMs: options.ack_poll_interval * 1000,
      timeoutMs: options.ack_timeout * 1000,
      async ask(numbers, signal) {
        const response = await client.request({
          method: 'POST',
          path: '/services/collector/ack',
          headers,
          body: Buffer.from(JSON.stringify({ acks: numbers })),
          signal,
        });
        requireSuccess(response, `${client.place}/services/collector/ack`, true);
        return response.text;
      },
    });

    const post = async (body: Buffer, events: number, signal: AbortSignal): Promise<Accepted | BadEvent> => {
      const response = await client.request({
        method: 'POST',
        path,
        headers: eventHeaders,
        body: options.compress === undefined ? body : await compressGzip(body),
        signal,
      });
      if (response.status === 400 && options.http_debug_bad_request) {
        context.log.warn(
          { answer: response.text, request: body.toString('utf8', 0, SHOWN_BYTES) },
          'Splunk refused a request',
        );
      }
      const answer = readAnswer(response, events, ownIndex, place);
      if (options.indexer_ack && !('event' in answer) && answer.ackId === undefined && !toldOfNoAck) {
        toldOfNoAck = true;
        context.log.warn(
          {},
          'Splunk gives no acknowledgement numbers: what it takes counts as delivered; enable indexer acknowledgement for the token',
        );
      }
      return answer;
    };

    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const sink = pool.take();
        const ends: number[] = [];
        writeEvents(slices, sink, ends);
        const outcome = await sendEvents(ends.length, {
          post: (from, to) => post(sink.bytes.subarray(ends[from - 1] ?? 0, ends[to - 1]), to - from, signal),
          indexed: options.indexer_ack ? (number) => acks.wait(number, signal) : undefined,
        });
        // Not after an error: an aborted request may still be reading it.
        pool.give(sink);
        return outcome;
      },
      async close() {
        acks.close();
        await client.close();
      },
    };
  },
});

function credentials(options: {
  splunk_token: { reveal(): string } | undefined;
  http_user: string | undefined;
  http_passwd: Parameters<typeof authorization>[1];
}): Headers {
  // As in Fluent Bit: a user goes before the token.
  if (options.http_user !== undefined)
    return authorization(options.http_user, options.http_passwd, undefined);
  return { authorization: `Splunk ${options.splunk_token?.reveal().trim() ?? ''}` };
}

function eventPath(autoExtract: boolean): string {
  return `/services/collector/event${autoExtract ? '?auto_extract_timestamp=true' : ''}`;
}

function rawPath(options: {
  event_host: string | undefined;
  event_source: string | undefined;
  event_sourcetype: string | undefined;
  event_index: string | undefined;
}): string {
  const query = new URLSearchParams();
  for (const name of ['host', 'source', 'sourcetype', 'index'] as const) {
    const value = options[`event_${name}`];
    if (value !== undefined) query.set(name, value);
  }
  const text = query.toString();
  return `/services/collector/raw${text === '' ? '' : `?${text}`}`;
}

function hasVariables(template: string | undefined): boolean {
  if (template === undefined) return false;
  const { fixed, render } = compileTemplate(template);
  return !fixed || render({}, 'a') !== render({}, 'b');
}

function templateProblems(key: string, template: string | undefined): OptionProblem[] {
  if (template === undefined) return [];
  try {
    compileTemplate(template);
    return [];
  } catch (error) {
    if (error instanceof AccessorSyntaxError) return [{ key, message: `cannot be read: ${error.message}` }];
    throw error;
  }
}
