/** OTLP by HTTP and gRPC: what the opentelemetry input says over the receiver. Answers are OTLP's own messages, in the encoding of the request. */
import type { IncomingMessage } from 'node:http';
import { OtlpError } from '../../../src/plugin.ts';
import type { Otlp } from '../../../src/plugin.ts';
import { RequestBatches } from '../../shared/http-receiver/batches.ts';
import type { TagKey } from '../../shared/http-receiver/batches.ts';
import type { BodyLimits } from '../../shared/http-receiver/body.ts';
import { jsonTextOf, mediaTypeOf } from '../../shared/http-receiver/content.ts';
import type { Exchange } from '../../shared/http-receiver/exchange.ts';
import type { Answer, Protocol, TakeBody } from '../../shared/http-receiver/protocol.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import type { Room } from '../../shared/http-receiver/room.ts';
import { framed, grpcAnswer, grpcCodeOf, isGrpc, messageOf, OK, otherService } from './grpc.ts';
import { takeInto } from './records.ts';
import type { RecordShape } from './records.ts';

const LOGS = '/v1/logs';
/** What OTLP has and we do not take. */
const OTHER_SIGNALS: ReadonlyMap<string, string> = new Map([
  ['/v1/metrics', 'metrics'],
  ['/v1/traces', 'traces'],
  ['/v1development/profiles', 'profiles'],
]);

/** The second is one that Fluent Bit takes besides. */
const GRPC_PATHS: ReadonlySet<string> = new Set([
  '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  '/opentelemetry.proto.collector.log.v1.LogService/Export',
]);

const JSON_TYPE = 'application/json';
const PROTOBUF_TYPE = 'application/x-protobuf';
const PROTOBUF_TYPES: ReadonlySet<string> = new Set([PROTOBUF_TYPE, 'application/protobuf']);

export interface OtlpProtocolOptions extends RecordShape {
  tag: string;
  tagKey: TagKey | undefined;
  successCode: number;
}

export class OtlpProtocol implements Protocol {
  private readonly otlp: Otlp;
  private readonly options: OtlpProtocolOptions;

  constructor(otlp: Otlp, options: OtlpProtocolOptions) {
    this.otlp = otlp;
    this.options = options;
  }

  accept({ request, response }: Exchange): TakeBody {
    const path = (request.url ?? '').replace(/\?.*$/s, '');
    const type = mediaTypeOf(request);
    const grpc = isGrpc(type);
    const other = OTHER_SIGNALS.get(path) ?? (grpc ? otherService(path) : undefined);
    if (other !== undefined) throw new Refusal(501, `Only logs are taken here, no ${other}.`);
    if (grpc ? !GRPC_PATHS.has(path) : path !== LOGS)
      throw new Refusal(grpc ? 501 : 404, `Nothing is taken here: logs go to ${LOGS}.`);
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      throw new Refusal(405, 'Only POST is taken here.');
    }
    if (grpc) return this.acceptGrpc(request);
    if (type === JSON_TYPE)
      return (body, room, limits) =>
        this.batchesOf(room, limits, (take) => this.otlp.decodeJsonLogs(jsonTextOf(body, room), take));
    if (PROTOBUF_TYPES.has(type))
      return (body, room, limits) =>
        this.batchesOf(room, limits, (take) => this.otlp.decodeProtoLogs(body, take));
    throw new Refusal(415, `The Content-Type must be ${PROTOBUF_TYPE} or ${JSON_TYPE}.`);
  }

  private acceptGrpc(request: IncomingMessage): TakeBody {
    if (request.httpVersionMajor < 2) throw new Refusal(505, 'gRPC takes HTTP/2.');
    const encoding = String(request.headers['grpc-encoding'] ?? 'identity');
    return async (body, room, limits) => {
      const message = await messageOf(body, encoding, room, limits);
      return this.batchesOf(room, limits, (take) => this.otlp.decodeProtoLogs(message, take));
    };
  }

  success(request: IncomingMessage): Answer {
    const type = mediaTypeOf(request);
    if (isGrpc(type)) return grpcAnswer(OK, '', framed(Buffer.alloc(0)));
    const status = this.options.successCode;
    if (type === JSON_TYPE && status !== 204) return { status, body: '{}' };
    // An ExportLogsServiceResponse without fields is no bytes.
    return { status, body: '', headers: status === 204 ? [] : [['content-type', PROTOBUF_TYPE]] };
  }

  refusal(request: IncomingMessage, { status, message }: Refusal): Answer {
    const code = grpcCodeOf(status);
    const type = mediaTypeOf(request);
    if (isGrpc(type) && request.httpVersionMajor >= 2) return grpcAnswer(code, message, '');
    if (PROTOBUF_TYPES.has(type)) {
      const body = this.otlp.encodeProtoStatus(code, message);
      return { status, body, contentType: PROTOBUF_TYPE };
    }
    return { status, body: `${JSON.stringify({ code, message })}\n` };
  }

  private batchesOf(
    room: Room,
    { maxBytes }: BodyLimits,
    decode: (take: ReturnType<typeof takeInto>) => void,
  ): ReturnType<TakeBody> {
    const now = Date.now();
    const batches = new RequestBatches({
      tag: this.options.tag,
      tagKey: this.options.tagKey,
      added: [],
      now,
      room,
    });
    try {
      decode(takeInto(batches, this.options, now, maxBytes));
    } catch (error) {
      if (error instanceof OtlpError) throw new Refusal(400, `The request ${error.message}.`);
      throw error;
    }
    return batches;
  }
}
