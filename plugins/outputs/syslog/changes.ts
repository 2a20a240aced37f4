/** Tells what was changed in records to make messages of them: a metric, and a line in the log once in a while. */
import type { OutputContext } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';
import type { Changes } from './message.ts';

const SAID: Readonly<Record<keyof Changes, string>> = {
  cut: 'Messages were cut at syslog_maxsize',
  fitted:
    'Header fields or names of structured data were changed: they had characters or lengths that syslog does not take',
  unknown: 'Records have a severity or facility that is none; the preset was sent',
};

/**
 * A count of changes. `taken` takes what was counted since, and returns what tells it: a metric and a log line. Take after encoding, tell after
 * sending, so that an attempt that fails is not counted.
 */
export function tellingChanges({ metrics, log, name }: OutputContext): {
  changes: Changes;
  taken: () => () => void;
} {
  const changes: Changes = { cut: 0, fitted: 0, unknown: 0 };
  const counter = metrics.counter(
    'tailrace_output_changed_fields_total',
    'Texts of records that an output had to change to send them, by what was done.',
  );
  const kinds = (['cut', 'fitted', 'unknown'] as const).map((change) => ({
    change,
    series: counter.labels({ name, change }),
    rarely: new Rarely(),
  }));
  return {
    changes,
    taken() {
      const counted = { ...changes };
      Object.assign(changes, { cut: 0, fitted: 0, unknown: 0 });
      return () => {
        for (const { change, series, rarely } of kinds) {
          if (counted[change] === 0) continue;
          series.value += counted[change];
          if (rarely.happened() > 0) log.warn({ total: series.value }, SAID[change]);
        }
      };
    },
  };
}
