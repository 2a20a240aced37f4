/** Reads a strptime format into steps. */

/** Numbers that a time is made of, by their place in {@link TimeParser}'s fields. */
export const FIELDS = [
  'year',
  'century',
  'yearOfCentury',
  'month',
  'day',
  'dayOfYear',
  'hour',
  'hour12',
  'minute',
  'second',
  'ignored',
] as const;

export type Field = (typeof FIELDS)[number];

export type Step =
  | { kind: 'literal'; code: number }
  | { kind: 'space' }
  | { kind: 'number'; field: Field; min: number; max: number; digits: number; padded: boolean }
  | { kind: 'month' }
  | { kind: 'weekday' }
  | { kind: 'noon' }
  | { kind: 'epoch' }
  | { kind: 'fraction' }
  | { kind: 'zone' };

/** A format that is not understood. */
export class TimeFormatError extends Error {
  override name = 'TimeFormatError';
}

const SHORT: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
  T: '%H:%M:%S',
  X: '%H:%M:%S',
  c: '%a %b %e %H:%M:%S %Y',
  r: '%I:%M:%S %p',
  x: '%m/%d/%y',
};

function number(field: Field, min: number, max: number, padded = false): Step {
  return { kind: 'number', field, min, max, digits: String(max).length, padded };
}

const STEPS: Readonly<Record<string, Step>> = {
  Y: number('year', 0, 9999),
  C: number('century', 0, 99),
  y: number('yearOfCentury', 0, 99),
  m: number('month', 1, 12),
  d: number('day', 1, 31),
  e: number('day', 1, 31, true),
  j: number('dayOfYear', 1, 366),
  H: number('hour', 0, 23),
  k: number('hour', 0, 23, true),
  I: number('hour12', 1, 12),
  l: number('hour12', 1, 12, true),
  M: number('minute', 0, 59),
  S: number('second', 0, 61),
  U: number('ignored', 0, 53),
  W: number('ignored', 0, 53),
  V: number('ignored', 1, 53),
  G: number('ignored', 0, 9999),
  g: number('ignored', 0, 99),
  u: number('ignored', 1, 7),
  w: number('ignored', 0, 6),
  A: { kind: 'weekday' },
  a: { kind: 'weekday' },
  B: { kind: 'month' },
  b: { kind: 'month' },
  h: { kind: 'month' },
  p: { kind: 'noon' },
  P: { kind: 'noon' },
  L: { kind: 'fraction' },
  s: { kind: 'epoch' },
  Z: { kind: 'zone' },
  z: { kind: 'zone' },
  n: { kind: 'space' },
  t: { kind: 'space' },
  '%': { kind: 'literal', code: 0x25 },
};

/** @throws TimeFormatError for a conversion that is not known. */
export function readTimeFormat(format: string): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < format.length; at++) {
    const character = format.charAt(at);
    if (/\s/.test(character)) {
      if (steps.at(-1)?.kind !== 'space') steps.push({ kind: 'space' });
      continue;
    }
    if (character !== '%') {
      steps.push({ kind: 'literal', code: character.charCodeAt(0) });
      continue;
    }
    at++;
    // E and O ask for other calendars and digits; there are none here.
    if (/[EO]/.test(format.charAt(at))) at++;
    const letter = format.charAt(at);
    if (Object.hasOwn(SHORT, letter)) {
      steps.push(...readTimeFormat(SHORT[letter] as string));
    } else if (Object.hasOwn(STEPS, letter)) {
      steps.push(STEPS[letter] as Step);
    } else {
      throw new TimeFormatError(
        letter === ''
          ? 'The time format ends in a single "%"; write "%%" for the character.'
          : `"%${letter}" is no conversion of a time format; write "%%${letter}" for the characters.`,
      );
    }
  }
  return steps;
}
