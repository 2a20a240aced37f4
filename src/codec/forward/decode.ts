/**
 * What a receiver is told in the forward protocol.
 *
 *     Message                  [tag, time, record, options?]
 *     Forward                  [tag, [event, …], options?]
 *     PackedForward            [tag, events one behind the other as text or binary data, options?]
 *     CompressedPackedForward  the same with {"compressed": "gzip"} (Fluent Bit also has zstd)
 *     heartbeat                nil
 *
 *     event                    [time, record], or [[time, metadata], record]
 *
 * Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1#event-modes
 */
import { isRecord } from '../../event/record.ts';
import type { LogRecord, Value } from '../../event/record.ts';
import { SinkPool } from '../bytes.ts';
import { appendAsJson } from '../msgpack-json.ts';
import { MsgpackError, MsgpackReader } from '../msgpack-reader.ts';
import type { ContainerAccount } from '../msgpack-reader.ts';
import { MsgpackScanner } from '../msgpack-scan.ts';
import { messageOf, writeMapHead, writeText } from '../msgpack-write.ts';

/** Takes the events of a message. */
export interface EventTaker extends ContainerAccount {
  /** A message begins, which has this tag. */
  begin(tag: string): void;
  /** `text` is the record as JSON on one line. */
  take(text: string, seconds: number, nanos: number, metadata: LogRecord | undefined): void;
  /**
   * The events from here on, up to the end of the group or the message, have this in common; JSON of a map. Fluent Bit keeps so what
   * OpenTelemetry says of several records. Undefined at the end of a group.
   */
  group(text: string | undefined): void;
}

export interface ForwardMessage {
  tag: string;
  options: ForwardOptions;
  /** The events where they came packed: for {@link decodePacked}, once they are decompressed. A view. */
  packed: Buffer | undefined;
}

export interface ForwardOptions {
  /** The sender waits for an answer with this id. */
  chunk: string | undefined;
  /** Of packed events; undefined where it is not said. */
  compressed: string | undefined;
  /** What it carries: logs, or what is not taken here. */
  signal: 'logs' | 'metrics' | 'traces' | 'other';
}

/** Events of a message are none, and nobody waits for an answer: it will not be sent again. Those in front of them were taken. */
export class BrokenEventsError extends MsgpackError {
  override name = 'BrokenEventsError';
}

const NO_OPTIONS: ForwardOptions = { chunk: undefined, compressed: undefined, signal: 'logs' };
const SIGNALS = ['logs', 'metrics', 'traces'] as const;
const sinks = new SinkPool();
/** Fluent Bit's own are 32 characters, Fluentd's 24. */
const MAX_CHUNK_ID = 1024;
/** Seconds of what begins and ends a group, -1 and -2. */
const GROUP_BEGIN = 0xffff_ffff;
const GROUP_END = 0xffff_fffe;

/**
 * Reads one message, which is all of the bytes; undefined for a heartbeat. Its events go to `into`, unless they are packed, or the message
 * carries no logs. Throws {@link MsgpackError} when it is none, maybe after some of its events ({@link BrokenEventsError} where these are all
 * that will ever come of it), and what `into` throws.
 */
export function decodeMessage(bytes: Buffer, into: EventTaker): ForwardMessage | undefined {
  const reader = new MsgpackReader(bytes, into);
  if (reader.peek() === 'nil') return undefined;
  const length = reader.readListHead();
  if (length < 2) throw new MsgpackError('A message of the forward protocol has a tag and events.');
  const tag = reader.readBytes().toString();
  into.begin(tag);
  const kind = reader.peek();
  if (kind === 'list') return { tag, options: takeEvents(reader, length > 2, into), packed: undefined };
  if (kind === 'bytes') {
    const packed = reader.readBytes();
    return { tag, options: length > 2 ? readOptions(reader).options : NO_OPTIONS, packed };
  }
  if (kind !== 'number' && kind !== 'extension') throw reader.error('A list of events or a time is expected');
  if (length < 3) throw new MsgpackError('A message of the forward protocol has a record behind its time.');
  reader.readTime();
  const { seconds, nanos } = reader;
  const record = readRecord(reader);
  const { options, metadata } = length > 3 ? readOptions(reader) : { options: NO_OPTIONS };
  if (options.signal === 'logs') into.take(record, seconds, nanos, metadata);
  return { tag, options, packed: undefined };
}

/** Reads events one behind the other. Throws {@link MsgpackError}, maybe after some of them. */
export function decodePacked(bytes: Buffer, into: EventTaker): void {
  const reader = new MsgpackReader(bytes, into);
  while (reader.peek() !== 'end') takeEvent(reader, into);
}

/** The answer to a chunk. */
export function encodeAck(chunk: string): Buffer {
  return messageOf((sink) => {
    writeMapHead(sink, 1);
    writeText(sink, 'ack');
    writeText(sink, chunk);
  });
}

/** A list of events and the options behind it. */
function takeEvents(reader: MsgpackReader, hasOptions: boolean, into: EventTaker): ForwardOptions {
  const start = reader.offset;
  try {
    for (let events = reader.readListHead(); events > 0; events--) takeEvent(reader, into);
  } catch (error) {
    if (!(error instanceof MsgpackError)) throw error;
    // Metrics come as events that are none: what the options say is the better reason.
    const options = hasOptions ? optionsBehind(reader.bytes, start, into) : NO_OPTIONS;
    if (options === undefined) throw error;
    if (options.signal !== 'logs') return options;
    throw options.chunk === undefined ? new BrokenEventsError(error.message, { cause: error }) : error;
  }
  return hasOptions ? readOptions(reader).options : NO_OPTIONS;
}

/** The options behind a list of which not all can be read; undefined where it has no end. */
function optionsBehind(bytes: Buffer, start: number, account: ContainerAccount): ForwardOptions | undefined {
  const end = new MsgpackScanner(bytes.length).end(bytes, start);
  if (end === -1) return undefined;
  const reader = new MsgpackReader(bytes, account);
  reader.offset = end;
  return readOptions(reader).options;
}

function takeEvent(reader: MsgpackReader, into: EventTaker): void {
  if (reader.readListHead() !== 2)
    throw new MsgpackError(`An event of a time and a record is expected, at byte ${reader.offset}.`);
  let metadata: LogRecord | undefined;
  const nested = reader.peek() === 'list';
  if (nested) {
    if (reader.readListHead() !== 2) throw reader.error('A time and its metadata are expected');
    reader.readTime();
    metadata = given(reader.read());
  } else {
    reader.readTime();
  }
  const { seconds, nanos } = reader;
  const record = readRecord(reader);
  if (nested && seconds === GROUP_BEGIN) into.group(record);
  else if (nested && seconds === GROUP_END) into.group(undefined);
  else into.take(record, seconds, nanos, metadata);
}

/** A record as JSON: nothing is built of it here, and maybe nowhere. */
function readRecord(reader: MsgpackReader): string {
  if (reader.peek() !== 'map') throw reader.error('A record is expected');
  const sink = sinks.take();
  appendAsJson(reader, sink);
  const text = sink.raw.toString('utf8', 0, sink.length);
  sinks.give(sink);
  return text;
}

/** Metadata where there is some. */
function given(value: Value | undefined): LogRecord | undefined {
  return isRecord(value) && Object.keys(value).length > 0 ? value : undefined;
}

function readOptions(reader: MsgpackReader): { options: ForwardOptions; metadata?: LogRecord | undefined } {
  // Old Docker sends nil.
  if (reader.peek() === 'nil') return { options: NO_OPTIONS };
  if (reader.peek() !== 'map') throw reader.error('Options are expected');
  const map = reader.read() as LogRecord;
  const { chunk, compressed, fluent_signal: signal, metadata } = map;
  if (chunk !== undefined && chunk !== null && (typeof chunk !== 'string' || chunk.length > MAX_CHUNK_ID))
    throw new MsgpackError(`The option chunk is no text of ${MAX_CHUNK_ID} characters at most.`);
  return {
    options: {
      chunk: chunk ?? undefined,
      compressed: typeof compressed === 'string' ? compressed : undefined,
      signal: typeof signal === 'number' ? (SIGNALS[signal] ?? 'other') : 'logs',
    },
    metadata: given(metadata),
  };
}
