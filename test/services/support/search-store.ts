/** Reads what Elasticsearch or OpenSearch has. */
import { parseExact } from '../../../src/event/json.ts';
import type { LogRecord, Value } from '../../../src/event/record.ts';
import type { SearchServer } from '../servers/search-server.ts';
import type { Found } from './records.ts';

/** Documents of one page. */
const PAGE = 5000;
const BILLION = 1_000_000_000n;

/** Of the records: `nested` holds a list of numbers and maps, which can be kept but not indexed. */
export const MAPPINGS = { properties: { n: { type: 'long' }, nested: { type: 'object', enabled: false } } };

export class SearchStore {
  private readonly server: SearchServer;

  constructor(server: SearchServer) {
    this.server = server;
  }

  /** One request; answers with the parsed body, digits of wide integers and all. Throws for what is no success. */
  async ask(method: string, path: string, body?: unknown): Promise<LogRecord> {
    const response = await fetch(`${this.server.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
    return parseExact(text) as LogRecord;
  }

  /** Documents that the index, pattern or data stream has. */
  async count(index: string): Promise<number> {
    await this.ask('POST', `/${index}/_refresh`);
    return Number((await this.ask('GET', `/${index}/_count`))['count']);
  }

  /** The sources of all documents, by their number. */
  async sources(index: string): Promise<LogRecord[]> {
    await this.ask('POST', `/${index}/_refresh`);
    const sources: LogRecord[] = [];
    let after: Value | undefined;
    for (;;) {
      const { hits } = (await this.ask(
        'POST',
        `/${index}/_search?filter_path=hits.hits._source,hits.hits.sort`,
        {
          size: PAGE,
          // A second one with a number may be passed over at the end of a page: compare the count, too.
          sort: [{ n: 'asc' }],
          track_total_hits: false,
          ...(after === undefined ? {} : { search_after: after }),
        },
      )) as unknown as { hits?: { hits: { _source: LogRecord; sort: Value }[] } };
      const page = hits?.hits ?? [];
      for (const { _source: source } of page) sources.push(source);
      after = page.at(-1)?.sort;
      if (page.length < PAGE) return sources;
    }
  }

  /** Gives the judge all that an index has of the records. */
  async judge(index: string, found: Found): Promise<void> {
    for (const { '@timestamp': time, ...record } of await this.sources(index))
      found.add(record, nanosOfTime(String(time)));
  }
}

function nanosOfTime(time: string): bigint {
  const [, second = '', digits = ''] = /^(.*)\.(\d{9})Z$/.exec(time) ?? [];
  return BigInt(Date.parse(`${second}Z`) / 1000) * BILLION + BigInt(digits);
}
