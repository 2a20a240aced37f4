import { describe, expect, it } from 'vitest';
import { registry } from '../../plugins/index.ts';

const KINDS = ['input', 'filter', 'output', 'parser'] as const;
const all = KINDS.flatMap((kind) => registry.names(kind).map((name) => [kind, name] as const));

describe('the registry', () => {
  it.each(all)('%s %s is what it is called', async (kind, name) => {
    const definition = await registry.load(kind, name);
    expect(definition?.kind).toBe(kind);
    expect([definition?.name, ...(definition?.aliases ?? [])]).toContain(name);
  });

  it('knows nothing else', async () => {
    expect(await registry.load('input', 'toString')).toBeUndefined();
    expect(await registry.load('output', 'tail')).toBeUndefined();
  });

  it.each(KINDS)('no %s is both there and not there yet', (kind) => {
    const later = registry.later?.(kind).map(({ name }) => name) ?? [];
    expect(later.filter((name) => registry.names(kind).includes(name))).toEqual([]);
    expect(new Set(later).size).toBe(later.length);
  });

  it('every stock parser names a format that is there', async () => {
    for (const { format } of (await registry.stockParsers?.()) ?? [])
      expect(registry.names('parser')).toContain(format);
  });
});
