/** Offsets of time zones: by IANA name, of the system, and of the abbreviations that logs use. */

/** The offset from UTC, in seconds, at a local time given as if it were UTC, in Unix seconds. */
export type ZoneOffset = (localSeconds: number) => number;

/** Offsets change on quarters of an hour. */
const STEP = 900;
const DAY = 86_400;

/**
 * The offsets of a zone.
 *
 * @param name IANA name, `America/New_York`; undefined for the system's zone.
 * @throws RangeError when there is no such zone.
 */
export function zoneOffset(name: string | undefined): ZoneOffset {
  const compute = name === undefined ? systemOffset : namedOffset(name);
  let lastStep = Number.NaN;
  let lastOffset = 0;
  return (localSeconds) => {
    const step = Math.floor(localSeconds / STEP);
    if (step !== lastStep) {
      lastOffset = compute(localSeconds);
      lastStep = step;
    }
    return lastOffset;
  };
}

function systemOffset(localSeconds: number): number {
  const wall = new Date(localSeconds * 1000);
  const instant = new Date(
    wall.getUTCFullYear(),
    wall.getUTCMonth(),
    wall.getUTCDate(),
    wall.getUTCHours(),
    wall.getUTCMinutes(),
    wall.getUTCSeconds(),
  );
  return localSeconds - Math.floor(instant.getTime() / 1000);
}

function namedOffset(name: string): ZoneOffset {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const at = (utcSeconds: number): number => {
    const wall = new Map(
      format.formatToParts(utcSeconds * 1000).map((part) => [part.type, Number(part.value)]),
    );
    const part = (type: Intl.DateTimeFormatPartTypes): number => wall.get(type) ?? 0;
    const local = Date.UTC(
      part('year'),
      part('month') - 1,
      part('day'),
      part('hour'),
      part('minute'),
      part('second'),
    );
    return local / 1000 - utcSeconds;
  };
  return (localSeconds) => {
    // Of a wall time that comes twice, the first; one that is skipped counts on from before the jump.
    const earlier = at(localSeconds - DAY);
    if (at(localSeconds - earlier) === earlier) return earlier;
    const later = at(localSeconds + DAY);
    return at(localSeconds - later) === later ? later : earlier;
  };
}

/** Hours from UTC by abbreviation: RFC 822's, and those in wide use that mean one zone only. */
const ABBREVIATIONS: Readonly<Record<string, number>> = {
  UTC: 0,
  GMT: 0,
  UT: 0,
  Z: 0,
  WET: 0,
  WEST: 1,
  CET: 1,
  CEST: 2,
  EET: 2,
  EEST: 3,
  MSK: 3,
  EST: -5,
  EDT: -4,
  CST: -6,
  CDT: -5,
  MST: -7,
  MDT: -6,
  PST: -8,
  PDT: -7,
  AKST: -9,
  AKDT: -8,
  HST: -10,
  SAST: 2,
  JST: 9,
  KST: 9,
  AEST: 10,
  AEDT: 11,
  NZST: 12,
  NZDT: 13,
};

/** Offset of a zone's abbreviation in seconds; undefined when it is not known. */
export function abbreviatedOffset(name: string): number | undefined {
  const upper = name.toUpperCase();
  return Object.hasOwn(ABBREVIATIONS, upper) ? (ABBREVIATIONS[upper] as number) * 3600 : undefined;
}

/** Seconds of `+0200`, `+02:00`, `-03`; undefined for anything else. */
export function parseOffset(text: string): number | undefined {
  const found = /^([+-])(\d\d):?(\d\d)?$/.exec(text.trim());
  if (found === null) return undefined;
  const minutes = Number(found[2]) * 60 + Number(found[3] ?? 0);
  if (Number(found[3] ?? 0) > 59 || minutes > 24 * 60) return undefined;
  return (found[1] === '-' ? -60 : 60) * minutes;
}
