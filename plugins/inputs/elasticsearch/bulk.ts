/**
 * Bulk bodies: an action per line, its document on the next one.
 *
 * A document that cannot be read is an error of its item, and all others are taken. An action that cannot be read is an error of the whole
 * request, as in Elasticsearch: which line is an action is not known from there on.
 */
import { isRecord, isTooDeep } from '../../../src/plugin.ts';
import type { Value } from '../../../src/plugin.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import type { Documents } from './documents.ts';
import { SearchRefusal } from './errors.ts';
import type { Item, Items } from './items.ts';

/** What the path of a request says of actions that do not say it themselves. */
export interface Target {
  index: string | undefined;
  type: string | undefined;
}

export interface Action extends Item {
  /** Its JSON on one line, with index and type of the path. */
  text: string;
}

const OPERATIONS: ReadonlySet<string> = new Set(['index', 'create', 'update', 'delete']);
/** Characters of an action; the longest id has 512 bytes. */
const MAX_ACTION = 16_384;
const NOT_UPDATED = {
  status: 400,
  type: 'illegal_argument_exception',
  reason: 'Documents are taken by create and index here: there is nothing that could be updated.',
};
const NOT_DELETED = {
  status: 404,
  type: 'document_missing_exception',
  reason: 'Documents are taken by create and index here: there is nothing that could be deleted.',
};

/**
 * Takes the documents of a body in. Throws {@link Refusal} when the request as a whole is not to be taken.
 */
export function decodeBulk(body: string, target: Target, documents: Documents, items: Items): void {
  let line = 0;
  let last = '';
  let action: Action | undefined;
  const next = linesOf(body);
  for (let text = next(); text !== undefined; text = next()) {
    line++;
    if (text.trim() === '') continue;
    // Most senders say the same of every document.
    if (action === undefined || text !== last) action = readAction(text, line, target);
    last = text;
    if (action.operation === 'delete') {
      items.refuse(action, NOT_DELETED);
      continue;
    }
    const document = next();
    line++;
    if (action.operation === 'update') {
      items.refuse(action, NOT_UPDATED);
      continue;
    }
    takeDocument(document, action, documents, items);
  }
  if (items.length === 0)
    throw new SearchRefusal(400, 'action_request_validation_exception', 'The body holds no actions.');
}

/** Takes a document in, or says why not, as the answer to its item. */
export function takeDocument(
  document: string | undefined,
  action: Action,
  documents: Documents,
  items: Items,
): void {
  const reason = take(document, action, documents);
  if (reason === undefined) items.taken(action);
  else items.refuse(action, { status: 400, type: 'document_parsing_exception', reason });
}

/** Answers why it cannot be taken. */
function take(document: string | undefined, action: Action, documents: Documents): string | undefined {
  if (document === undefined) return 'There is no document behind the action.';
  try {
    return documents.take(document, action.text);
  } catch (error) {
    if (error instanceof Refusal && error.status === 400) return error.message;
    throw error;
  }
}

function readAction(text: string, line: number, { index: pathIndex, type: pathType }: Target): Action {
  const malformed = (what: string): SearchRefusal =>
    new SearchRefusal(
      400,
      'illegal_argument_exception',
      `Malformed action/metadata line [${line}]: ${what}. Nothing of the request was taken.`,
    );
  if (text.length > MAX_ACTION) throw malformed(`it has more than ${MAX_ACTION} characters`);
  if (isTooDeep(text)) throw malformed('it nests too deep');
  let value: Value;
  try {
    value = JSON.parse(text) as Value;
  } catch {
    throw malformed('it is no valid JSON');
  }
  if (!isRecord(value)) throw malformed('it is no JSON object');
  const [entry] = Object.entries(value);
  if (entry === undefined) throw malformed('it has no action');
  const [operation, meta] = entry;
  if (!OPERATIONS.has(operation))
    throw malformed(
      `create, index, update or delete was expected, not ${JSON.stringify(operation.slice(0, 50))}`,
    );
  if (!isRecord(meta)) throw malformed(`what is under ${operation} is no JSON object`);
  const index = wordOf(meta['_index']);
  const id = wordOf(meta['_id']);
  const kept =
    (index !== undefined || pathIndex === undefined) && pathType === undefined && !text.includes('\r');
  return {
    operation,
    index: index ?? pathIndex ?? '',
    id,
    text: kept ? text : JSON.stringify(addTarget(operation, meta, pathIndex, pathType)),
  };
}

function addTarget(
  operation: string,
  meta: { [key: string]: Value },
  index: string | undefined,
  type: string | undefined,
): Value {
  return {
    [operation]: {
      ...(index === undefined ? {} : { _index: index }),
      ...(type === undefined ? {} : { _type: type }),
      ...meta,
    },
  };
}

/** Numbers are ids as well. */
function wordOf(value: Value | undefined): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** Gives out one line after the other, without their ends; undefined behind the last. */
function linesOf(body: string): () => string | undefined {
  let start = 0;
  return () => {
    if (start >= body.length) return undefined;
    let end = body.indexOf('\n', start);
    if (end === -1) end = body.length;
    const line = body.slice(start, end);
    start = end + 1;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  };
}
