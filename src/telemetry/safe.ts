/** Makes the fields of a log line safe to write: no credentials, no huge values, errors as one sentence. */
import { inspect } from 'node:util';

const MAX_TEXT = 8192;
const MAX_ITEMS = 64;
const MAX_DEPTH = 4;

/** `scheme://user:password@host` and `scheme://token@host`, wherever they stand in a text. */
const USERINFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*(?:@[^\s/?#@]*)*@/gi;

/** A text without credentials in URLs, of bounded length. */
export function safeText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  return cut.includes('@') ? cut.replace(USERINFO, '$1***@') : cut;
}

/** The sentence of an error with those of its causes: `Connecting to es:9200: connect ECONNREFUSED 127.0.0.1:9200`. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current = error;
  for (let depth = 0; depth < 8 && current !== undefined && current !== null; depth++) {
    if (!(current instanceof Error)) {
      parts.push(typeof current === 'string' ? current : inspect(current));
      break;
    }
    const part = oneError(current);
    if (part !== '' && !parts.some((earlier) => earlier.includes(part))) parts.push(part);
    current = current.cause;
  }
  return safeText(parts.reduce(withCause, ''));
}

/** A sentence that is over is not gone on with. */
function withCause(text: string, cause: string): string {
  if (text === '') return cause;
  return text.endsWith('.') ? `${text} (${cause})` : `${text}: ${cause}`;
}

function oneError(error: Error): string {
  // Connecting to a name with several addresses fails with an AggregateError whose own message is empty.
  if (error.message === '' && error instanceof AggregateError) {
    return [...new Set(error.errors.map((inner) => describeError(inner)))].join('; ');
  }
  const code = (error as NodeJS.ErrnoException).code;
  if (error.message === '') return code ?? error.name;
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) && !error.message.includes(code)
    ? `${error.message} (${code})`
    : error.message;
}

/** A copy of the fields of which nothing but plain, bounded values without credentials is left. */
export function safeFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) safe[key] = safeValue(value, 0);
  }
  return safe;
}

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return safeText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return describeError(value);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  // A secret, a date, a URL say themselves how they are written.
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return depth > MAX_DEPTH ? '[…]' : safeValue(value.toJSON(), depth + 1);
  }
  if (depth >= MAX_DEPTH) return '[…]';
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => safeValue(item, depth + 1));
  const safe: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value).slice(0, MAX_ITEMS))
    safe[key] = safeValue(inner, depth + 1);
  return safe;
}
