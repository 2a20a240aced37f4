/**
 * Answers to bulk requests: what became of each item.
 *
 *     {"errors":false,"took":3,"items":[{"create":{"status":201,…}},…]}
 *     {"errors":true,"took":3,"items":[{"create":{"status":201,…}},{"create":{"status":429,"error":{"type":…,"reason":…}}}]}
 *
 * Where all were taken, which the first bytes say, the items are not looked at. They are not asked for in a shorter form (`filter_path`):
 * not all that speaks the protocol knows it.
 */

/** The longest reason that is kept, characters. */
const MAX_REASON = 1000;
const ALL_TAKEN = /^\s*\{\s*(?:"took":\d+,\s*)?"errors":\s*false\b/;

export interface ItemAnswer {
  status: number;
  /** `document_parsing_exception`, or nothing. */
  type: string;
  /** The server's words, those of the cause included. */
  reason: string;
}

/**
 * Reads an answer to a request of `count` items: an answer for each, or undefined when all were taken. Throws a clause that says how it
 * is none.
 */
export function readAnswer(text: string, count: number): ItemAnswer[] | undefined {
  if (ALL_TAKEN.test(text)) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error('something that is not the answer to a bulk request');
  }
  const { errors, items } = asObject(answer);
  if (errors === false) return undefined;
  if (errors !== true || !Array.isArray(items))
    throw new Error('something that is not the answer to a bulk request');
  if (items.length !== count) throw new Error(`an answer for ${items.length} of ${count} records`);
  return items.map(itemAnswer);
}

function itemAnswer(item: unknown): ItemAnswer {
  // {"create":{…}}
  const [result] = Object.values(asObject(item));
  const { status, error } = asObject(result);
  if (typeof error === 'string') return { status: numberOf(status), type: '', reason: shorten(error) };
  const { type, reason, caused_by: cause } = asObject(error);
  return { status: numberOf(status), type: textOf(type), reason: shorten(sentence(type, reason, cause)) };
}

function sentence(type: unknown, reason: unknown, cause: unknown): string {
  const said = [textOf(type), textOf(reason)].filter((text) => text !== '').join(': ');
  const { type: causeType, reason: causeReason } = asObject(cause);
  const because = [textOf(causeType), textOf(causeReason)].filter((text) => text !== '').join(': ');
  return because === '' ? said : `${said} (caused by ${because})`;
}

/** What the server says of a request that it refuses as a whole: `type: reason`, else its text. */
export function requestError(text: string): string {
  try {
    const { error, message } = asObject(JSON.parse(text));
    if (typeof error === 'string') return error;
    const { type, reason } = asObject(error);
    const said = sentence(type, reason, undefined);
    return said === '' ? textOf(message) || text : said;
  } catch {
    return text;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** An item without a status is one that nothing is known of. */
function numberOf(status: unknown): number {
  return typeof status === 'number' ? status : 0;
}

function shorten(text: string): string {
  return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text;
}
