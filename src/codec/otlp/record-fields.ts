/** Gathers the fields of one log record, by Fluent Bit's names; what is empty or 0 is as if it were not there. */
import type { LogRecord } from '../../event/record.ts';
import { parseExact } from '../../event/json.ts';
import { OtlpError, SPAN_ID_BYTES, TRACE_ID_BYTES } from './model.ts';
import type { OtlpRecord } from './model.ts';

export class RecordFields {
  time = 0n;
  observed = 0n;
  private bodyText = 'null';
  private isMap = false;
  private readonly fields: LogRecord = {};

  body(text: string, isMap: boolean): void {
    this.bodyText = text;
    this.isMap = isMap;
  }

  text(key: string, text: string): void {
    setText(this.fields, key, text);
  }

  count(key: string, count: number): void {
    setCount(this.fields, key, count);
  }

  /** A map, as JSON text. */
  attributes(text: string): void {
    this.fields['attributes'] = parseExact(text);
  }

  /** Hexadecimal. */
  traceId(hex: string): void {
    this.id('trace_id', hex, TRACE_ID_BYTES);
  }

  spanId(hex: string): void {
    this.id('span_id', hex, SPAN_ID_BYTES);
  }

  finish(): OtlpRecord {
    const { time, observed, fields } = this;
    if (observed > 0n) fields['observed_timestamp'] = integer(observed);
    if (time > 0n) fields['timestamp'] = integer(time);
    return { time: time === 0n ? observed : time, body: this.bodyText, isMap: this.isMap, fields };
  }

  private id(key: string, hex: string, bytes: number): void {
    if (hex === '') return;
    if (hex.length !== bytes * 2 || !/^[0-9a-fA-F]+$/.test(hex))
      throw new OtlpError(`has a ${key} that is not of ${bytes} bytes`);
    this.fields[key] = hex.toLowerCase();
  }
}

export function setText(into: LogRecord, key: string, text: string): void {
  if (text !== '') into[key] = text;
}

export function setCount(into: LogRecord, key: string, count: number): void {
  if (count > 0) into[key] = count;
}

/** As records hold integers: a bigint only where a number would lose digits. */
function integer(value: bigint): number | bigint {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
