/** Form bodies (`application/x-www-form-urlencoded`): one record of texts, as in Fluent Bit; a pair without `=` does not count. */
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
    const key = decode(pair.slice(0, Math.max(equals, 0)));
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

function decode(text: string): string {
  const plain = text.trim().replaceAll('+', ' ');
  if (!plain.includes('%')) return plain;
  try {
    return decodeURIComponent(plain);
  } catch {
    throw new Refusal(400, 'The form is not valid percent-encoding.');
  }
}
