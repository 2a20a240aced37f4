import { expect, it } from 'vitest';
import { restartKeys } from '../../src/cli/restart-keys.ts';
import type { ServiceOptions } from '../../src/config/definition.ts';

const before = {
  httpServer: false,
  httpPort: 2020,
  memoryLimit: 1,
  flush: 1,
  storage: { path: undefined, sync: 'normal', checksum: true, overflow: true },
} as unknown as ServiceOptions;

it('names the keys that only a restart takes up, and no others', () => {
  expect(restartKeys(before, before)).toEqual([]);
  const after = {
    ...before,
    httpPort: 2021,
    flush: 2,
    storage: { ...before.storage, path: '/elsewhere', overflow: false },
  };
  expect(restartKeys(before, after)).toEqual(['http_port', 'storage.path']);
});
