/** From a Content-Type to what decodes the body. */
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { decodeForm } from './decode-form.ts';
import { decodeJson, decodeLines } from './decode-json.ts';
import { decodeMsgpack } from './decode-msgpack.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** Takes a whole body in. Throws {@link Refusal}; then nothing of it may be used. */
export type Decode = (body: Buffer, into: RequestBatches) => void;

const json: Decode = (body, into) => decodeJson(textOf(body), into);
const lines: Decode = (body, into) => decodeLines(textOf(body), into);
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

/** The decoder for a Content-Type. Throws {@link Refusal}. */
export function decoderFor(contentType: string | undefined): Decode {
  const type = (contentType ?? '').replace(/;.*$/s, '').trim().toLowerCase();
  const decoder = DECODERS.get(type);
  if (decoder !== undefined) return decoder;
  throw new Refusal(
    415,
    type === ''
      ? 'The header Content-Type is missing: say application/json, application/x-ndjson, application/msgpack or application/x-www-form-urlencoded.'
      : 'This Content-Type is not taken: application/json, application/x-ndjson, application/msgpack and application/x-www-form-urlencoded are.',
  );
}

/** The text without a byte order mark. Bytes that are no UTF-8 become U+FFFD. */
function textOf(body: Buffer): string {
  const text = body.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
