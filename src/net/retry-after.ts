/** The Retry-After header: seconds, or a date. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */

/** A destination may ask for patience, not for a day of silence. */
const MAX_WAIT_MS = 3_600_000;

/** Milliseconds to wait from `nowMs` (Unix time); undefined when there is no such header or it cannot be read. */
export function retryAfterMs(
  header: string | readonly string[] | undefined,
  nowMs: number,
): number | undefined {
  const value = (typeof header === 'string' ? header : header?.[0])?.trim();
  if (value === undefined || value === '') return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(0, wait), MAX_WAIT_MS);
}
