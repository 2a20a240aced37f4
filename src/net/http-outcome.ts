/** What an HTTP status says about the records of the request (DELIVERY.md, rule 21). */
import { RetryableError, SplitError } from '../event/outcome.ts';
import type { HttpResponse } from './http-client.ts';
import { retryAfterMs } from './retry-after.ts';

/** Of an answer's text in a message, characters. */
const SHOWN_TEXT = 300;

/** What to do about a destination that answers but takes nothing. */
const ADVICE: Readonly<Record<number, string>> = {
  401: 'check user and password or token',
  403: 'the credentials may not write there: check them and the permissions',
  404: 'nothing is there: check the path',
  407: 'the proxy wants credentials: write them in the proxy URL',
};

/**
 * Returns when the request was taken (2xx). Else throws {@link RetryableError} where the destination is at fault (redirects, 401, 403,
 * 404, 407, 408, 429, 5xx; with its Retry-After), {@link SplitError} where something in the request is (400, 413, 422 and other 4xx).
 * `showText` puts the answer's first words into the message.
 */
export function requireSuccess(
  response: Pick<HttpResponse, 'status' | 'headers' | 'text'>,
  place: string,
  showText: boolean,
): void {
  const { status } = response;
  if (status >= 200 && status < 300) return;
  const said = showText ? shortText(response.text) : '';
  const answer = `${place} answered ${status}`;
  const advice = ADVICE[status];
  const sentence = `${answer}${advice === undefined ? '' : `: ${advice}`}${said === '' ? '' : ` (${said})`}`;
  if (status >= 300 && status < 400) {
    const location = response.headers['location'];
    const target = typeof location === 'string' ? ` to ${withoutUserinfo(location)}` : '';
    throw new RetryableError(
      `${answer}, a redirect${target}: redirects are not followed, write the final address`,
    );
  }
  const isDestinationFault =
    advice !== undefined || status === 408 || status === 429 || status >= 500 || status < 200;
  if (isDestinationFault) {
    throw new RetryableError(sentence, {
      retryAfterMs: retryAfterMs(response.headers['retry-after'], Date.now()),
    });
  }
  throw new SplitError(sentence, status);
}

function shortText(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN_TEXT ? `${line.slice(0, SHOWN_TEXT)}…` : line;
}

function withoutUserinfo(location: string): string {
  return location.replace(/\/\/[^/?#]*@/, '//');
}
