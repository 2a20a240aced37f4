/** From a Content-Type to what decodes the body. */
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { jsonTextOf, textOf } from '../../shared/http-receiver/content.ts';
import { decodeForm } from './decode-form.ts';
import { decodeJson, decodeLines } from './decode-json.ts';
import { decodeMsgpack } from './decode-msgpack.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** Takes a whole body in. Throws {@link Refusal}; then nothing of it may be used. */
export type Decode = (body: Buffer, into: RequestBatches) => void;

const json: Decode = (body, into) => decodeJson(jsonTextOf(body, into.room), into);
const lines: Decode = (body, into) => decodeLines(jsonTextOf(body, into.room), into);
const form: Decode = (body, into) => decodeForm(textOf(body), into);

const DECODERS: ReadonlyMap<string, Decode> = new Map([
  ['application/json', json],
  ['text/json', json],
  ['application/x-ndjson', lines],
  ['application/ndjson', lines],
  ['application/jsonl', lines],
  ['application/x-jsonlines', lines],
  ['application/jsonlines', lines],
  ['application/json-lines', lines],
  ['application/msgpack', decodeMsgpack],
  ['application/x-msgpack', decodeMsgpack],
  ['application/vnd.msgpack', decodeMsgpack],
  ['application/x-www-form-urlencoded', form],
]);

/** The decoder for a media type, in small letters; empty where there is none. Throws {@link Refusal}. */
export function decoderFor(type: string): Decode {
  const decoder = DECODERS.get(type);
  if (decoder !== undefined) return decoder;
  throw new Refusal(
    415,
    type === ''
      ? 'The header Content-Type is missing: say application/json, application/x-ndjson, application/msgpack or application/x-www-form-urlencoded.'
      : 'This Content-Type is not taken: application/json, application/x-ndjson, application/msgpack and application/x-www-form-urlencoded are.',
  );
}
