import { describe, expect, it } from 'vitest';
import kafka from '../../../plugins/inputs/kafka.ts';
import { optionsOf } from '../../contract/support.ts';

function problemsOf(written: Record<string, string | string[]>): string {
  const problems = kafka.check?.(optionsOf(kafka.options, written), []) ?? [];
  return problems.map(({ key, message, level = 'error' }) => `${level} ${key} ${message}`).join('\n');
}

const LOCAL = { brokers: 'a', topics: 'logs' };

describe('options of the kafka input', () => {
  it('few are needed', () => {
    expect(problemsOf(LOCAL)).toBe('');
  });

  it.each<[Record<string, string | string[]>, string]>([
    [{ topics: 'a' }, 'error brokers is missing'],
    [{ ...LOCAL, topics: '^app-.*' }, 'patterns are not there'],
    [{ ...LOCAL, group_id: 'a b' }, 'error group_id holds a space'],
    [
      { ...LOCAL, 'rdkafka.*': 'acks all' },
      'warning rdkafka.* sets acks, which has no effect: it is for a producer',
    ],
    [{ ...LOCAL, 'rdkafka.*': 'group.id x' }, 'write it as group_id'],
    [{ ...LOCAL, 'rdkafka.*': 'auto.offset.reset never' }, 'is none of earliest, latest'],
    [{ ...LOCAL, 'rdkafka.*': 'session.timeout.ms 0' }, 'is not a whole number from 1000'],
    [{ ...LOCAL, 'rdkafka.*': 'session.timeout.ms 2000' }, 'a session must hold several heartbeats'],
    [{ ...LOCAL, 'rdkafka.*': 'enable.auto.commit true' }, 'warning rdkafka.* sets enable.auto.commit'],
  ])('%j', (written, expected) => {
    expect(problemsOf(written)).toContain(expected);
  });

  it('the tag is any when headers say it', () => {
    const tags = (more: Record<string, string>) =>
      kafka.tags?.(optionsOf(kafka.options, { ...LOCAL, ...more }), 'kafka.0');
    expect(tags({})).toEqual(['kafka.0']);
    expect(tags({ tag_from_header: 'on' })).toBe('any');
  });
});
