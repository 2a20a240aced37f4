/** A server that speaks the bulk protocol, as far as the tests of the outputs need it: it keeps documents, and answers as it is told. */
import { gunzipSync } from 'node:zlib';
import { startServer } from '../../net/servers.ts';
import type { Received, ServerOptions, TestServer } from '../../net/servers.ts';
import { parseExact } from '../../contract/support.ts';

export interface BulkItem {
  operation: string;
  meta: Record<string, unknown>;
  document: Record<string, unknown>;
}

/** What one item is answered with; 201 unless it is an object with another status. */
export type Judge = (item: BulkItem, request: number) => { status: number; error?: unknown } | undefined;

/** The actions and documents of a request. */
export function itemsOf({ body, headers }: Received): BulkItem[] {
  const text = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  const lines = text.toString().split('\n');
  if (lines.pop() !== '') throw new Error('The body does not end in a line feed.');
  const items: BulkItem[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const [operation, meta] = Object.entries(parseExact(lines[at] as string) as object)[0] as [
      string,
      object,
    ];
    items.push({
      operation,
      meta: meta as Record<string, unknown>,
      document: parseExact(lines[at + 1] as string) as Record<string, unknown>,
    });
  }
  return items;
}

/** Starts one that answers each item as `judge` says. */
export function startBulkServer(
  judge: Judge = () => undefined,
  options?: ServerOptions,
): Promise<TestServer> {
  return startServer((request, response, index) => {
    if (request.method !== 'POST') {
      response.end('{}');
      return;
    }
    const answers = itemsOf(request).map((item) => ({
      [item.operation]: judge(item, index) ?? { status: 201 },
    }));
    const errors = answers.some((answer) => Object.values(answer).some(({ status }) => status >= 300));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ errors, items: answers }));
  }, options);
}
