/** For the tests of the kubernetes filter: files of metadata in a directory of the test's own, and filters over them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import kubernetes from '../../../../plugins/filters/kubernetes.ts';
import type { Filter, LogRecord, Parser } from '../../../../src/plugin.ts';
import type { Batch } from '../../../../src/event/batch.ts';
import { batchOf, createFilter, filterContext } from '../../../contract/filter.ts';
import type { TestFilterContext } from '../../../contract/filter.ts';

export const CONTAINER_ID = '0123456789abcdef'.repeat(4);

/** The tag of a container's log with the default prefix. */
export function tagOf(pod: string, { namespace = 'shop', container = 'app' } = {}): string {
  return `kube.var.log.containers.${pod}_${namespace}_${container}-${CONTAINER_ID}.log`;
}

/** Files by name, their contents as objects or as text, in a directory that goes with the test. */
export function metadataFiles(files: Record<string, object | string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-kube-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

export interface RunningFilter {
  filter: Filter;
  context: TestFilterContext;
  /** Sends records through; what comes out. */
  run: (tag: string, records: readonly (LogRecord | string)[]) => Promise<Batch>;
  /** Sum of a metric's series of this filter. */
  metric: (name: string, labels?: Record<string, string>) => number;
}

/** A filter with these options, closed with the test. */
export async function startFilter(
  options: Record<string, string>,
  parsers: readonly Parser[] = [],
): Promise<RunningFilter> {
  const written = Object.entries(options);
  const context = filterContext(written, parsers);
  const filter = await createFilter(kubernetes, written, context);
  onTestFinished(async () => filter.close?.());
  return {
    filter,
    context,
    async run(tag, records) {
      const batch = batchOf(records);
      await filter.process(batch, tag);
      return batch;
    },
    metric: (name, labels = {}) => context.metrics.counter(name, '').sum({ name: 'filter.0', ...labels }),
  };
}
