/** Calendar arithmetic on the proleptic Gregorian calendar, by hand: `Date` costs ten times as much. */

const DAYS_PER_ERA = 146_097;

/**
 * Days from 1970-01-01 to the first of a month, by https://howardhinnant.github.io/date_algorithms.html#days_from_civil.
 * Add the day of the month less one: a day past the month's end runs on into the next, as with C's timegm.
 */
export function daysToMonth(year: number, month: number): number {
  // Years begin in March, so that the leap day is the last one.
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5);
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * DAYS_PER_ERA + dayOfEra - 719_468;
}
