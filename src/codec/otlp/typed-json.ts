/** Reads a record's JSON text without losing what OTLP can carry: integers of 64 bits, and doubles that are whole numbers. */
import { hasWideNumber } from '../../event/json.ts';
import { Double } from './model.ts';
import type { OtlpMap } from './model.ts';

/** May find digits inside of strings; that costs time only. */
const WHOLE_DOUBLE = /\d\.0+(?!\d)|\d[eE][+-]?\d/;

/** The record of a JSON text. */
export function parseTyped(text: string): OtlpMap {
  if (!hasWideNumber(text) && !WHOLE_DOUBLE.test(text)) return JSON.parse(text) as OtlpMap;
  return JSON.parse(text, keepTypes) as OtlpMap;
}

function keepTypes(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined) return value;
  if (!/[.eE]/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
  if (!Number.isFinite(value)) return source;
  return Number.isInteger(value) ? new Double(value) : value;
}
