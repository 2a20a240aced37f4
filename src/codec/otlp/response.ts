/**
 * Answers: ExportLogsServiceResponse, and google.rpc.Status where a request is not taken.
 *
 *     ExportLogsServiceResponse  1 partial_success { 1 rejected_log_records, 2 error_message }
 *     Status                     1 code, 2 message, 3 details { 1 type_url, 2 value }
 *     RetryInfo                  1 retry_delay { 1 seconds, 2 nanos }
 */
import { PbfWriter } from 'pbf';
import { getKey, isRecord } from '../../event/record.ts';
import type { ReadonlyRecord } from '../../event/record.ts';
import { LENGTH, ProtoReader, VARINT } from './proto-reader.ts';
import { writeText } from './proto-writer.ts';

/** What an answer of 2xx says of the records. */
export interface ExportResult {
  /** Log records that the destination did not take; which ones it does not say. */
  rejected: number;
  /** Its reason, or a warning where it took all. */
  message: string;
}

export interface Status {
  /** gRPC status code. */
  code: number;
  message: string;
  /** The destination's wish, milliseconds; undefined: it has none. */
  retryDelayMs: number | undefined;
}

const RETRY_INFO = 'google.rpc.RetryInfo';

/** Reads an ExportLogsServiceResponse; undefined when it is none. */
export function decodeProtoResult(bytes: Buffer): ExportResult | undefined {
  return orUndefined(() => {
    const result: ExportResult = { rejected: 0, message: '' };
    const reader = new ProtoReader(bytes);
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1 && reader.type === LENGTH) partialSuccess(reader, result);
    }
    return result;
  });
}

function partialSuccess(reader: ProtoReader, into: ExportResult): void {
  const outer = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1 && reader.type === VARINT) into.rejected = Math.max(0, Number(reader.int64()));
    else if (field === 2 && reader.type === LENGTH) into.message = reader.text();
  }
  reader.leave(outer);
}

/** The same in OTLP/JSON. */
export function decodeJsonResult(text: string): ExportResult | undefined {
  const partial = under(parsed(text), 'partialSuccess');
  if (partial === undefined) return undefined;
  const rejected = Number(getKey(partial, 'rejectedLogRecords') ?? 0);
  const message = getKey(partial, 'errorMessage');
  return {
    rejected: Number.isFinite(rejected) ? Math.max(0, rejected) : 0,
    message: typeof message === 'string' ? message : '',
  };
}

/** Reads a Status; undefined when it is none. */
export function decodeProtoStatus(bytes: Buffer): Status | undefined {
  return orUndefined(() => {
    const status: Status = { code: 0, message: '', retryDelayMs: undefined };
    const reader = new ProtoReader(bytes);
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1 && reader.type === VARINT) status.code = reader.uint();
      else if (field === 2 && reader.type === LENGTH) status.message = reader.text();
      else if (field === 3 && reader.type === LENGTH)
        status.retryDelayMs = retryDelay(reader) ?? status.retryDelayMs;
    }
    return status;
  });
}

/** The message of a Status in JSON; undefined when it is none. */
export function decodeJsonStatusMessage(text: string): string | undefined {
  const status = parsed(text);
  const message = status === undefined ? undefined : getKey(status, 'message');
  return typeof message === 'string' ? message : undefined;
}

/** Writes a Status without details. */
export function encodeProtoStatus(code: number, message: string): Buffer {
  const writer = new PbfWriter();
  if (code !== 0) writer.writeVarintField(1, code);
  writeText(writer, 2, message);
  return Buffer.from(writer.finish());
}

/** Reads one of the details; the delay if it is a RetryInfo. */
function retryDelay(reader: ProtoReader): number | undefined {
  const outer = reader.enter();
  let isRetryInfo = false;
  let delay: number | undefined;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (reader.type !== LENGTH) continue;
    if (field === 1) isRetryInfo = reader.text().endsWith(RETRY_INFO);
    else if (field === 2 && isRetryInfo) delay = retryInfo(reader);
  }
  reader.leave(outer);
  return delay;
}

function retryInfo(reader: ProtoReader): number | undefined {
  let milliseconds: number | undefined;
  const outer = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1 && reader.type === LENGTH) milliseconds = duration(reader);
  }
  reader.leave(outer);
  return milliseconds;
}

function duration(reader: ProtoReader): number {
  let milliseconds = 0;
  const outer = reader.enter();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (reader.type !== VARINT) continue;
    if (field === 1) milliseconds += Number(reader.int64()) * 1000;
    else if (field === 2) milliseconds += Number(reader.int64()) / 1e6;
  }
  reader.leave(outer);
  return Math.max(0, milliseconds);
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function parsed(text: string): ReadonlyRecord | undefined {
  const value = orUndefined(() => JSON.parse(text) as unknown);
  return isRecord(value) ? value : undefined;
}

function under(map: ReadonlyRecord | undefined, key: string): ReadonlyRecord | undefined {
  const value = map === undefined ? undefined : getKey(map, key);
  return isRecord(value) ? value : undefined;
}
