/** The requests that bring documents, by their paths. */
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import type { Action, Target } from './bulk.ts';
import { SearchRefusal } from './errors.ts';

/** As in Elasticsearch; each item of the answer has it. Bytes. */
const MAX_INDEX = 255;

export type Route = { kind: 'bulk'; target: Target } | { kind: 'document'; action: Action };

/**
 * What a request is for; undefined when it brings no documents. Throws {@link Refusal}.
 *
 *     POST, PUT  /_bulk  /INDEX/_bulk  /INDEX/TYPE/_bulk
 *     POST       /INDEX/_doc
 *     POST, PUT  /INDEX/_doc/ID  /INDEX/_create/ID
 */
export function routeOf(method: string, url: string): Route | undefined {
  if (method !== 'POST' && method !== 'PUT') return undefined;
  const [path = '', query = ''] = url.split('?', 2);
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.at(-1) === '_bulk' && parts.length <= 3) {
    const [index, type] = parts.slice(0, -1).map(decode);
    return { kind: 'bulk', target: { index: index === undefined ? index : checked(index), type } };
  }
  const [index, endpoint, id, ...rest] = parts;
  if (index === undefined || index.startsWith('_') || rest.length > 0) return undefined;
  if (endpoint !== '_doc' && endpoint !== '_create') return undefined;
  if (id === undefined && (method === 'PUT' || endpoint === '_create')) return undefined;
  const creates = endpoint === '_create' || new URLSearchParams(query).get('op_type') === 'create';
  return { kind: 'document', action: actionOf(creates ? 'create' : 'index', checked(decode(index)), id) };
}

function checked(index: string): string {
  const length = Buffer.byteLength(index);
  if (length <= MAX_INDEX) return index;
  throw new SearchRefusal(
    400,
    'invalid_index_name_exception',
    `index name is too long, (${length} > ${MAX_INDEX})`,
  );
}

function actionOf(operation: string, index: string, written: string | undefined): Action {
  const id = written === undefined ? undefined : decode(written);
  const meta = { _index: index, ...(id === undefined ? {} : { _id: id }) };
  return { operation, index, id, text: JSON.stringify({ [operation]: meta }) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refusal(400, 'The path of the URL is not valid percent-encoding.');
  }
}
