/** The texts are those of Loki 3.7.8, as the service suite meets them. */
import { describe, expect, it } from 'vitest';
import { Entries } from '../../../../plugins/outputs/loki/entries.ts';
import type { Pair } from '../../../../plugins/outputs/loki/fields.ts';
import { readRefusals } from '../../../../plugins/outputs/loki/refusals.ts';

/** 2026-11-20T17:00:00Z. */
const CUTOFF = Date.UTC(2026, 10, 20, 17) / 1000;

interface Line {
  at: number;
  length?: number;
  metadata?: Pair[];
}

function judge(text: string, lines: readonly Line[], labels: Pair[] = [['a', 'b']]) {
  const entries = new Entries(lines.length);
  lines.forEach(({ at, length = 10, metadata }, index) => {
    entries.seconds[index] = Math.floor(at);
    entries.nanos[index] = Math.round((at % 1) * 1e9);
    entries.ends[index] = length;
    if (metadata !== undefined) (entries.metadata ??= [])[index] = metadata;
  });
  const verdict = readRefusals(text, { labels, entries: lines.map((_, index) => index) }, entries);
  if (verdict === undefined) return undefined;
  const { refused, unclear, doubtful } = verdict;
  return { refused: refused.map(({ entry }) => entry), unclear, ...(doubtful ? { doubtful } : {}) };
}

const STREAM = `'{a="b", service_name="unknown_service"}'`;
const old = (time: string): string =>
  `entry for stream ${STREAM} has timestamp too old: ${time}, oldest acceptable timestamp is: 2026-11-20T17:00:00Z`;
const young = (time: string): string => `entry for stream ${STREAM} has timestamp too new: ${time}`;
const long = (length: number): string =>
  `max entry size '1024' bytes exceeded for stream ${STREAM} while adding an entry with length '${length}' bytes`;

describe('refusals of the distributor', () => {
  it('are found in a push where all kinds are', () => {
    const text = [
      `2 errors like: ${old('2026-11-19T17:00:00Z')}`,
      `1 errors like: ${long(2000)}`,
      `1 errors like: ${young('2026-11-27T19:00:00Z')}`,
      `1 errors like: ${old('2026-11-20T16:59:59Z')}`,
      `2 errors like: ${long(2001)}\n`,
    ].join('; ');
    const lines = [
      { at: CUTOFF - 86_400 },
      { at: CUTOFF - 86_400 + 0.5, length: 2000 },
      { at: CUTOFF - 0.1 },
      { at: CUTOFF + 0.1 },
      { at: CUTOFF + 5, length: 2001 },
      { at: CUTOFF + 6, length: 2000 },
      { at: CUTOFF + 7, length: 1024 },
      { at: CUTOFF + 8, length: 2001 },
      { at: CUTOFF + 7 * 86_400 + 7200 },
    ];
    expect(judge(text, lines)).toEqual({ refused: [0, 1, 2, 8, 4, 5, 7], unclear: [] });
  });

  it('are found for a single one', () => {
    expect(judge(`${long(1500)}\n`, [{ at: CUTOFF }, { at: CUTOFF, length: 1500 }])).toEqual({
      refused: [1],
      unclear: [],
    });
  });

  it('are in doubt when all entries are too new: that may be a clock', () => {
    const text = `${young('2026-11-27T19:00:00Z')}\n`;
    const late = CUTOFF + 7 * 86_400 + 7200;
    expect(judge(text, [{ at: late }])).toEqual({ refused: [0], unclear: [], doubtful: true });
    expect(judge(text, [{ at: late - 10_000 }, { at: late }])).toEqual({ refused: [1], unclear: [] });
    expect(judge(old('2026-11-20T16:59:59Z'), [{ at: CUTOFF - 1 }])).toEqual({ refused: [0], unclear: [] });
  });

  it('about structured metadata', () => {
    const two: Pair[] = [
      ['k', 'vv'],
      ['l', 'ü'],
    ];
    const large = `1 errors like: stream ${STREAM} has structured metadata too large: '6' bytes, limit: '5' bytes. Please see …`;
    const many = `1 errors like: stream ${STREAM} has too many structured metadata labels: '3', limit: '2'. Please see …`;
    const three: Pair[] = [
      ['a', ''],
      ['b', ''],
      ['c', ''],
    ];
    const lines = [{ at: CUTOFF, metadata: three }, { at: CUTOFF }, { at: CUTOFF, metadata: two }];
    expect(judge(`${large}; ${many}`, lines)).toEqual({ refused: [2, 0], unclear: [] });
    const forbidden = `2 errors like: stream ${STREAM} includes structured metadata, but this feature is disallowed. Please see …`;
    expect(judge(forbidden, lines)).toEqual({ refused: [0, 2], unclear: [] });
  });

  it.each([
    `entry for stream ${STREAM} has 17 label names; limit 15`,
    `stream ${STREAM} has label name too long: 'xxx'`,
    `stream ${STREAM} has label value too long: 'xxx'`,
    `stream ${STREAM} has duplicate label name: 'a'`,
    `error parsing labels '{' with error: …`,
  ])('about the labels are about all, and in doubt: %s', (text) => {
    const verdict = judge(`${text}\n`, [{ at: CUTOFF }, { at: CUTOFF + 1 }]);
    expect(verdict).toEqual({ refused: [0, 1], unclear: [], doubtful: true });
  });

  it.each([
    ['another number of them', `3 errors like: ${long(2000)}`],
    ['another length', `2 errors like: ${long(1999)}`],
    ['another time', old('2026-11-20T16:59:58Z')],
    ['more than there are', `9 errors like: ${old('2026-11-20T16:59:59Z')}`],
    ['no such entry', young('2026-11-27T19:00:00Z')],
    ['words that are new', `1 errors like: entry is blue; 2 errors like: ${long(2000)}`],
    ['no words', ''],
    ['a parse error', "couldn't parse labels: 1:17: parse error"],
  ])('are not believed that do not fit: %s', (_, text) => {
    const lines = [{ at: CUTOFF - 1 }, { at: CUTOFF + 1, length: 2000 }, { at: CUTOFF + 2, length: 2000 }];
    expect(judge(text, lines)).toBeUndefined();
  });

  it('are not read where a label could have been written as one', () => {
    const forged: Pair[] = [['a', `x'}' has label value too long: 'y`]];
    expect(judge(`stream '{a="x'}' has label value too long: 'y'`, [{ at: CUTOFF }], forged)).toBeUndefined();
  });
});

describe('refusals of the ingester', () => {
  const behind = (ignored: number, total: number): string =>
    "entry with timestamp 2026-11-20 15:00:34.028 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-20T15:00:34Z, oldest acceptable timestamp is: 2026-11-20T17:00:00Z',\n" +
    `user 'fake', total ignored: ${ignored} out of ${total} for stream: {a="b", service_name="unknown_service"}\n`;

  it('are the oldest', () => {
    const lines = [{ at: CUTOFF - 7166 }, { at: CUTOFF - 5 }, { at: CUTOFF + 1 }, { at: CUTOFF + 2 }];
    expect(judge(behind(2, 4), lines)).toEqual({ refused: [0, 1], unclear: [] });
  });

  it('leave open what lies in the second of the limit', () => {
    const lines = [{ at: CUTOFF - 1 }, { at: CUTOFF + 0.2 }, { at: CUTOFF + 0.3 }, { at: CUTOFF + 2 }];
    expect(judge(behind(2, 4), lines)).toEqual({ refused: [0, 1], unclear: [2] });
  });

  it.each([
    ['of another number of entries', behind(1, 5)],
    ['of too few', behind(1, 4)],
    ['of too many', behind(3, 4)],
    ['for another reason', behind(2, 4).replace('entry too far behind', 'entry out of order')],
  ])('are not believed %s', (_, text) => {
    const lines = [{ at: CUTOFF - 2 }, { at: CUTOFF - 1 }, { at: CUTOFF + 1 }, { at: CUTOFF + 2 }];
    expect(judge(text, lines)).toBeUndefined();
  });
});
