/** The suites against real servers, and what each needs installed: `npm run test:services [name…]`. */
import { fluentLoggers } from './servers/fluent-logger.ts';
import { loki } from './servers/loki.ts';
import { otelcol } from './servers/otelcol.ts';
import type { Service } from './support/service.ts';

/** `test/services/NAME.test.ts` and its servers. */
export const SUITES: Readonly<Record<string, readonly Service[]>> = {
  loki: [loki],
  forward: [otelcol, fluentLoggers],
};
