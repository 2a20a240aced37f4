import { describe, expect, it } from 'vitest';
import { summarize } from '../../src/pipeline/summary.ts';

const nothing = {
  seconds: 1.25,
  read: 0,
  delivered: 0,
  filtered: 0,
  dropped: 0,
  deadLettered: 0,
  left: [],
  inDoubt: 0,
  forced: false,
};

describe('rule 28: the last line', () => {
  it('says so when nothing is left', () => {
    expect(summarize({ ...nothing, read: 1_234_567, delivered: 999 }).text).toBe(
      'Stopped after 1.3 s · read 1,234,567 · delivered 999 · filtered out 0 · dropped 0 · dead letters 0 · nothing left · 0 in doubt',
    );
  });

  it('says what is left where, and what is in doubt', () => {
    const { text } = summarize({
      ...nothing,
      left: [
        { output: 'es', inSource: 12_000, onDisk: 0, gathered: 0, dropped: 0 },
        { output: 'idle', inSource: 0, onDisk: 0, gathered: 0, dropped: 0 },
        { output: 'http.1', inSource: 1, onDisk: 0, gathered: 0, dropped: 20 },
      ],
      inDoubt: 500,
    });
    expect(text).toContain(
      'left for es: 12,000 in the source; http.1: 1 in the source, 20 lost (cannot be read again)',
    );
    expect(text).toContain('500 in doubt');
    expect(text).not.toContain('idle');
  });
});
