import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SyslogParser } from '../../../plugins/shared/syslog/parser.ts';
import type { ParsedEvent } from '../../../src/plugin.ts';
import { check, createParser, parseLine } from './parsing.ts';

const parser = (options: Record<string, unknown> = {}) =>
  createParser({ name: 'p', format: 'syslog', ...options });

/** Time and record of a message; undefined where it is none. */
function read(line: string, options: Record<string, unknown> = {}) {
  const event = parseLine(parser(options), line);
  if (event === undefined) return undefined;
  const time = Number.isNaN(event.seconds)
    ? undefined
    : new Date(event.seconds * 1000 + event.nanos / 1e6).toISOString();
  return { time, record: event.record };
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-27T12:00:00Z'), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const AUTH = { pri: '34', facility: 'auth', severity: 'crit' };
const USER = { pri: '13', facility: 'user', severity: 'notice' };
const LOCAL7 = { pri: '189', facility: 'local7', severity: 'notice' };
const LOCAL4 = { pri: '166', facility: 'local4', severity: 'info' };

describe('RFC 3164 and what is made of it', () => {
  it.each<[string, string, string | undefined, Record<string, unknown>]>([
    [
      'the example of the RFC',
      "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
      '2026-10-11T22:14:15.000Z',
      { ...AUTH, host: 'mymachine', ident: 'su', message: "'su root' failed for lonvick on /dev/pts/8" },
    ],
    [
      'no tag',
      '<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!',
      '2026-02-05T17:32:18.000Z',
      { ...USER, host: '10.0.0.99', message: 'Use the BFG!' },
    ],
    [
      'a process id',
      '<13>Nov  1 00:00:00 web-1 postfix/smtpd[4711]: connect from x',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'web-1', ident: 'postfix/smtpd', pid: '4711', message: 'connect from x' },
    ],
    [
      'no host, as programs write to /dev/log',
      '<13>Nov  1 00:00:00 sshd[24200]: Invalid user',
      '2026-11-01T00:00:00.000Z',
      { ...USER, ident: 'sshd', pid: '24200', message: 'Invalid user' },
    ],
    [
      'no host and no process id',
      '<13>Nov  1 00:00:00 cron: x',
      '2026-11-01T00:00:00.000Z',
      { ...USER, ident: 'cron', message: 'x' },
    ],
    ['no time', '<13>app[12]: hello', undefined, { ...USER, ident: 'app', pid: '12', message: 'hello' }],
    ['nothing but a priority', '<13>hello world', undefined, { ...USER, message: 'hello world' }],
    [
      'no priority',
      'Nov  1 00:00:00 host app: hello',
      '2026-11-01T00:00:00.000Z',
      { host: 'host', ident: 'app', message: 'hello' },
    ],
    [
      'a blank behind the priority, a day of one digit without a second blank',
      '<13> Nov 1 00:00:00 host app: hello',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', ident: 'app', message: 'hello' },
    ],
    [
      'line end, carriage return and NUL behind it',
      '<13>Nov  1 00:00:00 host app: hello\r\n\u0000',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', ident: 'app', message: 'hello' },
    ],
    [
      'a message of several lines, indented',
      '<13>Nov  1 00:00:00 host app: one\n  two',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', ident: 'app', message: 'one\n  two' },
    ],
    [
      'no colon behind the process id',
      '<13>Nov  1 00:00:00 host app[1] hello',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', ident: 'app', pid: '1', message: 'hello' },
    ],
    [
      'a message that is JSON',
      '<13>Nov  1 00:00:00 host {"a": 1}',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', message: '{"a": 1}' },
    ],
    [
      'a message that begins with an address',
      '<13>Nov  1 00:00:00 host http://a/b is down',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', message: 'http://a/b is down' },
    ],
    [
      'a host that is an IPv6 address',
      '<13>Nov  1 00:00:00 2001:db8::1 app: x',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: '2001:db8::1', ident: 'app', message: 'x' },
    ],
    [
      'a repeated message',
      '<13>Nov  1 00:00:00 host last message repeated 3 times',
      '2026-11-01T00:00:00.000Z',
      { ...USER, host: 'host', message: 'last message repeated 3 times' },
    ],
    ['a time alone', '<13>Nov  1 00:00:00', '2026-11-01T00:00:00.000Z', { ...USER, message: '' }],
    [
      'one word behind the time',
      '<13>Nov  1 00:00:00 hello',
      '2026-11-01T00:00:00.000Z',
      { ...USER, message: 'hello' },
    ],
    ['a priority alone', '<13>', undefined, { ...USER, message: '' }],
  ])('%s', (_name, line, time, record) => {
    expect(read(line)).toEqual({ time, record });
  });

  it.each([
    ['a time of rsyslog', '<13>2026-11-01T00:00:00.123456+02:00', '2026-10-31T22:00:00.123Z'],
    ['a time of syslog-ng', '<13>2026-11-01T00:00:00+0200', '2026-10-31T22:00:00.000Z'],
    ['an ISO time with a blank', '<13>2026-11-01 00:00:00,500', '2026-11-01T00:00:00.500Z'],
    ['a BSD year', '<13>Nov  1 00:00:00 2019', '2019-11-01T00:00:00.000Z'],
    ['a year before the time of day', '<13>Nov  1 2019 00:00:00', '2019-11-01T00:00:00.000Z'],
    ['a fraction', '<13>Nov  1 00:00:00.25', '2026-11-01T00:00:00.250Z'],
    ['tomorrow, by a clock that is fast', '<13>Nov 28 00:00:00', '2026-11-28T00:00:00.000Z'],
    ['a month that has not been this year', '<13>Dec 24 00:00:00', '2025-12-24T00:00:00.000Z'],
    ['a leap second', '<13>2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
  ])('%s', (_name, start, time) => {
    expect(read(`${start} host app: x`)).toEqual({
      time,
      record: { ...USER, host: 'host', ident: 'app', message: 'x' },
    });
  });

  it('a year ends: what was sent before belongs to the old one, a fast clock to the new one', () => {
    vi.setSystemTime(new Date('2027-01-01T00:00:10Z'));
    expect(read('<13>Dec 31 23:59:59 h a: x')?.time).toBe('2026-12-31T23:59:59.000Z');
    vi.setSystemTime(new Date('2026-12-31T23:59:50Z'));
    expect(read('<13>Jan  1 00:00:01 h a: x')?.time).toBe('2027-01-01T00:00:01.000Z');
  });

  it('remembers a second, but not a year that stood behind another', () => {
    const one = parser();
    expect(parseLine(one, '<13>Nov  1 00:00:00 h a: x')?.seconds).toBe(1793491200);
    expect(parseLine(one, '<13>Nov  1 00:00:00 2019 h a: x')?.seconds).toBe(1572566400);
    expect(parseLine(one, '<13>Nov  1 00:00:00 2019: h')?.seconds).toBe(1572566400);
    expect(parseLine(one, '<13>Nov  1 00:00:00 10.0.0.1 a: x')?.seconds).toBe(1793491200);
  });
});

describe('devices', () => {
  it.each<[string, string, string | undefined, Record<string, unknown>]>([
    [
      'Cisco ASA',
      '<166>Apr 27 2024 12:34:56: %ASA-6-302013: Built outbound TCP connection',
      '2024-04-27T12:34:56.000Z',
      { ...LOCAL4, ident: '%ASA-6-302013', message: 'Built outbound TCP connection' },
    ],
    [
      'Cisco ASA with its name',
      '<166>Apr 27 2024 12:34:56 fw01 : %ASA-6-302013: Built',
      '2024-04-27T12:34:56.000Z',
      { ...LOCAL4, host: 'fw01', ident: '%ASA-6-302013', message: 'Built' },
    ],
    [
      'Cisco ASA without a time',
      '<166>%ASA-6-305012: Teardown',
      undefined,
      { ...LOCAL4, ident: '%ASA-6-305012', message: 'Teardown' },
    ],
    [
      'Cisco IOS',
      '<189>45: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured',
      '2026-03-01T18:48:50.483Z',
      { ...LOCAL7, sequence: '45', ident: '%SYS-5-CONFIG_I', message: 'Configured' },
    ],
    [
      'Cisco IOS with its name',
      '<189>103: rtr1: .Mar  1 00:01:02.123 CET: %LINK-3-UPDOWN: Interface',
      '2026-02-28T23:01:02.123Z',
      { ...LOCAL7, sequence: '103', host: 'rtr1', ident: '%LINK-3-UPDOWN', message: 'Interface' },
    ],
    [
      'Cisco NX-OS',
      '<189>: 2024 Apr 27 12:34:56 UTC: %VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured',
      '2024-04-27T12:34:56.000Z',
      { ...LOCAL7, ident: '%VSHD-5-VSHD_SYSLOG_CONFIG_I', message: 'Configured' },
    ],
    [
      'Cisco without a priority',
      '*Mar  1 18:48:50: %SYS-5-CONFIG_I: x',
      '2026-03-01T18:48:50.000Z',
      { ident: '%SYS-5-CONFIG_I', message: 'x' },
    ],
    [
      'Meraki',
      '<13>1 1563249630.774247467 dc1 security_event ids_alerted',
      '2019-07-16T04:00:30.774Z',
      { ...USER, host: 'dc1', message: 'security_event ids_alerted' },
    ],
  ])('%s', (_name, line, time, record) => {
    expect(read(line)).toEqual({ time, record });
  });
});

describe('RFC 5424', () => {
  const HEAD = '<34>1 2003-10-11T22:14:15.003Z h su 7 ID47';
  const FIELDS = { ...AUTH, host: 'h', ident: 'su', pid: '7', msgid: 'ID47' };

  it.each<[string, string, Record<string, unknown>]>([
    ['no structured data', `${HEAD} - text`, { ...FIELDS, message: 'text' }],
    ['no message', `${HEAD} -`, { ...FIELDS, message: '' }],
    ['no structured data and no message', HEAD, { ...FIELDS, message: '' }],
    ['a byte order mark', `${HEAD} - \uFEFFtext`, { ...FIELDS, message: 'text' }],
    [
      'several elements, one without parameters',
      `${HEAD} [a@1 x="1" y="2"][b][c z=""] text`,
      {
        ...FIELDS,
        structured_data: { 'a@1': { x: '1', y: '2' }, b: {}, c: { z: '' } },
        message: 'text',
      },
    ],
    [
      'escapes',
      String.raw`${HEAD} [a x="\"q\" \] \\ \n"] text`,
      { ...FIELDS, structured_data: { a: { x: String.raw`"q" ] \ \n` } }, message: 'text' },
    ],
    [
      'a parameter that comes several times',
      `${HEAD} [origin ip="192.0.2.1" ip="192.0.2.129" ip="::1"] text`,
      {
        ...FIELDS,
        structured_data: { origin: { ip: ['192.0.2.1', '192.0.2.129', '::1'] } },
        message: 'text',
      },
    ],
    [
      'an element that comes twice',
      `${HEAD} [a x="1"][a y="2"] text`,
      { ...FIELDS, structured_data: { a: { x: '1', y: '2' } }, message: 'text' },
    ],
    ['empty brackets', `${HEAD} [] text`, { ...FIELDS, message: 'text' }],
    ['structured data that is none', `${HEAD} [abc=def] text`, { ...FIELDS, message: '[abc=def] text' }],
    ['structured data without an end', `${HEAD} [a x="1`, { ...FIELDS, message: '[a x="1' }],
    [
      'no blank behind the structured data',
      `${HEAD} [a]text`,
      { ...FIELDS, structured_data: { a: {} }, message: 'text' },
    ],
    ['a message in its place', `${HEAD} hello there`, { ...FIELDS, message: 'hello there' }],
    ['blanks at the front of the message', `${HEAD} -   text`, { ...FIELDS, message: '  text' }],
  ])('%s', (_name, line, record) => {
    expect(read(line)).toEqual({ time: '2003-10-11T22:14:15.003Z', record });
  });

  it('no value at all', () => {
    expect(read('<34>1 - - - - - - text')).toEqual({ time: undefined, record: { ...AUTH, message: 'text' } });
  });

  it('names that objects have by themselves are only names', () => {
    const record = read(`${HEAD} [__proto__ __proto__="1" constructor="2"] text`)?.record;
    expect(JSON.stringify(record?.['structured_data'])).toBe(
      '{"__proto__":{"__proto__":"1","constructor":"2"}}',
    );
  });

  it('what is written by the RFC is read as it was meant', () => {
    const name = fc.stringMatching(/^[!#-<>-Z\\^-~]{1,20}$/);
    const field = fc.option(fc.stringMatching(/^[!-~]{1,20}$/).filter((text) => text !== '-'));
    const elements = fc.uniqueArray(
      fc.tuple(
        name,
        fc.uniqueArray(fc.tuple(name, fc.string({ unit: 'grapheme' })), { selector: ([key]) => key }),
      ),
      { selector: ([id]) => id, maxLength: 4 },
    );
    fc.assert(
      fc.property(
        fc.nat({ max: 191 }),
        fc.tuple(field, field, field, field),
        elements,
        fc
          .string({ unit: 'grapheme' })
          .filter((text) => !/[\r\n\0]$/.test(text) && !text.startsWith('\uFEFF')),
        (pri, [host, ident, pid, msgid], data, message) => {
          const written = data.map(
            ([id, params]) =>
              `[${id}${params.map(([key, value]) => ` ${key}="${value.replaceAll(/["\\\]]/g, String.raw`\$&`)}"`).join('')}]`,
          );
          const fields = [host, ident, pid, msgid].map((value) => value ?? '-').join(' ');
          const line = `<${pri}>1 2003-10-11T22:14:15.003Z ${fields} ${written.join('') || '-'} ${message}`;
          const record = read(line)?.record as Record<string, unknown>;
          expect(record['pri']).toBe(String(pri));
          for (const [key, value] of Object.entries({ host, ident, pid, msgid }))
            expect(record[key]).toBe(value ?? undefined);
          expect(JSON.stringify(record['structured_data'] ?? {})).toBe(
            JSON.stringify(Object.fromEntries(data.map(([id, params]) => [id, Object.fromEntries(params)]))),
          );
          expect(record['message']).toBe(message);
        },
      ),
    );
  });
});

describe('whatever comes', () => {
  it.each(['', 'just text', '<999>text', '<>text', '<1', '<abc>text', '12: text', '{"a":1}', '\u0000'])(
    'without a priority and a time it is none: %j',
    (line) => {
      expect(read(line)).toBeUndefined();
    },
  );

  it('nothing of a message with a priority gets lost: its end is the message', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        'Oct 11 22:14:15 ',
        '2024-01-01T00:00:00Z ',
        '1 ',
        'host ',
        'app[1]: ',
        'app: ',
        '%A-1-B: ',
        '- ',
        '[a b="c"]',
        '[',
        ' ',
        ':',
        '12: ',
        '*',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('').replace(/[\r\n\0]+$/, '');
        const record = read(`<13>${text}`)?.record as Record<string, unknown>;
        const { message } = record;
        expect(text.endsWith(String(message))).toBe(true);
        // In front of the message there is nothing that no field has, but time and separators.
        const rest = text.slice(0, text.length - String(message).length);
        const kept = Object.entries(record)
          .filter(([key]) => !['pri', 'facility', 'severity', 'message'].includes(key))
          .flatMap(([, value]) => (typeof value === 'string' ? [value] : []));
        for (const value of kept) expect(rest).toContain(value);
      }),
    );
  });

  it('stands in a longer text as it does alone', () => {
    const one = new SyslogParser('a', { zone: () => 0, timeKey: 'time' });
    const other = new SyslogParser('b', { zone: () => 0, timeKey: 'time' });
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '<13>Oct 11 22:14:15',
        '<13>Oct 11 22:14:15 h a[',
        '<13>Oct 11 22:14:15.',
        '<34>1 2003-10-11T22:14:15.003Z h su 7 ID47 [a b="c',
        '<34>1 2003-10-11T22:14:15.003Z h su 7',
        '<34>1 2003-10-11T22:14:15.003',
        '<34>1 2003-10-11T22:14:15+0',
        '<34>1 - h a - - [a b="c"',
        '<34>1 - h a - - [a ',
        '<34>1',
        '<13>Oct 11 22:14:15 h ',
        '<13>Oct 11 22:14',
        '<13>host:',
        '<13>1700000000',
        '<13>12:',
        '<13>',
        '<13',
        '',
      ),
    );
    // What would make more of the line, if it were looked at.
    const more = fc.oneof(
      fc.string(),
      fc.constantFrom(
        ' ',
        ': x',
        ':',
        ']',
        ']: x',
        '"]',
        '0',
        '5 h a: b',
        '.5 h',
        'Z h a: b',
        '00 h',
        ':00 h',
        '\ufeff',
        '> x',
        '1 x',
      ),
    );
    fc.assert(
      fc.property(line, fc.string(), more, (text, before, behind) => {
        const events: ParsedEvent[] = [0, 1].map(() => ({
          record: {},
          text: undefined,
          seconds: 0,
          nanos: 0,
        }));
        const [alone, inside] = events as [ParsedEvent, ParsedEvent];
        const whole = `${before}${text}${behind}`;
        expect(other.parseRange(whole, before.length, before.length + text.length, inside)).toBe(
          one.parse(text, alone),
        );
        expect(inside).toEqual(alone);
      }),
    );
  });
});

describe('options', () => {
  it('the time is kept where that is asked for, as it was written', () => {
    expect(read('<13>Nov  1 00:00:00 h a: x', { time_keep: 'on' })?.record['time']).toBe('Nov  1 00:00:00');
    expect(
      read('<34>1 2003-10-11T22:14:15.003Z h a - - - x', { time_keep: 'on', time_key: 't' })?.record['t'],
    ).toBe('2003-10-11T22:14:15.003Z');
  });

  it('the zone of times without one', () => {
    const line = '<13>Nov  1 00:00:00 h a: x';
    expect(read(line, { time_offset: '+0200' })?.time).toBe('2026-10-31T22:00:00.000Z');
    expect(read(line, { time_zone: 'Europe/Rome' })?.time).toBe('2026-10-31T23:00:00.000Z');
    expect(read('<13>2026-11-01T00:00:00Z h a: x', { time_zone: 'Europe/Rome' })?.time).toBe(
      '2026-11-01T00:00:00.000Z',
    );
  });

  it('types and decoders work on the fields', () => {
    expect(
      read('<13>Nov  1 00:00:00 h a[7]: {"b":1}', {
        types: 'pri:integer pid:integer',
        decode_field_as: 'json message',
      })?.record,
    ).toMatchObject({ pri: 13, pid: 7, message: { b: 1 } });
  });

  it('mistakes are found', () => {
    expect(check({ name: 'p', format: 'syslog', time_zone: 'Nowhere', time_offset: 'x' })).toHaveLength(2);
    expect(check({ name: 'p', format: 'syslog', time_keep: 'on' })).toEqual([]);
  });
});
