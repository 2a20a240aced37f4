/** The options of the syslog output that say what a message is made of. */
import { boolean, enumOf, integer, many, size, string } from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues } from '../../../src/plugin.ts';
import { accessorProblems } from '../../shared/accessor-problems.ts';
import { MAX_FACILITY, MAX_SEVERITY } from './priority.ts';
import { elementName, MAX_NAME } from './text.ts';

const key = (what: string) => string().optional().describe(`Key of the record, or accessor, of the ${what}.`);
const preset = (what: string) => string().optional().describe(`The ${what} where the record says none.`);

export const messageOptions = {
  syslog_format: enumOf('rfc5424', 'rfc3164').default('rfc5424').describe('Format of a message.'),
  syslog_maxsize: size()
    .default(0)
    .describe(
      'Most bytes of a message; its text is cut there, at the border of a character, and counted. 0: none is cut (Fluent Bit cuts at 2048, or 1024 with rfc3164, in silence); see what your receiver takes.',
    ),
  syslog_severity_key: key('severity, 0 to 7 or a word (`err`, `error`)'),
  syslog_severity_preset: integer({ min: 0, max: MAX_SEVERITY })
    .default(6)
    .describe('The severity where the record says none.'),
  syslog_facility_key: key('facility, 0 to 23 or a word (`daemon`, `local0`)'),
  syslog_facility_preset: integer({ min: 0, max: MAX_FACILITY })
    .default(1)
    .describe('The facility where the record says none.'),
  syslog_hostname_key: key('host name'),
  syslog_hostname_preset: preset('host name'),
  syslog_appname_key: key("application's name"),
  syslog_appname_preset: preset("application's name"),
  syslog_procid_key: key('process id'),
  syslog_procid_preset: preset('process id'),
  syslog_msgid_key: key('message id; rfc5424 only'),
  syslog_msgid_preset: preset('message id'),
  syslog_sd_key: many()
    .default([])
    .describe(
      'Key of a map that becomes an element of structured data under that name; may be given several times. rfc5424 only.',
    ),
  syslog_message_key: string()
    .optional()
    .describe(
      "Key of the record, or accessor, of the message's text. Default, and for records that have neither it nor structured data: the whole record as JSON (Fluent Bit sends nothing).",
    ),
  syslog_bom: boolean()
    .default(true)
    .describe(
      'A byte order mark before the text of an rfc5424 message, as RFC 5424 asks for with UTF-8 and Fluent Bit always sends. Off for receivers that leave it in the text: rsyslog does, and sends none itself.',
    ),
  allow_longer_sd_id: boolean()
    .default(false)
    .describe('Names in structured data may have more than the 32 characters that RFC 5424 allows.'),
};

export type MessageValues = OptionValues<typeof messageOptions>;

const ACCESSORS = [
  'syslog_severity_key',
  'syslog_facility_key',
  'syslog_hostname_key',
  'syslog_appname_key',
  'syslog_procid_key',
  'syslog_msgid_key',
  'syslog_message_key',
] as const;

/** The problems of these options, for `check`. */
export function checkMessage(options: MessageValues): OptionProblem[] {
  const problems = ACCESSORS.flatMap((name) => accessorProblems(name, options[name]));
  const longest = options.allow_longer_sd_id ? Number.POSITIVE_INFINITY : MAX_NAME;
  problems.push(
    ...options.syslog_sd_key.flatMap((name, index) =>
      accessorProblems('syslog_sd_key', name).map((problem) => ({ ...problem, index })),
    ),
  );
  if (problems.length > 0) return problems;
  const names = options.syslog_sd_key.map((name) => elementName(name, longest));
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) < index)
      problems.push({
        key: 'syslog_sd_key',
        index,
        message: `becomes the element ${name}, which another key has: a message cannot have it twice`,
      });
  }
  if (options.syslog_format === 'rfc5424') return problems;
  if (names.length > 0)
    problems.push({
      key: 'syslog_sd_key',
      message: 'has no effect: rfc3164 has no structured data',
      level: 'warning',
    });
  if (options.syslog_hostname_key === undefined && options.syslog_hostname_preset === undefined)
    problems.push({
      key: 'syslog_format',
      message:
        'rfc3164 wants a host name: without syslog_hostname_key or syslog_hostname_preset receivers take the first word of a message for it',
      level: 'warning',
    });
  return problems;
}
