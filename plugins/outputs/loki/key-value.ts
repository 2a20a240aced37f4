/**
 * The line format `key_value`, as Fluent Bit writes it: `level="info" status=200 took=1.5 list="[1 2]" map="map[a:1 b:"x"]"`.
 * Texts are put in quotes and not escaped.
 *
 * Source: plugins/out_loki/loki.c of Fluent Bit 5.1 (pack_format_line_value).
 */
import type { ReadonlyRecord } from '../../../src/plugin.ts';

type Item = string | boolean | null | RawNumber | readonly Item[] | { readonly [key: string]: Item };

/** A number as it stands in the text: `1` and `1.0` are written differently. */
interface RawNumber {
  readonly rawJSON: string;
}

const SIGNIFICANT = 16;

/** Reads a record so that its numbers keep their text. */
export function parseItems(json: string): ReadonlyRecord {
  return JSON.parse(json, keepText) as ReadonlyRecord;
}

function keepText(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? JSON.rawJSON(context.source) : value;
}

/** The members of a record of {@link parseItems}. `dropSingle`: of a record of one key only the value, a text without quotes. */
export function keyValueLine(record: ReadonlyRecord, dropSingle: boolean): string {
  const members = Object.entries(record as { readonly [key: string]: Item });
  const [only] = members;
  if (dropSingle && members.length === 1 && only !== undefined) {
    return typeof only[1] === 'string' ? only[1] : itemText(only[1]);
  }
  return members.map(([key, item]) => `${key}=${itemText(item)}`).join(' ');
}

function itemText(item: Item): string {
  if (typeof item === 'string') return `"${item}"`;
  if (item === null || typeof item === 'boolean') return String(item);
  if (Array.isArray(item)) return `"[${(item as readonly Item[]).map(itemText).join(' ')}]"`;
  if (isRawNumber(item)) return numberText(item.rawJSON);
  const members = Object.entries(item as { readonly [key: string]: Item });
  return `"map[${members.map(([key, inner]) => `${key}:${itemText(inner)}`).join(' ')}]"`;
}

function isRawNumber(item: Item): item is RawNumber {
  return JSON.isRawJSON(item);
}

function numberText(source: string): string {
  if (/^-?\d+$/.test(source)) return source;
  const value = Number(source);
  if (!Number.isFinite(value)) return source;
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return value.toFixed(1);
  return general(value);
}

/** C's `%.16g`. */
function general(value: number): string {
  const [digits = '', exponent = '0'] = value.toExponential(SIGNIFICANT - 1).split('e');
  const power = Number(exponent);
  if (power >= -4 && power < SIGNIFICANT) return trimZeros(value.toFixed(SIGNIFICANT - 1 - power));
  const sign = power < 0 ? '-' : '+';
  return `${trimZeros(digits)}e${sign}${String(Math.abs(power)).padStart(2, '0')}`;
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

declare global {
  interface JSON {
    isRawJSON(value: unknown): boolean;
  }
}
