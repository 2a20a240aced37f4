/** Names of facilities and severities (RFC 5424, section 6.2.1), as `logger -p` and rsyslog write them. */

const FACILITIES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

const SEVERITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;

/** The largest priority that there is. */
export const MAX_PRIORITY = FACILITIES.length * SEVERITIES.length - 1;

export interface Priority {
  /** The number as text, which is how Fluent Bit's parsers have it. */
  readonly pri: string;
  readonly facility: string;
  readonly severity: string;
}

/** By number. */
export const PRIORITIES: readonly Priority[] = FACILITIES.flatMap((facility, high) =>
  SEVERITIES.map((severity, low) => ({ pri: String(high * SEVERITIES.length + low), facility, severity })),
);
