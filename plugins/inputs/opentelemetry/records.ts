/** From a log record of OTLP to an event, as Fluent Bit has it: see src/codec/otlp/model.ts for the shape. */
import type { LogRecord, OtlpGroup, OtlpRecord, TakeRecord } from '../../../src/plugin.ts';
import type { RequestBatches } from '../../shared/http-receiver/batches.ts';

const NANOS = 1_000_000_000n;

export interface RecordShape {
  /** Key of what OTLP says beside the body, in the metadata. */
  metadataKey: string;
  /** Every body goes under this key; undefined: maps are the record, others go under `log`. */
  bodyKey: string | undefined;
}

/** Takes the log records of a request. `now`: Unix milliseconds, for records without any time. */
export function takeInto(
  batches: RequestBatches,
  { metadataKey, bodyKey }: RecordShape,
  now: number,
): TakeRecord {
  const prefix = `{${JSON.stringify(bodyKey ?? 'log')}:`;
  return ({ time, body, isMap, fields }: OtlpRecord, group: OtlpGroup) => {
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
