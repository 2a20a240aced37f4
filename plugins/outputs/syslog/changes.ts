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

/** A count of changes of which `tell` makes metrics and log lines; call it after each attempt. */
export function tellingChanges({ metrics, log, name }: OutputContext): {
  changes: Changes;
  tell: () => void;
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
    tell() {
      for (const { change, series, rarely } of kinds) {
        const count = changes[change];
        if (count === 0) continue;
        changes[change] = 0;
        series.value += count;
        if (rarely.happened() > 0) log.warn({ total: series.value }, SAID[change]);
      }
    },
  };
}
