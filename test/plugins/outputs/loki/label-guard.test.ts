import { describe, expect, it } from 'vitest';
import { labelGuard } from '../../../../plugins/outputs/loki/label-guard.ts';
import type { Pair } from '../../../../plugins/outputs/loki/fields.ts';
import { contextIn } from '../../../contract/support.ts';

function guardOf(limits: Partial<Parameters<typeof labelGuard>[0]>) {
  const context = contextIn('/');
  let now = 0;
  const guard = labelGuard({ values: 0, valueLength: 0, names: 0, ...limits }, context, () => now);
  return {
    context,
    pass: (ms: number): void => {
      now += ms;
    },
    check: (...labels: Pair[]): { kept: Pair[]; moved: Pair[] } => {
      guard.refresh();
      const moved = guard.check(labels);
      return { kept: labels, moved };
    },
    moved: (limit: string): number =>
      context.metrics.counter('tailrace_output_labels_moved_total', '').sum({ output: 'out', limit }),
  };
}

describe('the guard of labels', () => {
  it('moves a label with too many values for good, says so once and counts', () => {
    const { check, context, moved } = guardOf({ values: 3 });
    for (const id of ['1', '2', '3', '1'])
      expect(check(['job', 'a'], ['id', id]).kept).toEqual([
        ['job', 'a'],
        ['id', id],
      ]);
    expect(check(['job', 'a'], ['id', '4'])).toEqual({ kept: [['job', 'a']], moved: [['id', '4']] });
    expect(check(['job', 'a'], ['id', '1'])).toEqual({ kept: [['job', 'a']], moved: [['id', '1']] });
    expect(context.log.lines).toEqual([
      {
        level: 'warn',
        fields: { label: 'id', limit: 'values' },
        message: 'A label has too many values: it goes to structured metadata from now on',
      },
    ]);
    expect(moved('values')).toBe(2);
  });

  it('forgets values that were not seen for long', () => {
    const { check, pass } = guardOf({ values: 2 });
    const hour = 3_600_000;
    for (let round = 0; round < 5; round++) {
      expect(check(['pod', `p${round}`]).moved).toEqual([]);
      pass(hour + 1);
      expect(check(['pod', `p${round}`]).moved).toEqual([]);
      pass(2 * hour + 2);
      check(['other', 'x']);
      pass(hour + 1);
    }
    check(['pod', 'a']);
    check(['pod', 'b']);
    expect(check(['pod', 'c']).moved).toEqual([['pod', 'c']]);
  });

  it('moves values that are too long, of their records only', () => {
    const { check, moved } = guardOf({ valueLength: 10 });
    expect(check(['a', 'ü'.repeat(6)]).moved).toEqual([['a', 'ü'.repeat(6)]]);
    expect(check(['a', 'ü'.repeat(5)]).moved).toEqual([]);
    expect(moved('value_length')).toBe(1);
  });

  it('moves labels beyond the number that a stream may have', () => {
    const { check, moved } = guardOf({ names: 2 });
    expect(check(['a', '1'], ['b', '2'], ['c', '3'], ['d', '4'])).toEqual({
      kept: [
        ['a', '1'],
        ['b', '2'],
      ],
      moved: [
        ['c', '3'],
        ['d', '4'],
      ],
    });
    expect(moved('names')).toBe(2);
  });

  it('is bounded in what it says', () => {
    const { check, context } = guardOf({ names: 1 });
    for (let n = 0; n < 500; n++) check(['a', '1'], [`l${n}`, 'x']);
    expect(context.log.lines).toHaveLength(100);
  });

  it('lets everything be without limits', () => {
    const { check } = guardOf({});
    for (let n = 0; n < 5000; n++) expect(check(['id', String(n)]).moved).toEqual([]);
  });
});
