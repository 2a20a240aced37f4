/** The ways to receive by UDP, for suites that run over each: with the optional package koffi, and without it. */
import { afterEach, beforeEach, vi } from 'vitest';

export const DATAGRAM_WAYS = ['many at a time', 'one by one'] as const;

/** The tests of this suite have the package only if the way needs it. */
export function useDatagramWay(way: (typeof DATAGRAM_WAYS)[number]): void {
  if (way === 'many at a time') return;
  beforeEach(() => {
    vi.doMock('koffi', () => {
      throw new Error('Cannot find package koffi');
    });
  });
  afterEach(() => {
    vi.doUnmock('koffi');
  });
}
