/** Reads what a Loki has, a page after the other. */
import { parseExact } from '../../../src/event/json.ts';
import type { Value } from '../../../src/event/record.ts';
import type { Found } from './records.ts';

/** Of one answer; Loki's own limit. */
const PAGE = 5000;

export interface FoundEntry {
  labels: Record<string, string>;
  at: bigint;
  line: string;
}

interface QueryOptions {
  /** Nanoseconds since 1970. */
  from: bigint;
  to: bigint;
  tenant?: string;
}

/** All entries of the streams that a selector matches. No two of one page's end may have the same time. */
export async function queryAll(
  url: string,
  selector: string,
  { from, to, tenant }: QueryOptions,
): Promise<FoundEntry[]> {
  const all: FoundEntry[] = [];
  let start = from;
  for (;;) {
    const page = await queryPage(url, selector, {
      from: start,
      to,
      ...(tenant === undefined ? {} : { tenant }),
    });
    all.push(...page);
    if (page.length < PAGE) return all;
    start = page.reduce((last, { at }) => (at > last ? at : last), start) + 1n;
  }
}

async function queryPage(
  url: string,
  selector: string,
  { from, to, tenant }: QueryOptions,
): Promise<FoundEntry[]> {
  const query = new URLSearchParams({
    query: selector,
    start: String(from),
    end: String(to),
    limit: String(PAGE),
    direction: 'forward',
  });
  const response = await fetch(`${url}/loki/api/v1/query_range?${query.toString()}`, {
    headers: tenant === undefined ? {} : { 'x-scope-orgid': tenant },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`The query was answered with ${response.status}: ${text}`);
  const { data } = JSON.parse(text) as {
    data: { result: { stream: Record<string, string>; values: [string, string][] }[] };
  };
  return data.result.flatMap(({ stream, values }) =>
    values.map(([at, line]) => ({ labels: stream, at: BigInt(at), line })),
  );
}

/** Adds entries to what was found; labels that were taken out of the line are put back. */
export function addEntries(
  found: Found,
  entries: readonly FoundEntry[],
  labelKeys: readonly string[] = [],
): void {
  for (const { labels, at, line } of entries) {
    const record = parseExact(line) as { [key: string]: Value };
    for (const key of labelKeys) if (labels[key] !== undefined) record[key] = labels[key];
    found.add(record, at);
  }
}
