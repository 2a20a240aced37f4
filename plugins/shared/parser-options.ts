/** Options that all parsers have, and how they are read. */
import {
  boolean,
  CastError,
  checkDecoder,
  compileCasts,
  compileDecoders,
  compileTimeFormat,
  ignored,
  many,
  parseOffset,
  string,
  TimeFormatError,
} from '../../src/plugin.ts';
import type { Cast, DecodeFields, OptionProblem, ParserContext } from '../../src/plugin.ts';
import { EventTime } from './event-time.ts';

export const timeOptions = {
  time_key: string().optional().describe('The field that holds the time. Default with a time_format: time.'),
  time_format: string()
    .optional()
    .describe('How the time is written: strptime conversions, and %L for a fraction of a second.'),
  time_offset: string().optional().describe('Offset from UTC of times that carry none: +0200.'),
  time_zone: string()
    .optional()
    .describe('IANA name of the zone of times that carry none: Europe/Rome. Wins over time_offset.'),
  time_system_timezone: boolean()
    .default(false)
    .describe("Times that carry no offset are in the system's zone."),
  time_keep: boolean().default(false).describe('Keeps the field in the record.'),
  time_strict: boolean()
    .default(true)
    .describe('Off: a fraction or zone that the text does not have is forgiven.'),
};

export const decoderOptions = {
  decode_field: many()
    .default([])
    .describe('DECODER FIELD [ACTION]: adds the fields of an encoded object in a field to the record.'),
  decode_field_as: many()
    .default([])
    .describe('DECODER FIELD [ACTION]: puts what an encoded field holds in its place.'),
};

export const typesOption = {
  types: string().optional().describe('field:type pairs; types are string, integer, float, bool and hex.'),
};

/** Keys of other formats that Fluent Bit takes with every parser. */
export const notRegex = { regex: ignored('only the format regex has an expression') };
export const notTypes = { types: ignored('JSON has types of its own') };
export const notSkipEmpty = {
  skip_empty_values: ignored('only the format regex leaves empty values out'),
};
export const notLogfmt = { logfmt_no_bare_keys: ignored('only the format logfmt has bare keys') };

interface TimeValues {
  time_key: string | undefined;
  time_format: string | undefined;
  time_offset: string | undefined;
  time_zone: string | undefined;
  time_system_timezone: boolean;
  time_keep: boolean;
  time_strict: boolean;
}

interface DecoderValues {
  decode_field: string[];
  decode_field_as: string[];
}

/** The event's time; undefined when the parser is not asked for it. */
export function createTime(options: TimeValues, context: ParserContext): EventTime | undefined {
  if (options.time_format === undefined) return undefined;
  const format = compileTimeFormat(options.time_format, {
    offset: options.time_offset === undefined ? undefined : parseOffset(options.time_offset),
    zone: options.time_zone,
    systemTimezone: options.time_system_timezone,
    strict: options.time_strict,
  });
  return new EventTime(options.time_key ?? 'time', options.time_keep, format, context);
}

export function createDecoders(options: DecoderValues): DecodeFields | undefined {
  return compileDecoders(options.decode_field_as, options.decode_field);
}

export function createCasts(options: { types: string | undefined }): ReadonlyMap<string, Cast> | undefined {
  const casts = compileCasts(options.types ?? '');
  return casts.size === 0 ? undefined : casts;
}

export function checkTime(options: TimeValues): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const { time_format: format, time_offset: offset, time_zone: zone } = options;
  if (offset !== undefined && parseOffset(offset) === undefined) {
    problems.push({ key: 'time_offset', message: `"${offset}" is no offset from UTC; write it like +0200.` });
  }
  if (zone !== undefined && !isZone(zone)) {
    problems.push({
      key: 'time_zone',
      message: `"${zone}" is no time zone; write an IANA name, such as Europe/Rome.`,
    });
  }
  if (format !== undefined) problems.push(...checkFormat(format));
  else if (options.time_key !== undefined) {
    problems.push({
      key: 'time_key',
      level: 'warning',
      message: 'Without time_format the field is not read as a time; say how it is written.',
    });
  }
  return problems;
}

function checkFormat(format: string): OptionProblem[] {
  try {
    compileTimeFormat(format);
    return [];
  } catch (error) {
    if (!(error instanceof TimeFormatError)) throw error;
    return [{ key: 'time_format', message: error.message }];
  }
}

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export function checkDecoders(options: DecoderValues): OptionProblem[] {
  return (['decode_field', 'decode_field_as'] as const).flatMap((key) =>
    options[key].flatMap((text, index) => {
      const message = checkDecoder(text);
      return message === undefined ? [] : [{ key, index, message }];
    }),
  );
}

export function checkTypes(options: { types: string | undefined }): OptionProblem[] {
  try {
    compileCasts(options.types ?? '');
    return [];
  } catch (error) {
    if (!(error instanceof CastError)) throw error;
    return [{ key: 'types', message: error.message }];
  }
}
