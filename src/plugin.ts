/**
 * The plugin SDK: what a plugin is, and all that it may use. A plugin imports this module and its own libraries, nothing else
 * of the engine and never another plugin.
 *
 * The contracts stand here, on the interfaces; `test/contract/` runs them against every plugin.
 */
import type * as forward from './codec/forward/index.ts';
import type * as gelf from './codec/gelf.ts';
import type * as msgpack from './codec/msgpack.ts';
import type * as otlp from './codec/otlp/index.ts';
import type * as snappy from './codec/snappy.ts';
import type { Batch, ParsedEvent } from './event/batch.ts';
import type { Slice } from './event/chunk.ts';
import type { Outcome } from './event/outcome.ts';
import type { Receipt } from './event/receipt.ts';
import type { ObjectPlan } from './event/manifest.ts';
import type { Source } from './event/source.ts';
import type { OptionFields, OptionValues } from './config/schema.ts';
import type * as datagramClient from './net/datagram-client.ts';
import type * as httpClient from './net/http-client.ts';
import type * as listenerTls from './net/listener-tls.ts';
import type * as streamClient from './net/stream-client.ts';
import type * as tls from './net/tls.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { SourceStore } from './state/store.ts';

/** What every plugin instance gets. */
export interface PluginContext {
  /** Name of this instance: its alias, else plugin and ordinal (`tail.0`). Label of its metrics. */
  readonly name: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /**
   * The plugin's own keys as written, lower-cased, in file order, one entry per list item; values as text.
   * For plugins whose options are rules that run in the order in which they stand.
   */
  readonly entries: readonly { key: string; value: string }[];
  /** The parser with this name; the configuration check has made sure that it exists. */
  parser(name: string): Parser;
  /** The parser with a name that data chose ({@link FilterDefinition.anyParser}); undefined when there is none. */
  findParser(name: string): Parser | undefined;
  /** Directory that relative paths are resolved against: the working directory. */
  readonly cwd: string;
  /** service.json.* settings and the like that change how plugins of one family write. */
  readonly agentVersion: string;
}

// ---------------------------------------------------------------- inputs

/**
 * Hands a batch to the pipeline. Synchronous up to the point where the batch is encoded: when the call returns, the batch and
 * the memory that its lines are read from are free again. The promise, if any, resolves when there is room for more: awaiting
 * it is backpressure. It never rejects. After `stop` it resolves at once and the batch is not taken (`false`).
 */
export type Emit = (tag: string, batch: Batch, receipt?: Receipt) => Promise<void> | undefined;

/** Memory set aside in the input's account. */
export interface Reservation {
  /** Gives it back: its records were handed over, or it is not needed. Further calls do nothing. */
  release(): void;
}

/** What an input can set aside when nothing else is there. */
export interface LargestReservation {
  /** All reservations together. */
  bytes: number;
  /** The option that says so. */
  option: string;
}

export interface InputContext extends PluginContext {
  /** The tag as configured, `<plugin>.<n>` by default; may hold `*`. */
  readonly tag: string;
  /** Positions of sources; absent with `state_path: off`. */
  readonly store: SourceStore | undefined;
  /**
   * Sets memory aside for what is about to be read and cannot be read again (a request's body), before it is read. Undefined when
   * there is no room: refuse it, so that its sender keeps it (HTTP 429).
   */
  reserve(bytes: number): Reservation | undefined;
  /** The most that {@link reserve} can ever give: what needs more is to be refused for good (HTTP 413), with what to raise. */
  largestReservation(): LargestReservation;
  /**
   * Counts bytes among those of the input that it keeps of records that are not complete; negative when they are let go. False when it
   * keeps so much that the pipeline may run short: some of it must go on as it is.
   */
  keep(bytes: number): boolean;
  /**
   * Moves what was read of a source and is not settled yet to the disk buffer: the source can soon be read no more (its file was deleted
   * or truncated). Resolves with true when all of it is settled or durable there, false when there is no disk or no room.
   */
  secure(source: Source): Promise<boolean>;
  /** Counts records that go before they become events; both feed the ledger: read = … + dropped. */
  drop(reason: string, count: number): void;
  /**
   * The plugin is done for good (`exit_on_eof`, dummy's last sample): the agent may stop once all of it is delivered. `code`: what the
   * agent is to exit with then, where it runs to its end by itself; 0 to 255.
   */
  finished(options?: { exit?: boolean; code?: number }): void;
}

export interface Input {
  /** It ends by itself with `finished({ exit: true })`: the agent exits when all such inputs did and everything is delivered. */
  readonly finite?: boolean;
  /** Starts reading. Resolves when it runs; throws only for what makes the whole agent's start fail (a port that is taken). */
  start(emit: Emit): Promise<void> | void;
  /**
   * Stops reading: when it resolves no `emit` starts any more. Sources stay open so that positions can still be settled. Until `over` is
   * aborted it may go on to read what cannot be read later (a deleted file); batches are not taken after that.
   */
  stop(over?: AbortSignal): Promise<void> | void;
  /** Lets go of everything. After `stop`, once everything is settled or the grace time is over. */
  close?(): Promise<void> | void;
  /** Per file that it follows, the bytes that are not read or not settled; for `tailrace status`. */
  lag?(): readonly { file: string; bytes: number }[];
}

// ---------------------------------------------------------------- parsers

export interface Parser {
  readonly name: string;
  /**
   * Parses one line (no line end) into `into`. Synchronous; never throws. On false `into` is undefined garbage and
   * {@link failure} says why.
   */
  parse(line: string, into: ParsedEvent): boolean;
  /** Why the last `parse` answered false: a constant sentence, for a counter and a rate-limited log line. */
  failure(): string;
}

export interface ParserContext {
  readonly name: string;
  readonly log: Logger;
}

// ---------------------------------------------------------------- filters

/** Why held events must come out. */
export type FlushReason = 'timer' | 'pressure' | 'reload' | 'stop';

/** A batch that a filter had held. */
export interface Released {
  tag: string;
  batch: Batch;
}

/** Events that a filter holds: they count as buffered and keep their source's mark back. */
export interface Held {
  /** `batch.input` of the events. */
  input: string;
  records: number;
  bytes: number;
  source?: Source;
  /** Offset of the first held byte in the source. */
  from?: number;
}

export interface Filter {
  /**
   * Works on a batch in place: `batch.edit`, `set`, `replace`, `retain`. Called for one batch at a time, in order. A throw is a
   * defect: the batch passes unchanged, is counted and logged. May be async per batch, never per record.
   */
  process(batch: Batch, tag: string): void | Promise<void>;
  /** Gives out what the filter holds; the batches go on to the filters behind this one. */
  flush?(reason: FlushReason): Released[] | Promise<Released[]>;
  /** What the filter holds; asked after every `process` and `flush` of a filter that has it. */
  held?(): readonly Held[];
  /** The agent stops: a batch that waits for something goes on without it, now and from now on. */
  hurry?(): void;
  close?(): Promise<void> | void;
}

export type FilterContext = PluginContext;

// ---------------------------------------------------------------- outputs

export interface OutputContext extends PluginContext {}

export interface Output {
  /**
   * One attempt at delivering records, up to the plugin's limits. Resolves with what became of each; indexes count through all
   * slices. Throws RetryableError when the destination failed and nothing is known. Up to `workers` calls run at once, but one
   * at a time per order key. On `signal` (timeout, stop) it gives up at once and throws. The memory of the slices stays valid
   * until it settles. It never loops over attempts.
   */
  deliver(slices: readonly Slice[], signal: AbortSignal): Promise<Outcome>;
  /** After the last `deliver`. */
  close?(): Promise<void> | void;
}

/** What is known of an object when it is closed. */
export interface ObjectFacts {
  /** The tag of its records; of the first of them where the output gathers all tags together. */
  readonly tag: string;
  /** Ascending through all objects of the output, from 1, also across restarts where there is a disk buffer. */
  readonly sequence: number;
  /** Eight letters and digits, drawn for this object. */
  readonly id: string;
  /** Time of its first record: Unix seconds, and nanoseconds. */
  readonly seconds: number;
  readonly nanos: number;
}

/** An object that is to be sent. */
export interface GatheredObject {
  /** What {@link ObjectOutput.plan} said of it, perhaps in an earlier run. */
  readonly plan: ObjectPlan;
  /** It may have been sent before, in part or as a whole: an attempt failed, or a run ended within one. */
  readonly retried: boolean;
  /** About how many, and how many bytes as they lie in the buffer. */
  readonly records: number;
  readonly bytes: number;
  /**
   * Its records, in order. They are read from disk one chunk after the other: a slice is good until the next one is asked for. Throws
   * RetryableError when they cannot be read now. To be read to its end, several times one after the other if need be.
   */
  slices(): AsyncIterable<Slice>;
}

/**
 * An output whose records are gathered to objects in the disk buffer ({@link OutputTraits.gather}). The queue sees to it that an object has
 * the same records in every attempt, also after a crash.
 */
export interface ObjectOutput {
  /**
   * Decides what an object is called and how it is written. Called once for each, and kept on disk before the first attempt. Two
   * objects must not get one key.
   */
  plan(facts: ObjectFacts): ObjectPlan;
  /**
   * One attempt at sending an object: under its key, so that a second one replaces the first. Resolves with the records that can never be
   * written there, if any (`rejected`; indexes count through all slices); `retry` sends the whole object again. Any throw counts as
   * the destination's fault: objects are not halved. On `signal` it gives up at once and throws.
   */
  upload(object: GatheredObject, signal: AbortSignal): Promise<Outcome>;
  /** After the last `upload`. */
  close?(): Promise<void> | void;
}

/** How records are gathered to objects. An object is closed when it has reached one of these, or when memory or disk are short. */
export interface Gathering {
  /** Bytes of its records, as they lie in the buffer. */
  bytes: number;
  /** Age of its oldest record, seconds. */
  seconds: number;
  /** Whether each tag has objects of its own. */
  by: 'tag' | 'all';
  /** Bytes of memory that one upload takes at most; they are taken beside `memory_limit`. */
  memory: number;
}

/** How the delivery queue has to treat an output. */
export interface OutputTraits {
  /** Upper bounds of one attempt. At least one record is always sent. */
  limits?: { bytes?: number; records?: number };
  /** Parallel attempts unless the configuration says `workers`. Default 1. */
  workers?: number;
  /** What must arrive in order: nothing, each tag by itself, or all. Default `tag`. */
  order?: 'none' | 'tag' | 'all';
  /** `none` for outputs that read no record (null): then nothing is encoded for them. Default `json`. */
  payload?: 'json' | 'none';
  /** Records are gathered to objects: `create` returns an {@link ObjectOutput}, and `limits` have no meaning. */
  gather?: Gathering;
}

// ---------------------------------------------------------------- definitions

interface Definition<F extends OptionFields> {
  /** The name in the configuration, lower case. */
  name: string;
  aliases?: readonly string[];
  /** One line for `tailrace plugins` and the reference page. */
  summary: string;
  options: F;
  /**
   * Checks that need several options, or values (a regular expression compiles): returns problems in words, each with the key
   * that it is about. Runs without touching disk or network.
   */
  check?(options: OptionValues<F>, entries: PluginContext['entries']): readonly OptionProblem[];
  /** The worked example of the reference page, YAML. */
  example?: string;
}

/** A problem with the value of an option. */
export interface OptionProblem {
  /** The key as in the schema; absent when it is about the whole plugin. */
  key?: string;
  message: string;
  /** Which of the entries with that key, from 0, when it may be given several times. */
  index?: number;
  level?: 'error' | 'warning';
}

export interface InputDefinition<F extends OptionFields = OptionFields> extends Definition<F> {
  kind: 'input';
  /** The tag where none is written; `<plugin>.<n>` where this is not there. */
  defaultTag?: string;
  /** Tags that this input can emit when they are known beforehand: patterns with `*`. Absent: only the configured tag. */
  tags?(options: OptionValues<F>, tag: string): readonly string[] | 'any';
  /** The input names parsers in these options. */
  parserOptions?: readonly string[];
  /** With these options its data may choose among all parsers: those that are defined, and the stock parsers. */
  anyParser?(options: OptionValues<F>): boolean;
  /** It listens by UDP: its ports are others than those of TCP. */
  datagrams?: boolean;
  /** Parsers that it uses with these options though nobody names them. */
  defaultParsers?(options: OptionValues<F>): readonly string[];
  /**
   * The options that say what it reads; with the tag they tell several unnamed inputs of one plugin apart in the state. Absent: it keeps
   * no positions; `path` where there is such an option.
   */
  target?: readonly string[];
  create(options: OptionValues<F>, context: InputContext): Promise<Input> | Input;
}

export interface ParserDefinition<F extends OptionFields = OptionFields> extends Definition<F> {
  kind: 'parser';
  create(options: OptionValues<F>, context: ParserContext): Parser;
}

export interface FilterDefinition<F extends OptionFields = OptionFields> extends Definition<F> {
  kind: 'filter';
  parserOptions?: readonly string[];
  /** As with inputs. */
  anyParser?(options: OptionValues<F>): boolean;
  create(options: OptionValues<F>, context: FilterContext): Promise<Filter> | Filter;
}

export interface OutputDefinition<F extends OptionFields = OptionFields> extends Definition<F> {
  kind: 'output';
  /** How its queue has to treat an instance with these options; called before `create`, and more than once. */
  traits?(options: OptionValues<F>): OutputTraits;
  /** The options that say where it writes to; tell several unnamed outputs of one plugin apart in the state. */
  target?: readonly string[];
  create(
    options: OptionValues<F>,
    context: OutputContext,
  ): Promise<Output | ObjectOutput> | Output | ObjectOutput;
}

export type PluginDefinition = InputDefinition | ParserDefinition | FilterDefinition | OutputDefinition;

export function defineInput<F extends OptionFields>(
  definition: Omit<InputDefinition<F>, 'kind'>,
): InputDefinition<F> {
  return { kind: 'input', ...definition };
}

export function defineParser<F extends OptionFields>(
  definition: Omit<ParserDefinition<F>, 'kind'>,
): ParserDefinition<F> {
  return { kind: 'parser', ...definition };
}

export function defineFilter<F extends OptionFields>(
  definition: Omit<FilterDefinition<F>, 'kind'>,
): FilterDefinition<F> {
  return { kind: 'filter', ...definition };
}

export function defineOutput<F extends OptionFields>(
  definition: Omit<OutputDefinition<F>, 'kind'>,
): OutputDefinition<F> {
  return { kind: 'output', ...definition };
}

/** The registry: how a plugin is loaded, by kind and name. Nothing is imported before it is named. */
export interface PluginRegistry {
  load(kind: 'input' | 'filter' | 'output' | 'parser', name: string): Promise<PluginDefinition | undefined>;
  /** All names of a kind, aliases included, for suggestions and lists. */
  names(kind: 'input' | 'filter' | 'output' | 'parser'): readonly string[];
  /** Plugins that Fluent Bit has and Tailrace does not yet, so that a message can say so. */
  later?(kind: 'input' | 'filter' | 'output' | 'parser'): readonly LaterPlugin[];
  /** The parsers that need no definition, by Fluent Bit's names. */
  stockParsers?(): Promise<readonly StockParser[]>;
}

export interface LaterPlugin {
  name: string;
  /** Port that it listens on without being told. */
  port?: number;
  /** It listens by UDP. */
  udp?: boolean;
  /** What there is instead for those who look for something else under this name; continues a sentence. */
  hint?: string;
}

/** A parser as it would be written in the configuration. */
export interface StockParser {
  readonly name: string;
  readonly format: string;
  /** The other keys, as text. */
  readonly options: Readonly<Record<string, string>>;
}

export { Batch } from './event/batch.ts';
export type { LineShape, LineText, ParsedEvent } from './event/batch.ts';
export { Chunk, Slice } from './event/chunk.ts';
export type { ObjectPlan } from './event/manifest.ts';
export { allDelivered, RetryableError, SplitError } from './event/outcome.ts';
export type { Outcome, Rejection } from './event/outcome.ts';
export { Receipt } from './event/receipt.ts';
export { Source } from './event/source.ts';
export type { Progress, SourceRange, Unfinished } from './event/source.ts';
export { getKey, isRecord, setKey } from './event/record.ts';
export type { LogRecord, ReadonlyRecord, ReadonlyValue, Value } from './event/record.ts';
export { parseExact, recordToJson, valueToJson } from './event/json.ts';
export * from './config/schema.ts';
export type { Logger } from './telemetry/log.ts';
export type { Metrics } from './telemetry/metrics.ts';
export type { SourceIdentity, SourceStore, StoredSource } from './state/store.ts';
export { AccessorSyntaxError, compileAccessor, parseAccessor } from './record/accessor.ts';
export type { Accessor, PathStep } from './record/accessor.ts';
export { RegexSyntaxError, translateRegex, UNSAFE_TEXT_LIMIT } from './parse/regex.ts';
export type { TranslatedRegex } from './parse/regex.ts';
export { CastError, compileCasts } from './parse/casts.ts';
export type { Cast } from './parse/casts.ts';
export { checkDecoder, compileDecoders } from './parse/decoders.ts';
export type { DecodeFields } from './parse/decoders.ts';
export { MemberCutter } from './parse/json-cut.ts';
export { isTooDeep } from './parse/json-depth.ts';
export { compileRecordBuilder } from './parse/record-builder.ts';
export type { BuildRecord, CapturedField } from './parse/record-builder.ts';
export { compileTimeFormat, parseOffset, TimeFormatError } from './parse/time.ts';
export type { TimeFormat } from './parse/time.ts';
export { abbreviatedOffset, zoneOffset } from './parse/zone.ts';
export type { ZoneOffset } from './parse/zone.ts';
export { unescapeUnicode } from './parse/unescape.ts';
export { compileTemplate } from './record/template.ts';
export type { Template } from './record/template.ts';
export { ByteSink, SinkPool } from './codec/bytes.ts';
export { CriText } from './parse/cri.ts';
export { epochMicros, epochNanos } from './codec/epoch.ts';
export { hashFields, hashText } from './codec/hash-text.ts';
export type { HashField } from './codec/hash-text.ts';
export { JSON_DATE_FORMATS } from './codec/json-date.ts';
export type { JsonDateFormat } from './codec/json-date.ts';
export { jsonEncoder } from './codec/json-text.ts';
export type { JsonEncoder, JsonLayout } from './codec/json-text.ts';
export type {
  OtlpGroup,
  OtlpMap,
  OtlpRecord,
  OtlpValue,
  OutgoingRecord,
  OutgoingResource,
  TakeRecord,
} from './codec/otlp/model.ts';
export { OtlpError } from './codec/otlp/model.ts';
export type { ExportResult } from './codec/otlp/response.ts';
export { memberText } from './codec/member-text.ts';
export { MsgpackError, MsgpackReader } from './codec/msgpack-reader.ts';
export type { MsgpackKind } from './codec/msgpack-reader.ts';
export { MsgpackScanner, TooLongError } from './codec/msgpack-scan.ts';
export type { EventShape } from './codec/msgpack.ts';
export { SYSLOG_SEVERITIES } from './codec/syslog-severities.ts';
export { formatTime } from './codec/time-format.ts';
export { prettyLine } from './codec/pretty.ts';
export { escapeBreaks, escapeForTerminal, escapeLine } from './codec/terminal.ts';
export { credentialsOf, hasBasic, hasBearer, isOneOf } from './net/credentials.ts';
export { describeFailure } from './net/failure.ts';
export { requireSuccess } from './net/http-outcome.ts';
export { retryAfterMs } from './net/retry-after.ts';
export { listenFailure } from './net/listen-failure.ts';
export type { ListenAttempt } from './net/listen-failure.ts';
export type { ListenerTls, ListenerTlsOptions, ListenerTlsSettings } from './net/listener-tls.ts';
export type { DatagramClient } from './net/datagram-client.ts';
export type {
  HttpClient,
  HttpClientOptions,
  HttpRequest,
  HttpResponse,
  HttpStream,
} from './net/http-client.ts';
export type { StreamClient, StreamClientOptions } from './net/stream-client.ts';
export type { StreamConnection } from './net/stream-connection.ts';
export type { TlsMaterial, TlsSettings } from './net/tls.ts';

// What brings a library along is loaded by whoever needs it: start-up and idle memory are features.

/** Loads the HTTP client of the outputs. */
export const loadHttpClient = async (): Promise<Pick<typeof httpClient, 'HttpClient'>> =>
  import('./net/http-client.ts');
/** Loads the client of the outputs that write to a TCP, TLS or unix socket. */
export const loadStreamClient = async (): Promise<Pick<typeof streamClient, 'StreamClient'>> =>
  import('./net/stream-client.ts');
/** Loads the client of the outputs that send UDP datagrams. */
export const loadDatagramClient = async (): Promise<Pick<typeof datagramClient, 'DatagramClient'>> =>
  import('./net/datagram-client.ts');
/** Loads the TLS of outgoing connections, for a library that makes connections of its own. */
export const loadTlsMaterial = async (): Promise<Pick<typeof tls, 'TlsMaterial'>> => import('./net/tls.ts');
/** Loads the TLS of listeners. */
export const loadListenerTls = async (): Promise<Pick<typeof listenerTls, 'ListenerTls'>> =>
  import('./net/listener-tls.ts');
/** Loads the MessagePack encoder. */
export const loadMsgpack = async (): Promise<Pick<typeof msgpack, 'encodeMsgpack' | 'encodeMsgpackMap'>> =>
  import('./codec/msgpack.ts');
/** Loads Snappy. */
export const loadSnappy = async (): Promise<
  Pick<typeof snappy, 'compressSnappy' | 'decompressSnappy' | 'SnappyError'>
> => import('./codec/snappy.ts');
/** Loads the GELF encoder. */
export const loadGelf = async (): Promise<Pick<typeof gelf, 'gelfText'>> => import('./codec/gelf.ts');
/** OTLP logs, requests and answers. */
export type Otlp = typeof otlp;
/** Loads it. */
export const loadOtlp = async (): Promise<Otlp> => import('./codec/otlp/index.ts');
/** Loads the forward protocol. */
export const loadForward = async (): Promise<ForwardCodec> => import('./codec/forward/index.ts');
export type ForwardCodec = typeof forward;
export type { EventTaker } from './codec/forward/decode.ts';
export type EncodeMsgpack = typeof msgpack.encodeMsgpack;
