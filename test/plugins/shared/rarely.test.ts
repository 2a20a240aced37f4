import { describe, expect, it } from 'vitest';
import { Rarely } from '../../../plugins/shared/rarely.ts';

describe('Rarely', () => {
  it('tells the first at once and keeps the next ones back', () => {
    const seldom = new Rarely();
    expect([seldom.happened(), seldom.happened(), seldom.happened()]).toEqual([1, 0, 0]);
  });
});
