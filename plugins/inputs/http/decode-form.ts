/**
 * Form bodies (`application/x-www-form-urlencoded`): one record of texts, as in Fluent Bit: a pair without `=` does not count, and keys
 * are taken as they stand.
 */
import { setKey } from '../../../src/plugin.ts';
import type { LogRecord } from '../../../src/plugin.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** Takes a body in. Throws {@link Refusal}. */
export function decodeForm(body: string, into: RequestBatches): void {
  const record: LogRecord = {};
  let pairs = 0;
  for (const pair of body.split('&')) {
    const equals = pair.indexOf('=');
    const key = pair.slice(0, Math.max(equals, 0)).trim();
    if (key === '') continue;
    setKey(record, key, decode(pair.slice(equals + 1)));
    pairs++;
  }
  if (pairs === 0)
    throw new Refusal(
      400,
      'The body is no form: KEY=VALUE&… is expected. For JSON, say Content-Type: application/json.',
    );
  into.take(record, undefined);
}

/** A value that is not valid percent-encoding stays as it is. */
function decode(text: string): string {
  const plain = text.trim();
  if (/%(?![0-9a-f]{2})/i.test(plain)) return plain;
  const spaced = plain.replaceAll('+', ' ');
  if (!spaced.includes('%')) return spaced;
  const bytes = Buffer.from(spaced)
    .toString('latin1')
    .replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
