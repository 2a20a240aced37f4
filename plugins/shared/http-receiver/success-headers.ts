/** The headers that a configuration adds to the answer to what was taken. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { OptionProblem } from '../../../src/plugin.ts';

/** They say how the answer is sent, which is not the configuration's to say. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
]);

/** The problems of `success_header`, for `check`. */
export function successHeaderProblems(headers: readonly (readonly [string, string])[]): OptionProblem[] {
  return headers.flatMap(([name, value], index) => {
    const message = problemOf(name, value);
    return message === undefined ? [] : [{ key: 'success_header', index, message }];
  });
}

function problemOf(name: string, value: string): string | undefined {
  if (OWN_HEADERS.has(name.toLowerCase())) return `sets ${name}, which the server sets itself`;
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return undefined;
  } catch {
    return `is no header: name or value of ${name} hold characters that HTTP does not allow`;
  }
}
