/** Why the API server, or a kubelet, did not do what it was asked. */
import { isRecord } from '../../../../src/plugin.ts';

/** Label of the metric, and what callers go by. */
export type FailureReason =
  | 'unreachable'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'gone'
  | 'throttled'
  | 'server_error'
  | 'bad_answer'
  | 'too_large'
  | 'token';

export class ApiFailure extends Error {
  override name = 'ApiFailure';
  readonly reason: FailureReason;
  /** What the server asks to wait for, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: FailureReason,
    message: string,
    { retryAfterMs, cause }: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Of the server's own words in a message, characters. */
const SHOWN = 300;

const ADVICE: Readonly<Record<number, string>> = {
  401: 'it does not accept the token: check kube_token_file, and that the ServiceAccount is there',
  403: 'it does not allow that: grant the ServiceAccount get, list and watch of it by a ClusterRole and a ClusterRoleBinding',
};

/**
 * The failure that an answer with that status is, with the server's own words where it has some.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/, "Status" in https://github.com/kubernetes/community (API conventions)
 */
export function failureOf(status: number, body: unknown, place: string, retryAfterMs?: number): ApiFailure {
  const said = isRecord(body) && typeof body['message'] === 'string' ? body['message'].slice(0, SHOWN) : '';
  const advice = ADVICE[status];
  const message = `${place} answered ${status}${advice === undefined ? '' : `: ${advice}`}${said === '' ? '' : ` (${said})`}`;
  return new ApiFailure(reasonOf(status, body), message, { retryAfterMs });
}

function reasonOf(status: number, body: unknown): FailureReason {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 410) return 'gone';
  if (status === 429) return 'throttled';
  // A resource version that this server has not seen, after it was restored say: as good as one that is gone.
  if (status === 504 && JSON.stringify(body ?? '').includes('ResourceVersionTooLarge')) return 'gone';
  return status >= 500 ? 'server_error' : 'bad_answer';
}
