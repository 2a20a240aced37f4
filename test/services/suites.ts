/** The suites against real servers, and what each needs installed: `npm run test:services [name…]`. */
import { loki } from './servers/loki.ts';
import { rsyslog } from './servers/rsyslog.ts';
import { syslogNg } from './servers/syslog-ng.ts';
import type { Service } from './support/service.ts';

/** `test/services/NAME.test.ts` and its servers. */
export const SUITES: Readonly<Record<string, readonly Service[]>> = {
  loki: [loki],
  syslog: [rsyslog, syslogNg],
};
