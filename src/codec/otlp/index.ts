/** OTLP logs, both encodings, requests and answers. Brings the protobuf library along. */
export { decodeJsonLogs } from './decode-json.ts';
export { decodeProtoLogs } from './decode-proto.ts';
export { encodeJsonLogs } from './encode-json.ts';
export { encodeProtoLogs } from './encode-proto.ts';
export { OtlpError } from './model.ts';
export {
  decodeJsonResult,
  decodeJsonStatusMessage,
  decodeProtoResult,
  decodeProtoStatus,
  encodeProtoStatus,
} from './response.ts';
export { parseTyped } from './typed-json.ts';
