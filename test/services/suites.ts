/** The suites against real servers, and what each needs installed: `npm run test:services [name…]`. */
import { kafka } from './servers/kafka.ts';
import { loki } from './servers/loki.ts';
import type { Service } from './support/service.ts';

/** `test/services/NAME.test.ts` and its servers. */
export const SUITES: Readonly<Record<string, readonly Service[]>> = {
  loki: [loki],
  kafka: [kafka],
  'kafka-input': [kafka],
};
