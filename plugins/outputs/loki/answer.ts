/** What an answer of Loki says of a request. */
import { requireSuccess, RetryableError, SplitError } from '../../../src/plugin.ts';
import type { HttpResponse } from '../../../src/plugin.ts';
import type { Entries } from './entries.ts';
import { readRefusals, wantedLabels } from './refusals.ts';
import type { Push, PushResult } from './requests.ts';

/** Of an answer that is read, bytes: a message for each of several thousand entries. */
export const ANSWER_BYTES = 1024 * 1024;

const ALL_TAKEN: PushResult = { rejected: [], unclear: [] };

/** The whole request was too much for the tenant's rate; nothing of it was taken. */
export class IngestionRateError extends RetryableError {}

/** Answers with the entries that were not taken. Throws RetryableError and SplitError as {@link requireSuccess} does. */
export function readAnswer(response: HttpResponse, push: Push, entries: Entries, place: string): PushResult {
  const { status } = response;
  if (status >= 200 && status < 300) return ALL_TAKEN;
  if (status === 400) {
    const wanted = wantedLabels(response.text);
    if (wanted !== undefined) {
      throw new RetryableError(
        `${tenantPlace(place, push)} answered 400: it wants every stream to have the labels ${wanted}: add them to labels`,
      );
    }
    const [stream] = push.streams;
    const verdict =
      push.streams.length === 1 && stream !== undefined && response.bytes.length < ANSWER_BYTES
        ? readRefusals(response.text, stream, entries)
        : undefined;
    if (verdict?.doubtful === true) throw new SplitError(verdict.refused[0]?.reason ?? '', status);
    if (verdict !== undefined) {
      const rejected = verdict.refused.map(({ entry, reason }) => ({ index: entry, status, reason }));
      return { rejected, unclear: verdict.unclear };
    }
  }
  try {
    requireSuccess(response, tenantPlace(place, push), true);
  } catch (error) {
    if (status === 401 && /no org id/.test(response.text)) {
      throw new RetryableError(`${place} answered 401: it keeps tenants apart: set tenant_id (no org id)`);
    }
    if (
      status === 429 &&
      error instanceof RetryableError &&
      response.text.startsWith('ingestion rate limit')
    ) {
      throw new IngestionRateError(error.message, { retryAfterMs: error.retryAfterMs });
    }
    throw error;
  }
  throw new SplitError(`${place} answered ${status}`, status);
}

function tenantPlace(place: string, { tenant }: Push): string {
  return tenant === undefined ? place : `${place} (tenant ${tenant})`;
}
