/** From a log record of OTLP to an event, as Fluent Bit has it: see src/codec/otlp/model.ts for the shape. */
import type { LogRecord, OtlpGroup, OtlpRecord, TakeRecord } from '../../../src/plugin.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';

/** What resources and scopes say may come to so many times the largest body, once it stands with each of their records. */
const MOST_COMMON = 16;
const NANOS = 1_000_000_000n;

export interface RecordShape {
  /** Key of what OTLP says beside the body, in the metadata. */
  metadataKey: string;
  /** Every body goes under this key; undefined: maps are the record, others go under `log`. */
  bodyKey: string | undefined;
}

/** Takes the log records of a request. `now`: Unix milliseconds, for records without any time. `maxBytes`: those of a body. Throws {@link Refusal}. */
export function takeInto(
  batches: RequestBatches,
  { metadataKey, bodyKey }: RecordShape,
  now: number,
  maxBytes = Number.POSITIVE_INFINITY,
): TakeRecord {
  let commonLeft = maxBytes * MOST_COMMON;
  let last: OtlpGroup | undefined;
  let commonSize = 0;
  const prefix = `{${JSON.stringify(bodyKey ?? 'log')}:`;
  return ({ time, body, isMap, fields }: OtlpRecord, group: OtlpGroup) => {
    if (group !== last) {
      last = group;
      commonSize = JSON.stringify(group.resource).length + JSON.stringify(group.scope).length;
    }
    commonLeft -= commonSize;
    if (commonLeft < 0)
      throw new Refusal(
        413,
        `What the resources and scopes say of their records comes to more than ${MOST_COMMON} times buffer_max_size: send fewer records at a time.`,
      );
    const whole = isMap && bodyKey === undefined;
    // An output must tell it from a body that was put under that key.
    if (whole && body.includes('"log":')) fields['body_type'] = 'map';
    const metadata: LogRecord = { [metadataKey]: fields };
    if (!isEmpty(group.resource)) metadata['resource'] = group.resource;
    if (!isEmpty(group.scope)) metadata['scope'] = group.scope;
    const text = whole ? body : `${prefix}${body}}`;
    if (time === 0n) batches.takeEvent(undefined, text, Math.floor(now / 1000), (now % 1000) * 1e6, metadata);
    else batches.takeEvent(undefined, text, Number(time / NANOS), Number(time % NANOS), metadata);
  };
}

function isEmpty(map: LogRecord): boolean {
  for (const _key in map) return false;
  return true;
}
