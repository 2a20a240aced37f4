import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { compileTimeFormat, parseOffset, TimeFormatError } from '../../src/parse/time.ts';
import type { TimeOptions } from '../../src/parse/time.ts';
import { formatTime } from '../../src/codec/time-format.ts';

/** The time of a text as ISO text with nine digits, or null when it does not fit. */
function read(format: string, text: string, options?: TimeOptions): string | null {
  const time = compileTimeFormat(format, options);
  if (!time.parse(text)) return null;
  const again = [time.seconds, time.nanos];
  expect(time.parse(text)).toBe(true);
  expect([time.seconds, time.nanos], 'read again').toEqual(again);
  return formatTime('%Y-%m-%dT%H:%M:%S.%N', time.seconds, time.nanos);
}

const YEAR = new Date().getUTCFullYear();

describe('compileTimeFormat', () => {
  it.each<[format: string, text: string, time: string | null]>([
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.123Z', '2021-03-04T05:06:07.123000000'],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.123456789+00:00', '2021-03-04T05:06:07.123456789'],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.12345678987-0330', '2021-03-04T08:36:07.123456789'],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.1+02', '2021-03-04T03:06:07.100000000'],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07Z', null],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.Z', null],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.1', null],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.1+2500', null],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.1+0260', null],
    ['%Y-%m-%dT%H:%M:%S.%L%z', '2021-03-04T05:06:07.1+x', null],
    ['%d/%b/%Y:%H:%M:%S %z', '10/Oct/2000:13:55:36 -0700', '2000-10-10T20:55:36.000000000'],
    ['[%d/%b/%Y:%H:%M:%S %z]', '[10/Oct/2000:13:55:36 -0700', null],
    ['%d/%B/%Y', '1/february/2000 and more', '2000-02-01T00:00:00.000000000'],
    ['%d/%b/%Y', '01/FEBRUARY/2000', '2000-02-01T00:00:00.000000000'],
    ['%d/%b/%Y', '01/Fex/2000', null],
    ['%A, %d %h %Y', 'Wednesday, 01 Mar 2023', '2023-03-01T00:00:00.000000000'],
    ['%a %b %d %H:%M:%S.%L %Y', 'Fri Jul 17 20:17:03.1234 2017', '2017-07-17T20:17:03.123400000'],
    ['%a', 'Xyz', null],
    ['%s', '1500000000', '2017-07-14T02:40:00.000000000'],
    ['%s.%L', '1500000000.25', '2017-07-14T02:40:00.250000000'],
    ['%s%L', '1500000000', null],
    ['%s', '-1', '1969-12-31T23:59:59.000000000'],
    ['%s', 'x', null],
    ['%s', '-', null],
    ['%Y-%m-%d', '2021-02-30', '2021-03-02T00:00:00.000000000'],
    ['%Y-%m-%d', '2021-13-01', null],
    ['%Y-%m-%d', '2021-00-01', null],
    ['%Y-%m-%d', '2021-01-32', null],
    ['%Y-%m-%d', '1900-03-01', '1900-03-01T00:00:00.000000000'],
    ['%Y-%m-%d', '2000-02-29', '2000-02-29T00:00:00.000000000'],
    ['%F %T', '2021-01-02 03:04:05', '2021-01-02T03:04:05.000000000'],
    ['%D %R', '01/02/21 03:04', '2021-01-02T03:04:00.000000000'],
    ['%x %X', '01/02/69 03:04:05', '1969-01-02T03:04:05.000000000'],
    ['%c', 'Sat Jan  2 03:04:05 2021', '2021-01-02T03:04:05.000000000'],
    ['%F %r', '2021-01-02 12:04:05 AM', '2021-01-02T00:04:05.000000000'],
    ['%F %I:%M %p', '2021-01-02 12:04 pm', '2021-01-02T12:04:00.000000000'],
    ['%F %I:%M%P', '2021-01-02 01:04pm', '2021-01-02T13:04:00.000000000'],
    ['%F %I %p', '2021-01-02 13 pm', null],
    ['%F %I %p', '2021-01-02 1 xm', null],
    ['%F %I %p', '2021-01-02 1 px', null],
    ['%F %l:%M %p', '2021-01-02  1:04 PM', '2021-01-02T13:04:00.000000000'],
    ['%F %k:%M', '2021-01-02  1:04', '2021-01-02T01:04:00.000000000'],
    ['%Y%m%d%H%M%S', '20210102030405', '2021-01-02T03:04:05.000000000'],
    ['%Y%m%d%H%M%S%L', '20210102030405678', '2021-01-02T03:04:05.678000000'],
    ['%H%M %F', '945 2021-01-02', null],
    ['%y%j', '21032', '2021-02-01T00:00:00.000000000'],
    ['%C%y-%m', '1999-05', '1999-05-01T00:00:00.000000000'],
    ['%C', '20', '2000-01-01T00:00:00.000000000'],
    ['%Y', '2021', '2021-01-01T00:00:00.000000000'],
    ['%G-W%V-%u %g %U %W %w %Y', '2021-W01-3 21 00 52 0 2021', '2021-01-01T00:00:00.000000000'],
    ['%F%t%T%n', '2021-01-02\t03:04:05', '2021-01-02T03:04:05.000000000'],
    ['%F %T', '2021-01-02    03:04:05', '2021-01-02T03:04:05.000000000'],
    ['%%%Y', '%2021', '2021-01-01T00:00:00.000000000'],
    ['%EY-%Om', '2021-02', '2021-02-01T00:00:00.000000000'],
    ['%F %T %Z', '2021-01-02 03:04:05 CEST', '2021-01-02T01:04:05.000000000'],
    ['%F %T %Z', '2021-01-02 03:04:05 utc', '2021-01-02T03:04:05.000000000'],
    ['%F %T %z', '2021-01-02 03:04:05 GMT', '2021-01-02T03:04:05.000000000'],
    ['%F %T %Z', '2021-01-02 03:04:05 XYZ', null],
    ['%F %T %Z', '2021-01-02 03:04:05 ', null],
    ['%F %H:%M:%S', '2016-12-31 23:59:60', '2017-01-01T00:00:00.000000000'],
    ['%F %H:%M', '2016-12-31 24:00', null],
    ['%F %H:%M', '2016-12-31 23:60', null],
    ['%b %d %H:%M:%S', 'Feb  5 17:32:18 host', `${YEAR}-02-05T17:32:18.000000000`],
    ['%e.%m.', ' 5.2.', `${YEAR}-02-05T00:00:00.000000000`],
    ['', 'x', `${new Date().toISOString().slice(0, 10)}T00:00:00.000000000`],
  ])('%s of %s', (format, text, time) => {
    expect(read(format, text)).toBe(time);
  });

  it('takes today where there is no date', () => {
    const before = new Date().toISOString().slice(0, 10);
    const time = read('%H:%M', '12:34');
    const after = new Date().toISOString().slice(0, 10);
    expect([`${before}T12:34:00.000000000`, `${after}T12:34:00.000000000`]).toContain(time);
  });

  it('takes the same text without date for another day tomorrow', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime('2024-02-29T23:00:00Z');
      const time = compileTimeFormat('%H:%M');
      expect(time.parse('12:34') && time.seconds).toBe(Date.parse('2024-02-29T12:34Z') / 1000);
      vi.setSystemTime('2024-03-01T01:00:00Z');
      expect(time.parse('12:34') && time.seconds).toBe(Date.parse('2024-03-01T12:34Z') / 1000);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each<[options: TimeOptions, format: string, text: string, time: string]>([
    [{ offset: 7200 }, '%F %T', '2017-07-17 22:17:03', '2017-07-17T20:17:03'],
    [{ offset: 7200 }, '%F %T %z', '2017-07-17 22:17:03 +0000', '2017-07-17T22:17:03'],
    [{ offset: 7200 }, '%F %TZ', '2017-07-17 22:17:03Z', '2017-07-17T22:17:03'],
    [{ offset: 7200 }, '%F %H:%M:%S.%LZ', '2017-07-17 22:17:03.5Z', '2017-07-17T22:17:03'],
    [{ offset: 7200 }, '%s', '1500000000', '2017-07-14T02:40:00'],
    [{ zone: 'America/New_York' }, '%F %T', '2024-07-04 12:00:00', '2024-07-04T16:00:00'],
    [{ zone: 'America/New_York', offset: 60 }, '%F %T', '2024-01-04 12:00:00', '2024-01-04T17:00:00'],
    [{ zone: 'America/New_York' }, '%F %T.%L', '2024-07-04 12:00:00.5', '2024-07-04T16:00:00'],
    // The hour that comes twice is the first; the one that is skipped counts on.
    [{ zone: 'America/New_York' }, '%F %T', '2024-11-03 01:30:00', '2024-11-03T05:30:00'],
    [{ zone: 'America/New_York' }, '%F %T', '2024-11-03 02:30:00', '2024-11-03T07:30:00'],
    [{ zone: 'America/New_York' }, '%F %T', '2024-03-10 01:59:59', '2024-03-10T06:59:59'],
    [{ zone: 'America/New_York' }, '%F %T', '2024-03-10 02:30:00', '2024-03-10T07:30:00'],
    [{ zone: 'America/New_York' }, '%F %T', '2024-03-10 03:00:00', '2024-03-10T07:00:00'],
    [{ zone: 'Asia/Kathmandu' }, '%F %T', '2024-03-10 05:45:00', '2024-03-10T00:00:00'],
  ])('with %o, %s of %s', (options, format, text, time) => {
    expect(read(format, text, options)?.slice(0, 19)).toBe(time);
  });

  it.each<[text: string, time: string | null]>([
    ['2021-03-04T05:06:07.25+01:00', '2021-03-04T04:06:07.250000000'],
    ['2021-03-04T05:06:07+01:00', '2021-03-04T04:06:07.000000000'],
    ['2021-03-04T05:06:07', '2021-03-04T05:06:07.000000000'],
    ['2021-03-04T05:06:07.5', '2021-03-04T05:06:07.500000000'],
    ['2021-03-04T05:06', null],
  ])('forgives a missing fraction or zone where it shall: %s', (text, time) => {
    expect(read('%Y-%m-%dT%H:%M:%S.%L%z', text, { strict: false })).toBe(time);
  });

  it('reads from the middle of a text, and says where it ended', () => {
    const time = compileTimeFormat('%Y-%m-%dT%H:%M:%S.%L%z');
    const text = 'a 2021-03-04T05:06:07.5Z b 2021-03-04T05:06:07.25+00:00 c';
    expect([time.parse(text, 2), time.nanos, time.end]).toEqual([true, 500_000_000, 24]);
    expect([time.parse(text, 27), time.nanos, time.end]).toEqual([true, 250_000_000, 55]);
    expect(time.parse(text, 1)).toBe(false);
    const plain = compileTimeFormat('%H:%M');
    expect([plain.parse('x 05:06', 2), plain.end]).toEqual([true, 7]);
  });

  it('goes on from a text with the same second', () => {
    const time = compileTimeFormat('%Y-%m-%dT%H:%M:%S.%L%z');
    const seen = ['05.1Z', '05.25+01:00', '05.x', '05.000000001Z', '06.5Z', '05.5-01', '05.5 '].map((end) =>
      time.parse(`2021-03-04T05:06:${end}`) ? [time.seconds - 1614834300, time.nanos] : null,
    );
    expect(seen).toEqual([
      [65, 100_000_000],
      [65 - 3600, 250_000_000],
      null,
      [65, 1],
      [66, 500_000_000],
      [65 + 3600, 500_000_000],
      null,
    ]);
  });

  it('does not take the beginning of a longer number for the same text', () => {
    const time = compileTimeFormat('%s%L');
    const digits = compileTimeFormat('%S%L');
    expect(time.parse('1')).toBe(false);
    expect(digits.parse('5 1')).toBe(false);
    expect(digits.parse('051') && digits.seconds % 60).toBe(5);
    expect(digits.parse('151') && digits.seconds % 60).toBe(15);
  });

  it('forgets the text after one that does not fit', () => {
    const time = compileTimeFormat('%F');
    expect(time.parse('2021-01-02')).toBe(true);
    expect(time.parse('nonsense')).toBe(false);
    expect(time.parse('nonsense')).toBe(false);
    expect(time.parse('2021-01-03') && time.seconds).toBe(1609632000);
  });

  it.each([
    ['%Q', '"%Q" is no conversion of a time format; write "%%Q" for the characters.'],
    ['%Y%', 'The time format ends in a single "%"; write "%%" for the character.'],
  ])('refuses %s', (format, message) => {
    expect(() => compileTimeFormat(format)).toThrow(new TimeFormatError(message));
  });

  it('refuses an unknown zone', () => {
    expect(() => compileTimeFormat('%F', { zone: 'Mars/Olympus' })).toThrow(RangeError);
  });

  it('reads what strftime writes', () => {
    const formats = [
      '%Y-%m-%dT%H:%M:%S.%N%z',
      '%d/%b/%Y:%H:%M:%S.%N %z',
      '%s.%N',
      '%c .%N',
      '%Y %j %I:%M:%S %p .%N',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...formats),
        fc.integer({ min: -2e9, max: 2e11 }),
        fc.integer({ min: 0, max: 999_999_999 }),
        (format, seconds, nanos) => {
          const time = compileTimeFormat(format.replace('%N', '%L'));
          expect(time.parse(formatTime(format, seconds, nanos))).toBe(true);
          expect([time.seconds, time.nanos]).toEqual([seconds, nanos]);
        },
      ),
    );
  });

  it('never throws on a text, and does not depend on what came before', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '2021-03-04T05:06:07.1Z',
        '2021-03-04T05:06:07.2',
        '2021-03-04T05:06:07.',
        '2021-03-04T05:06:0',
      ),
    );
    fc.assert(
      fc.property(fc.array(text), fc.boolean(), (texts, strict) => {
        const format = '%Y-%m-%dT%H:%M:%S.%L%z';
        const used = compileTimeFormat(format, { strict });
        for (const each of texts) {
          const fresh = compileTimeFormat(format, { strict });
          expect(used.parse(each) && [used.seconds, used.nanos]).toEqual(
            fresh.parse(each) && [fresh.seconds, fresh.nanos],
          );
        }
      }),
    );
  });
});

describe('parseOffset', () => {
  it.each([
    ['+0200', 7200],
    ['-03:30', -12600],
    ['+05', 18000],
    [' +0000 ', 0],
    ['0200', undefined],
    ['+2', undefined],
    ['+0260', undefined],
    ['+2500', undefined],
    ['UTC', undefined],
  ])('%s', (text, seconds) => {
    expect(parseOffset(text)).toBe(seconds);
  });
});
