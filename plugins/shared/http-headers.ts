/** Request headers: those of the configuration, of the format, and of records. */
import type { OptionProblem, Secret } from '../../src/plugin.ts';

/** By lower-case name. */
export type Headers = Record<string, string | string[]>;

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible ASCII and Latin-1, blanks inside: what HTTP takes. */
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
/** The client's own business. */
const RESERVED = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authorization',
  'transfer-encoding',
  'upgrade',
]);

/** What is wrong with a header, as a clause; undefined when it can be sent. */
export function headerProblem(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return `has the name "${name}", which no HTTP header can have`;
  if (RESERVED.has(name.toLowerCase()))
    return `sets ${name}, which the connection decides itself: leave it out`;
  if (!VALUE.test(value)) return 'has a control character or one beyond Latin-1 in its value';
  return undefined;
}

export function checkHeaders(headers: readonly (readonly [string, string])[]): OptionProblem[] {
  return headers.flatMap(([name, value], index) => {
    const message = headerProblem(name, value);
    return message === undefined ? [] : [{ key: 'header', index, message }];
  });
}

/**
 * Puts headers over others: a name that `over` has replaces the same in `base`. Names that `over` has several times are all
 * sent, or only the last where duplicates are not allowed.
 */
export function mergeHeaders(
  base: Headers,
  over: Iterable<readonly [string, string]>,
  allowDuplicates: boolean,
): Headers {
  const merged: Headers = { ...base };
  const seen = new Set<string>();
  for (const [written, value] of over) {
    const name = written.toLowerCase();
    const before = merged[name];
    if (allowDuplicates && seen.has(name) && before !== undefined) merged[name] = [before, value].flat();
    else merged[name] = value;
    seen.add(name);
  }
  return merged;
}

/** A tag as a header's value: what HTTP does not take as `%0A`. */
export function tagHeader(tag: string): string {
  return tag.replace(/[^\u0021-\u007e]/gu, (character) =>
    encodeURIComponent(character.isWellFormed() ? character : '\ufffd'),
  );
}

/** The Authorization of a token or of a user with password; nothing without either. A token goes first. */
export function authorization(
  user: string | undefined,
  password: Secret | undefined,
  token: Secret | undefined,
): Headers {
  if (token !== undefined) return { authorization: `Bearer ${token.reveal()}` };
  if (user === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${user}:${password?.reveal() ?? ''}`).toString('base64')}` };
}
