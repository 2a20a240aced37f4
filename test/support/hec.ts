/**
 * A stand-in for Splunk's HTTP Event Collector. No receiver that speaks it can be had from the package registries, so this is the protocol
 * as Splunk's documentation has it, no more, and stricter than Splunk where that shows mistakes of ours: an envelope may have no unknown key, a
 * body nothing between its events.
 *
 *     /services/collector/event   concatenated envelopes; the first bad one is named by its number, none behind it is taken
 *     /services/collector/raw     lines; needs a channel
 *     /services/collector/ack     {"acks":[…]} → {"acks":{"0":true}}; a true is told once
 *
 * Whether Splunk keeps the events before a bad one is not documented: it does both here.
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data
 */
import { gunzipSync } from 'node:zlib';
import { parseExact } from '../../src/event/json.ts';
import type { Value } from '../../src/event/record.ts';
import { startServer } from '../net/servers.ts';
import type { Received, ServerOptions, TestServer } from '../net/servers.ts';

export interface Envelope {
  event: Value;
  time?: number;
  host?: string;
  source?: string;
  sourcetype?: string;
  index?: string;
  fields?: Record<string, Value>;
  /** As in the body. */
  text: string;
}

export interface HecOptions {
  token?: string;
  /** Indexes that the token may write to; undefined: any. */
  indexes?: readonly string[];
  /** The token has indexer acknowledgement. */
  acknowledges?: boolean;
  /** Events before a bad one are kept. */
  keepsBefore?: boolean;
  /** Bytes of a body. */
  maxLength?: number;
}

type Fault = { status: number; code: number; text: string; number?: number };

const TEXTS: Readonly<Record<number, [status: number, text: string]>> = {
  1: [403, 'Token disabled'],
  2: [401, 'Token is required'],
  3: [401, 'Invalid authorization'],
  4: [403, 'Invalid token'],
  5: [400, 'No data'],
  6: [400, 'Invalid data format'],
  7: [400, 'Incorrect index'],
  8: [500, 'Internal server error'],
  9: [503, 'Server is busy'],
  10: [400, 'Data channel is missing'],
  11: [400, 'Invalid data channel'],
  12: [400, 'Event field is required'],
  13: [400, 'Event field cannot be blank'],
  14: [400, 'ACK is disabled'],
  15: [400, 'Error in handling indexed fields'],
};
const GUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const KEYS = new Set(['time', 'host', 'source', 'sourcetype', 'index', 'fields', 'event']);

export class Hec {
  readonly options: HecOptions;
  readonly events: Envelope[] = [];
  readonly lines: string[] = [];
  /** Answered instead of everything else, by code, as long as it is set. */
  fault: number | undefined;
  /** Events are indexed as soon as they are taken; else by {@link index}. */
  indexesAtOnce = true;
  private server: TestServer | undefined;
  private nextAck = 0;
  /** By `channel number`: whether the events are indexed. */
  private readonly acks = new Map<string, boolean>();

  constructor(options: HecOptions = {}) {
    this.options = { token: 'token', ...options };
  }

  async open(serverOptions: ServerOptions = {}): Promise<this> {
    this.server = await startServer((request, response) => {
      const { status, body } = this.answer(request);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    }, serverOptions);
    return this;
  }

  get port(): number {
    return this.server?.port ?? 0;
  }

  get requests(): Received[] {
    return this.server?.requests ?? [];
  }

  async close(): Promise<void> {
    await this.server?.close();
  }

  /** Everything that was taken is indexed. */
  index(): void {
    for (const key of this.acks.keys()) this.acks.set(key, true);
  }

  /** What a restart does: no acknowledgement is known any more. */
  forgetAcks(): void {
    this.acks.clear();
    this.nextAck = 0;
  }

  private answer(request: Received): { status: number; body: unknown } {
    const fault = this.refuse(request);
    if (fault !== undefined) {
      const { status, code, text, number } = fault;
      return {
        status,
        body: { text, code, ...(number === undefined ? {} : { 'invalid-event-number': number }) },
      };
    }
    const { pathname, searchParams } = new URL(request.url, 'http://hec');
    const channel = String(request.headers['x-splunk-request-channel'] ?? searchParams.get('channel') ?? '');
    if (pathname === '/services/collector/ack') return this.answerAcks(request, channel);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(request.body) : request.body;
    const bad = pathname.endsWith('/raw')
      ? this.takeLines(body.toString())
      : this.takeEvents(body.toString());
    if (bad !== undefined) {
      const { status, code, text, number } = bad;
      return {
        status,
        body: { text, code, ...(number === undefined ? {} : { 'invalid-event-number': number }) },
      };
    }
    if (this.options.acknowledges !== true) return { status: 200, body: { text: 'Success', code: 0 } };
    const ackId = this.nextAck++;
    this.acks.set(`${channel} ${ackId}`, this.indexesAtOnce);
    return { status: 200, body: { text: 'Success', code: 0, ackId } };
  }

  /** What is wrong with a request before its body is looked at. */
  private refuse(request: Received): Fault | undefined {
    const { method, url, headers, body } = request;
    const { pathname, searchParams } = new URL(url, 'http://hec');
    if (!/^\/services\/collector\/(?:event|raw|ack)$/.test(pathname))
      return { status: 404, code: 404, text: 'Not found' };
    if (method !== 'POST') return { status: 405, code: 405, text: 'Method not allowed' };
    if (this.fault !== undefined) return faultOf(this.fault);
    if (headers.authorization === undefined) return faultOf(2);
    const [scheme, credentials = ''] = headers.authorization.split(' ');
    const token =
      scheme === 'Splunk'
        ? credentials
        : scheme === 'Basic'
          ? Buffer.from(credentials, 'base64').toString().split(':')[1]
          : undefined;
    if (token === undefined) return faultOf(3);
    if (token !== this.options.token) return faultOf(4);
    const channel = headers['x-splunk-request-channel'] ?? searchParams.get('channel') ?? undefined;
    const acks = this.options.acknowledges === true;
    if (channel === undefined && (acks || pathname.endsWith('/raw') || pathname.endsWith('/ack')))
      return faultOf(10);
    if (channel !== undefined && !GUID.test(String(channel))) return faultOf(11);
    if (pathname.endsWith('/ack') && !acks) return faultOf(14);
    if (body.length > (this.options.maxLength ?? 838_860_800))
      return { status: 413, code: 27, text: 'Request entity too large' };
    return undefined;
  }

  private answerAcks(request: Received, channel: string): { status: number; body: unknown } {
    const { acks } = JSON.parse(request.body.toString()) as { acks: number[] };
    const told: Record<string, boolean> = {};
    for (const number of acks) {
      const key = `${channel} ${number}`;
      told[number] = this.acks.get(key) ?? false;
      // A true is told once.
      if (told[number]) this.acks.delete(key);
    }
    return { status: 200, body: { acks: told } };
  }

  private takeLines(body: string): Fault | undefined {
    if (body === '') return faultOf(5);
    this.lines.push(...body.split('\n').filter((line) => line !== ''));
    return undefined;
  }

  private takeEvents(body: string): Fault | undefined {
    const texts = splitObjects(body);
    if (texts === undefined) return faultOf(6, 0);
    if (texts.length === 0) return faultOf(5);
    const taken: Envelope[] = [];
    for (const [number, text] of texts.entries()) {
      const envelope = this.readEnvelope(text);
      if (typeof envelope === 'number') {
        if (this.options.keepsBefore === true) this.events.push(...taken);
        return faultOf(envelope, number);
      }
      taken.push(envelope);
    }
    this.events.push(...taken);
    return undefined;
  }

  /** The envelope, or the code that refuses it. */
  private readEnvelope(text: string): Envelope | number {
    let value: Record<string, Value>;
    try {
      value = parseExact(text) as Record<string, Value>;
    } catch {
      return 6;
    }
    if (Object.keys(value).some((key) => !KEYS.has(key))) return 6;
    const { event, time, index, fields } = value;
    if (event === undefined) return 12;
    if (event === null || event === '') return 13;
    if (time !== undefined && typeof time !== 'number') return 6;
    if (
      ['host', 'source', 'sourcetype', 'index'].some(
        (key) => value[key] !== undefined && typeof value[key] !== 'string',
      )
    )
      return 6;
    if (fields !== undefined && !isFlat(fields)) return 15;
    const { indexes } = this.options;
    if (typeof index === 'string' && indexes !== undefined && !indexes.includes(index)) return 7;
    return { ...(value as unknown as Envelope), text };
  }
}

function faultOf(code: number, number?: number): Fault {
  const [status, text] = TEXTS[code] ?? [400, 'Unknown'];
  return { status, code, text, ...(number === undefined ? {} : { number }) };
}

function isFlat(fields: Value): boolean {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return false;
  return Object.values(fields).every((value) =>
    [value].flat().every((item) => ['string', 'number', 'boolean', 'bigint'].includes(typeof item)),
  );
}

/** The objects of a body one behind the other; undefined when there is anything else. */
function splitObjects(body: string): string[] | undefined {
  const texts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < body.length; at++) {
    const character = body[at];
    if (character === '"') {
      for (at++; at < body.length && body[at] !== '"'; at++) if (body[at] === '\\') at++;
    } else if (character === '{') {
      if (depth++ === 0) start = at;
    } else if (character === '}') {
      if (--depth === 0) texts.push(body.slice(start, at + 1));
    } else if (depth === 0 && character !== '\n') {
      return undefined;
    }
  }
  return depth === 0 ? texts : undefined;
}
