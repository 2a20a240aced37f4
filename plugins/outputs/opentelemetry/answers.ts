/**
 * What a destination's answer says of the records, by HTTP and by gRPC.
 *
 * Sources: https://opentelemetry.io/docs/specs/otlp/ , https://grpc.io/docs/guides/status-codes/ ,
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { requireSuccess, RetryableError, SplitError } from '../../../src/plugin.ts';
import type { ExportResult, HttpResponse, Otlp } from '../../../src/plugin.ts';

const ALL_TAKEN: ExportResult = { rejected: 0, message: '' };

/** Of an answer's text in a message, characters. */
const SHOWN_TEXT = 300;

export interface AnswerOptions {
  otlp: Otlp;
  /** Where the request went, for messages. */
  place: string;
  /** Messages show the destination's words. */
  showText: boolean;
}

/** Reads the answer to a request by HTTP. Throws {@link RetryableError} and {@link SplitError}. */
export function readHttpAnswer(
  response: HttpResponse,
  { otlp, place, showText }: AnswerOptions,
): ExportResult {
  const isJson = contentType(response).startsWith('application/json');
  if (response.status < 200 || response.status >= 300) {
    const said = isJson
      ? otlp.decodeJsonStatusMessage(response.text)
      : contentType(response).includes('protobuf')
        ? otlp.decodeProtoStatus(response.bytes)?.message
        : undefined;
    requireSuccess({ ...response, text: said ?? response.text }, place, showText);
  }
  const result = isJson ? otlp.decodeJsonResult(response.text) : otlp.decodeProtoResult(response.bytes);
  // What is no answer of OTLP: the status alone counts.
  return result ?? ALL_TAKEN;
}

/** Names of the gRPC codes, from 0. */
const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** As OTLP has it; besides, what is at fault with the destination and not with the records, with what to do about it. */
const RETRIED: ReadonlyMap<string, string> = new Map([
  ['CANCELLED', ''],
  ['DEADLINE_EXCEEDED', ''],
  ['ABORTED', ''],
  ['OUT_OF_RANGE', ''],
  ['UNAVAILABLE', ''],
  ['DATA_LOSS', ''],
  ['UNAUTHENTICATED', ': check user and password, or the header authorization'],
  ['PERMISSION_DENIED', ': the credentials may not write there: check them and the permissions'],
  ['NOT_FOUND', ': nothing is there: check grpc_logs_uri'],
  ['UNIMPLEMENTED', ': it does not take OTLP logs there: check host, port and grpc_logs_uri'],
]);

/** Reads the answer to a request by gRPC. Throws {@link RetryableError} and {@link SplitError}. */
export function readGrpcAnswer(response: HttpResponse, options: AnswerOptions): ExportResult {
  const { otlp, place, showText } = options;
  const status = first(response.trailers['grpc-status'] ?? response.headers['grpc-status']);
  if (status === undefined) {
    // A proxy or a server that speaks no gRPC.
    requireSuccess(response, place, showText);
    throw new RetryableError(`${place} did not answer by gRPC: is the port right? (HTTP ${response.status})`);
  }
  const code = Number(status);
  if (code === 0) return resultOf(response.bytes, otlp);
  const name = NAMES[code] ?? status;
  const details = first(
    response.trailers['grpc-status-details-bin'] ?? response.headers['grpc-status-details-bin'],
  );
  const retryAfterMs =
    details === undefined ? undefined : otlp.decodeProtoStatus(Buffer.from(details, 'base64'))?.retryDelayMs;
  const said = first(response.trailers['grpc-message'] ?? response.headers['grpc-message']) ?? '';
  const shown = showText && said !== '' ? ` (${shortText(percentDecoded(said))})` : '';
  const advice = RETRIED.get(name);
  const throttled = name === 'RESOURCE_EXHAUSTED' && retryAfterMs !== undefined;
  const sentence = `${place} answered ${name}${advice ?? ''}${shown}`;
  if (advice !== undefined || throttled) throw new RetryableError(sentence, { retryAfterMs });
  throw new SplitError(sentence, code);
}

/** The message in a gRPC body: a byte for the compression, four for the length. */
function resultOf(body: Buffer, otlp: Otlp): ExportResult {
  if (body.length < 5 || body[0] !== 0) return ALL_TAKEN;
  return otlp.decodeProtoResult(body.subarray(5, 5 + body.readUInt32BE(1))) ?? ALL_TAKEN;
}

function contentType({ headers }: HttpResponse): string {
  return first(headers['content-type'])?.trim().toLowerCase() ?? '';
}

function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function shortText(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN_TEXT ? `${line.slice(0, SHOWN_TEXT)}…` : line;
}
