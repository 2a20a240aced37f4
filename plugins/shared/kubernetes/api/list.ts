/** Lists of the API server, page by page. https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks */
import { isRecord } from '../../../../src/plugin.ts';
import type { LogRecord } from '../../../../src/plugin.ts';
import type { KubeClient, Query } from './client.ts';
import { ApiFailure } from './failure.ts';

/** Of a page, bytes. A page with one object always fits: etcd takes none of more than 1.5 MB. */
const PAGE_BYTES = 32 * 1024 * 1024;

export interface Page {
  items: readonly LogRecord[];
  /** Of the whole list: where a watch goes on. */
  resourceVersion: string;
}

/** The pages of a list; `limit` objects in each, fewer where such a page is too large. Throws {@link ApiFailure}. */
export async function* pagesOf(
  client: KubeClient,
  path: string,
  { limit, ...query }: Query & { limit: number },
  signal: AbortSignal,
): AsyncGenerator<Page> {
  let objects = limit;
  const consistent = Object.assign({}, query, {
    resourceVersion: undefined,
    resourceVersionMatch: undefined,
  });
  let where: Query = query;
  for (;;) {
    let answer: unknown;
    try {
      answer = await client.get(path, { ...where, limit: objects }, PAGE_BYTES, signal);
    } catch (error) {
      if (!(error instanceof ApiFailure) || error.reason !== 'too_large' || objects === 1) throw error;
      objects = Math.ceil(objects / 4);
      // A list of any version is given whole, whatever the limit.
      if (where['continue'] === undefined) where = consistent;
      continue;
    }
    const { items, resourceVersion, next } = read(answer, client.origin + path);
    yield { items, resourceVersion };
    if (next === undefined) return;
    where = Object.assign({ continue: next }, consistent);
  }
}

function read(answer: unknown, place: string): Page & { next: string | undefined } {
  const metadata = isRecord(answer) ? answer['metadata'] : undefined;
  const items = isRecord(answer) ? answer['items'] : undefined;
  if (!isRecord(metadata) || !Array.isArray(items))
    throw new ApiFailure('bad_answer', `${place}: the answer is no list of Kubernetes.`);
  const { resourceVersion, continue: next } = metadata;
  return {
    items: items.filter(isRecord),
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
    next: typeof next === 'string' && next !== '' ? next : undefined,
  };
}
