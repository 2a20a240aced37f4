/** syslog: recognises messages of RFC 5424, of RFC 3164 and what is made of it, and of Cisco devices. Not in Fluent Bit. */
import { boolean, defineParser, parseOffset, string, zoneOffset } from '../../src/plugin.ts';
import type { ZoneOffset } from '../../src/plugin.ts';
import {
  checkDecoders,
  checkTime,
  checkTypes,
  createCasts,
  createDecoders,
  decoderOptions,
  typesOption,
} from '../shared/parser-options.ts';
import { SyslogParser } from '../shared/syslog/parser.ts';

export default defineParser({
  name: 'syslog',
  summary: 'Recognises syslog messages: RFC 5424, RFC 3164 as it comes, Cisco',
  options: {
    time_key: string().default('time').describe("Key of the time's text, with time_keep."),
    time_keep: boolean().default(false).describe('Keeps the text of the time in the record.'),
    time_offset: string()
      .optional()
      .describe('Offset from UTC of times that carry none: +0200. Default: UTC.'),
    time_zone: string()
      .optional()
      .describe('IANA name of the zone of times that carry none: Europe/Rome. Wins over time_offset.'),
    time_system_timezone: boolean()
      .default(false)
      .describe("Times that carry no offset are in the system's zone."),
    ...typesOption,
    ...decoderOptions,
  },
  example: `parsers:
  - name: syslog-rome
    format: syslog
    time_zone: Europe/Rome`,
  check: (options) => [
    ...checkTime({ ...options, time_format: '%s', time_strict: true }),
    ...checkTypes(options),
    ...checkDecoders(options),
  ],
  create(options, { name }) {
    const casts = createCasts(options);
    const decode = createDecoders(options);
    return new SyslogParser(name, {
      zone: zoneOf(options),
      timeKey: options.time_keep ? options.time_key : undefined,
      finish:
        casts === undefined && decode === undefined
          ? undefined
          : (record) => {
              for (const [key, cast] of casts ?? []) {
                const value = Object.hasOwn(record, key) ? record[key] : undefined;
                if (typeof value === 'string') record[key] = cast(value);
              }
              decode?.(record);
            },
    });
  },
});

function zoneOf(options: {
  time_offset: string | undefined;
  time_zone: string | undefined;
  time_system_timezone: boolean;
}): ZoneOffset {
  const { time_offset: offset, time_zone: zone } = options;
  if (options.time_system_timezone) return zoneOffset(undefined);
  if (zone !== undefined) return zoneOffset(zone);
  const seconds = offset === undefined ? 0 : (parseOffset(offset) ?? 0);
  return () => seconds;
}
