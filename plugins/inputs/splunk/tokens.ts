/** Who may send: tokens in the header Authorization, as `Splunk TOKEN` or as the password of basic authentication. */
import { credentialsOf, isOneOf } from '../../../src/plugin.ts';
import { HecRefusal, INVALID_AUTHORIZATION, INVALID_TOKEN, TOKEN_REQUIRED } from './answers.ts';

/** The token that a request brings along; undefined without. Throws {@link HecRefusal} unless it is one of `accepted`, where there are any. */
export function tokenOf(header: string | undefined, accepted: readonly string[]): string | undefined {
  const given = credentialsOf(header, 'Splunk') ?? passwordOf(header);
  if (accepted.length === 0) return given === '' ? undefined : given;
  if (header === undefined || header.trim() === '')
    throw new HecRefusal(TOKEN_REQUIRED, 'The header Authorization is missing.');
  if (given === undefined || given === '') {
    throw new HecRefusal(
      INVALID_AUTHORIZATION,
      'The header Authorization is neither "Splunk TOKEN" nor basic authentication with the token as its password.',
    );
  }
  if (!isOneOf(given, accepted)) throw new HecRefusal(INVALID_TOKEN, 'The token is none of splunk_token.');
  return given;
}

function passwordOf(header: string | undefined): string | undefined {
  const encoded = credentialsOf(header, 'Basic');
  return encoded === undefined
    ? undefined
    : Buffer.from(encoded, 'base64')
        .toString()
        .replace(/^[^:]*:?/s, '');
}
