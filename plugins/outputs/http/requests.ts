/** Which records of an attempt go into which request. */
import { compileAccessor, Slice } from '../../../src/plugin.ts';
import type { ReadonlyValue, Rejection } from '../../../src/plugin.ts';
import { headerProblem } from '../../shared/http-headers.ts';

/** Records that are sent together. */
export interface Part {
  slices: readonly Slice[];
  /** Index of the first record through all slices of the attempt. */
  index: number;
  length: number;
}

/** One part with everything, or a part per run of slices with the same tag, where the tag is a header. */
export function cutParts(slices: readonly Slice[], byTag: boolean): Part[] {
  const parts: (Part & { slices: Slice[] })[] = [];
  let index = 0;
  for (const slice of slices) {
    const last = parts.at(-1);
    if (last !== undefined && (!byTag || last.slices[0]?.tag === slice.tag)) {
      last.slices.push(slice);
      last.length += slice.length;
    } else {
      parts.push({ slices: [slice], index, length: slice.length });
    }
    index += slice.length;
  }
  return parts;
}

/** A request that a record brings along: `body_key` and `headers_key`. */
export interface OwnRequest {
  body: string;
  headers: [string, string][];
}

export type OwnRequestOf = (slice: Slice, index: number) => OwnRequest | string;

/** Reads requests out of records; a string says why a record has none. */
export function ownRequests(bodyKey: string, headersKey: string): OwnRequestOf {
  const body = compileAccessor(bodyKey);
  const headers = compileAccessor(headersKey);
  return (slice, index) => {
    const record = slice.record(index);
    const text = body(record);
    if (typeof text !== 'string') return `The record has no text under body_key ${bodyKey}.`;
    const found = headers(record);
    if (!isMap(found)) return `The record has no map under headers_key ${headersKey}.`;
    const pairs = Object.entries(found).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string',
    );
    for (const [name, value] of pairs) {
      const problem = headerProblem(name, value);
      if (problem !== undefined) return `A header of the record ${problem}.`;
    }
    return { body: text, headers: pairs };
  };
}

function isMap(value: ReadonlyValue | undefined): value is { readonly [key: string]: ReadonlyValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every record as a part of its own. */
export function cutRecords(slices: readonly Slice[]): Part[] {
  const parts: Part[] = [];
  for (const { chunk, from, length } of slices) {
    for (let at = 0; at < length; at++) {
      parts.push({ slices: [new Slice(chunk, from + at, from + at + 1)], index: parts.length, length: 1 });
    }
  }
  return parts;
}

/** Rejections of a part, by the indexes of the attempt. */
export function shifted(rejections: readonly Rejection[], part: Part): Rejection[] {
  return rejections.map((rejection) => ({ ...rejection, index: rejection.index + part.index }));
}
