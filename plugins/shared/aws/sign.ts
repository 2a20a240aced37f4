/**
 * Signatures of plain HTTP requests for AWS (SigV4), by the SDK's own signer.
 *
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { Hash } from '@smithy/core/serde';
import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentity, AwsCredentialIdentityProvider } from '@smithy/types';

export interface SignableRequest {
  method: string;
  /** Scheme, host and port: `https://search-x.eu-west-1.es.amazonaws.com`. */
  origin: string;
  /** Path and query, beginning with a slash, percent-encoded as it is sent. */
  path: string;
  /** Headers that are sent; they are signed too (but those that hops may change). */
  headers: Readonly<Record<string, string>>;
  body?: Uint8Array | string;
}

export interface SignerOptions {
  credentials: AwsCredentialIdentity | AwsCredentialIdentityProvider;
  region: string;
  /** The service's name in signatures: `es`, `aoss`, `logs`. */
  service: string;
  /** Sends and signs the hash of the body as a header (default); `aoss` and S3 want it. */
  bodyHash?: boolean;
}

/** Answers with the headers to send: those of the request, `host`, and those of the signature. */
export type Sign = (request: SignableRequest, date?: Date) => Promise<Record<string, string>>;

/** Makes a signer. It asks for the credentials at every request. */
export function makeSigner({ credentials, region, service, bodyHash = true }: SignerOptions): Sign {
  const signer = new SignatureV4({
    credentials,
    region,
    service,
    sha256: Hash.bind(null, 'sha256'),
    applyChecksum: bodyHash,
    // All services but S3 want the path encoded once more.
    uriEscapePath: service !== 's3',
  });
  return async ({ method, origin, path, headers, body }, signingDate = new Date()) => {
    const { protocol, hostname, host } = new URL(origin);
    const mark = path.indexOf('?');
    const { headers: signed } = await signer.sign(
      {
        method,
        protocol,
        hostname,
        path: mark === -1 ? path : path.slice(0, mark),
        query: mark === -1 ? {} : queryOf(path.slice(mark + 1)),
        headers: { ...headers, host },
        ...(body === undefined ? {} : { body }),
      },
      { signingDate },
    );
    return signed;
  };
}

function queryOf(text: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decodeURIComponent(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decodeURIComponent(pair.slice(equals + 1));
    const before = query[key];
    query[key] = before === undefined ? value : [before, value].flat();
  }
  return query;
}
