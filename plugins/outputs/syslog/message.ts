/**
 * A record as a syslog message.
 *
 *     rfc5424  <PRI>1 2026-03-14T10:00:00.123456Z HOSTNAME APP-NAME PROCID MSGID [sd p="v"] BOM text
 *     rfc3164  <PRI>Mar 14 10:00:00 HOSTNAME TAG[PROCID]: text
 *
 * Times are UTC. Source: RFC 5424 section 6, RFC 3164 section 4, and what Fluent Bit puts there.
 */
import { compileAccessor, formatTime, isRecord } from '../../../src/plugin.ts';
import type { Accessor, ByteSink, ReadonlyRecord, Slice } from '../../../src/plugin.ts';
import { valueText } from '../../shared/value-text.ts';
import type { MessageValues } from './options.ts';
import { facilityOf, severityOf } from './priority.ts';
import {
  APP_NAME,
  BSD_HOSTNAME,
  BSD_TAG,
  elementName,
  fits,
  fitted,
  HOSTNAME,
  isName,
  MAX_NAME,
  MSGID,
  PROCID,
  sdName,
  sdValue,
} from './text.ts';
import type { HeaderField } from './text.ts';

/** What had to be changed to make a message of a record. */
export interface Changes {
  /** A text was cut at syslog_maxsize. */
  cut: number;
  /** A field or name had a character, or a length, that it cannot have. */
  fitted: number;
  /** A severity or facility was none. */
  unknown: number;
}

/** Appends the message of a record; the reason why there is none, and nothing appended, for a record that cannot be one. */
export type MessageEncoder = (slice: Slice, index: number, sink: ByteSink) => string | undefined;

const NIL = '-';
const BYTE_ORDER_MARK = '\ufeff';
const LAST_SECOND = 253_402_300_799;
const EMPTY: ReadonlyRecord = {};

/** Compiles the options. `oneLine` makes texts fit for framing by lines. */
export function messageEncoder(
  options: MessageValues,
  changes: Changes,
  oneLine: (text: string) => string,
): MessageEncoder {
  const modern = options.syslog_format === 'rfc5424';
  const beforeText = options.syslog_bom ? ` ${BYTE_ORDER_MARK}` : ' ';
  const maxSize = options.syslog_maxsize;
  const longest = options.allow_longer_sd_id ? Number.POSITIVE_INFINITY : MAX_NAME;
  const severityKey = accessor(options.syslog_severity_key);
  const facilityKey = accessor(options.syslog_facility_key);
  const messageKey = accessor(options.syslog_message_key);
  const elements = modern
    ? options.syslog_sd_key.map((key) => ({ value: compileAccessor(key), name: elementName(key, longest) }))
    : [];

  /** A field of the header. */
  const field = (
    key: string | undefined,
    preset: string | undefined,
    shape: HeaderField,
  ): ((record: ReadonlyRecord) => string) => {
    const value = accessor(key);
    const standing = fitted(preset ?? '', shape);
    if (value === undefined) return () => standing;
    return (record) => {
      const text = valueText(value(record));
      if (text === undefined || text === '') return standing;
      if (fits(text, shape)) return text;
      changes.fitted++;
      return fitted(text, shape);
    };
  };
  const hostname = field(
    options.syslog_hostname_key,
    options.syslog_hostname_preset,
    modern ? HOSTNAME : BSD_HOSTNAME,
  );
  const appname = field(
    options.syslog_appname_key,
    options.syslog_appname_preset,
    modern ? APP_NAME : BSD_TAG,
  );
  const procid = field(options.syslog_procid_key, options.syslog_procid_preset, modern ? PROCID : BSD_TAG);
  const msgid = field(options.syslog_msgid_key, options.syslog_msgid_preset, MSGID);

  const priority = (record: ReadonlyRecord): number => {
    let severity = options.syslog_severity_preset;
    let facility = options.syslog_facility_preset;
    const says = severityKey?.(record) ?? undefined;
    if (says !== undefined) severity = severityOf(says) ?? unknown(severity);
    const comes = facilityKey?.(record) ?? undefined;
    if (comes !== undefined) facility = facilityOf(comes) ?? unknown(facility);
    return facility * 8 + severity;
  };
  const unknown = (preset: number): number => {
    changes.unknown++;
    return preset;
  };

  const name = (text: string): string => {
    if (isName(text, longest)) return text;
    changes.fitted++;
    return sdName(text, longest);
  };
  const structuredData = (record: ReadonlyRecord): string => {
    let text = '';
    for (const { value, name: id } of elements) {
      const map = value(record);
      if (!isRecord(map)) continue;
      text += `[${id}`;
      for (const key of Object.keys(map)) {
        const inner = valueText(map[key]);
        if (inner !== undefined) text += ` ${name(key)}="${oneLine(sdValue(inner))}"`;
      }
      text += ']';
    }
    return text;
  };

  const modernTime = timeWriter('%Y-%m-%dT%H:%M:%S', NIL);
  const oldTime = timeWriter('%b %e %H:%M:%S', 'Jan  1 00:00:00');
  const needsRecord =
    [severityKey, facilityKey, messageKey].some((key) => key !== undefined) ||
    elements.length > 0 ||
    [
      options.syslog_hostname_key,
      options.syslog_appname_key,
      options.syslog_procid_key,
      options.syslog_msgid_key,
    ].some((key) => key !== undefined);

  return (slice, index, sink) => {
    const start = sink.length;
    const record = needsRecord ? slice.record(index) : EMPTY;
    let data = '';
    if (modern) {
      const time = modernTime(slice.seconds(index));
      const fraction = time === NIL ? '' : `.${String(1_000_000_000 + slice.nanos(index)).slice(1, 7)}Z`;
      data = structuredData(record);
      sink.text(
        `<${priority(record)}>1 ${time}${fraction} ${hostname(record) || NIL} ${appname(record) || NIL} ` +
          `${procid(record) || NIL} ${msgid(record) || NIL} ${data || NIL}`,
      );
    } else {
      const host = hostname(record);
      const tag = appname(record);
      const id = procid(record);
      let head = `<${priority(record)}>${oldTime(slice.seconds(index))} `;
      if (host !== '') head += `${host} `;
      if (tag !== '') head += id === '' ? `${tag}: ` : `${tag}[${id}]: `;
      sink.text(head);
    }
    let textStart = sink.length;
    const text = messageKey === undefined ? undefined : valueText(messageKey(record));
    if (text !== undefined || data === '' || messageKey === undefined) {
      if (modern) sink.text(beforeText);
      textStart = sink.length;
      if (text !== undefined) {
        sink.text(oneLine(text));
      } else {
        // Not even parsed, where no key asks for it. A JSON text holds no control character.
        const json = slice.jsonBytes(index);
        sink.copy(json, 0, json.length);
      }
    }
    if (maxSize === 0 || sink.length - start <= maxSize) return undefined;
    if (textStart - start > maxSize) {
      const size = textStart - start;
      sink.length = start;
      return `The message has ${size} bytes before its text, more than syslog_maxsize, ${maxSize}.`;
    }
    sink.length = characterBorder(sink.raw, start + maxSize);
    changes.cut++;
    return undefined;
  };
}

function accessor(key: string | undefined): Accessor | undefined {
  return key === undefined ? undefined : compileAccessor(key);
}

/** The start of the UTF-8 character that the byte at an offset is in. */
function characterBorder(bytes: Uint8Array, at: number): number {
  let border = at;
  while (((bytes[border] as number) & 0xc0) === 0x80) border--;
  return border;
}

/** Writes seconds; `otherwise` for those of no year from 1970 to 9999. */
function timeWriter(format: string, otherwise: string): (seconds: number) => string {
  return (seconds) => (seconds >= 0 && seconds <= LAST_SECOND ? formatTime(format, seconds, 0) : otherwise);
}
