import { describe, expect, it } from 'vitest';
import { formatTime, TimeFormatter } from '../../src/codec/time-format.ts';

const SECONDS = Date.UTC(2021, 1, 3, 14, 5, 6) / 1000;

describe('formatTime', () => {
  it.each([
    ['%Y-%m-%dT%H:%M:%S', '2021-02-03T14:05:06'],
    ['%C %y %e %j %k %I %l %p %P', '20 21  3 034 14 02  2 PM pm'],
    ['%A %a %B %b %h %u %w', 'Wednesday Wed February Feb Feb 3 3'],
    ['%U %W %V %G %g', '05 05 05 2021 21'],
    ['%s %z %Z%n%t%%', '1612361106 +0000 UTC\n\t%'],
    ['%D %F %R %T %X %x', '02/03/21 2021-02-03 14:05 14:05:06 14:05:06 02/03/21'],
    ['%c | %r', 'Wed Feb  3 14:05:06 2021 | 02:05:06 PM'],
    ['%L %3L %6L %9L', '012 012 012345 012345678'],
    ['%N %3N %6N %9N', '012345678 012 012345 012345678'],
    ['%S.%LZ', '06.012Z'],
    ['plain', 'plain'],
    ['', ''],
    ['%Q %3Q %3S 100%', '%Q %3Q %3S 100%'],
  ])('%s', (format, text) => {
    expect(formatTime(format, SECONDS, 12_345_678)).toBe(text);
  });

  it.each([
    ['2021-01-01', '00 00 53 2020'],
    ['2021-01-03', '01 00 53 2020'],
    ['2021-01-04', '01 01 01 2021'],
    ['2024-12-30', '52 53 01 2025'],
  ])('weeks of %s', (day, weeks) => {
    expect(formatTime('%U %W %V %G', Date.parse(day) / 1000, 0)).toBe(weeks);
  });

  it('writes times before 1970', () => {
    expect(formatTime('%F %T.%L', -1, 500_000_000)).toBe('1969-12-31 23:59:59.500');
  });
});

describe('TimeFormatter', () => {
  it('writes each second anew and the fraction each time', () => {
    const formatter = new TimeFormatter('%S.%L|%S');
    expect([
      formatter.format(SECONDS, 0),
      formatter.format(SECONDS, 999_999_999),
      formatter.format(SECONDS + 1, 0),
      formatter.format(SECONDS, 0),
    ]).toEqual(['06.000|06', '06.999|06', '07.000|07', '06.000|06']);
  });
});
