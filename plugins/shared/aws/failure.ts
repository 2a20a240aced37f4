/**
 * What an error of the AWS SDK says about the records of the request (DELIVERY.md, rules 20 and 21).
 *
 * Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, the common errors of each service's API reference, and the
 * SDK's own list of throttling codes.
 */
import { RetryableError, retryAfterMs, SplitError } from '../../../src/plugin.ts';
import { AwsCredentialsError } from './credentials.ts';
import type { PlacedResponse } from './http-handler.ts';

/** Of the service's own words in a message, characters. */
const SHOWN = 300;

/** Too much at once, or something else is being done to it: later it will do. */
const BUSY = new Set([
  'BandwidthLimitExceeded',
  'ConflictException',
  'EC2ThrottledException',
  'LimitExceededException',
  'OperationAborted',
  'OperationAbortedException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'ServiceQuotaExceededException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TransactionInProgressException',
]);

const EXPIRED = 'the credentials have expired: see that the place that they come from renews them';
const UNKNOWN_KEY =
  'the access key is unknown: check the credentials, and that they are of this partition and account';
const WRONG_SECRET = 'the secret key does not belong to the access key: check the credentials';
const FORBIDDEN =
  'the credentials may not do this: check the policies of the role or user and of the destination';
const CLOCK = 'the clock of this machine is wrong: set it';
const REGION = 'it is in another region: set region, and endpoint where it is written';

/** What to do, by the code of the error. */
const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied: FORBIDDEN,
  AccessDeniedException: FORBIDDEN,
  AccountProblem: FORBIDDEN,
  AllAccessDisabled: FORBIDDEN,
  AuthorizationHeaderMalformed: REGION,
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  IllegalLocationConstraintException: REGION,
  IncompleteSignature: WRONG_SECRET,
  IncompleteSignatureException: WRONG_SECRET,
  InvalidAccessKeyId: UNKNOWN_KEY,
  InvalidClientTokenId: UNKNOWN_KEY,
  InvalidSignatureException: WRONG_SECRET,
  InvalidToken: EXPIRED,
  MissingAuthenticationToken: FORBIDDEN,
  MissingAuthenticationTokenException: FORBIDDEN,
  NoSuchBucket: 'there is no such bucket: check its name and the region, or create it',
  NotAuthorized: FORBIDDEN,
  OptInRequired: FORBIDDEN,
  PermanentRedirect: REGION,
  RequestExpired: CLOCK,
  RequestTimeTooSkewed: CLOCK,
  ResourceNotFoundException: 'what it should go to is not there: check its name and the region, or create it',
  SignatureDoesNotMatch: WRONG_SECRET,
  TokenRefreshRequired: EXPIRED,
  UnauthorizedException: FORBIDDEN,
  UnrecognizedClientException: UNKNOWN_KEY,
};

/** With these it is worth looking for the credentials anew. */
const CREDENTIAL_ADVICE: ReadonlySet<string | undefined> = new Set([
  EXPIRED,
  UNKNOWN_KEY,
  WRONG_SECRET,
  FORBIDDEN,
]);

/** The service answered, and the fault is with it, the credentials or the configuration: all is sent again later. */
export class AwsFault extends RetryableError {
  override name = 'AwsFault';
  /** The service's word for the error: `ThrottlingException`. */
  readonly code: string;
  readonly status: number | undefined;
  /** The service wants less at a time. */
  readonly throttled: boolean;
  /** The credentials were refused. */
  readonly credentials: boolean;

  constructor(
    message: string,
    parts: Pick<AwsFault, 'code' | 'status' | 'throttled' | 'credentials' | 'retryAfterMs'> & {
      cause: unknown;
    },
  ) {
    super(message, parts);
    this.code = parts.code;
    this.status = parts.status;
    this.throttled = parts.throttled;
    this.credentials = parts.credentials;
  }
}

/** The service refuses the request for what is in it (400, 413 …). */
export class AwsRefusal extends SplitError {
  override name = 'AwsRefusal';
  /** The service's word for the error: `InvalidParameterException`. */
  readonly code: string;

  constructor(message: string, code: string, status: number | undefined) {
    super(message, status);
    this.code = code;
  }
}

/** What the SDK adds to the errors that a service answers with. */
interface ServiceError extends Error {
  $metadata?: { httpStatusCode?: number };
  $response?: Partial<PlacedResponse>;
}

/**
 * The error to throw for what a client of the SDK threw. `place` names the service where the error does not; `action` is the name of the
 * request (`PutLogEvents`); `redact` takes secrets out of the service's words. What is no answer and no failure of the network (a defect)
 * comes back as it is.
 */
export function awsError(
  error: unknown,
  place: string,
  action: string,
  redact: (text: string) => string,
): unknown {
  if (error instanceof AwsCredentialsError) {
    return new AwsCredentialsError(`${place}: ${action} was not sent: ${error.message}`, { cause: error });
  }
  if (error instanceof RetryableError || error instanceof SplitError || !(error instanceof Error))
    return error;
  const { $response: response, $metadata: metadata } = error as ServiceError;
  const status = metadata?.httpStatusCode ?? response?.statusCode;
  if (status === undefined) return error;
  const code = status >= 300 && error.name === 'Error' ? String(status) : error.name;
  const advice = ADVICE[code] ?? adviceByStatus(status, code);
  const throttled = BUSY.has(code) || status === 429 || status === 503;
  const said = shorten(redact(error.message));
  const message =
    `${response?.place ?? place}: ${action} was answered with ${status} ${code}` +
    `${advice === undefined ? '' : `: ${advice}`}${said === '' || said === code ? '' : ` (${said})`}`;
  if (advice === undefined && !throttled && status >= 400 && status < 500 && status !== 408)
    return new AwsRefusal(message, code, status);
  return new AwsFault(message, {
    cause: error,
    code,
    status,
    throttled,
    credentials: CREDENTIAL_ADVICE.has(advice),
    retryAfterMs: retryAfterMs(response?.headers?.['retry-after'], Date.now()),
  });
}

function adviceByStatus(status: number, code: string): string | undefined {
  if (BUSY.has(code)) return undefined;
  if (status === 401 || status === 403) return FORBIDDEN;
  if (status === 404) return 'nothing is there: check the names and the region';
  if (status >= 300 && status < 400) return REGION;
  return undefined;
}

/** The first line of a text, bounded: what may follow is the request that was signed. */
function shorten(text: string): string {
  const [line = ''] = text.trim().split('\n');
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line.replace(/\.$/, '');
}
