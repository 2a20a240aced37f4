/** Tags of entries: the first `*` stands for the unit, as in Fluent Bit. */

/** Of an entry that no unit has written, or none with a name that systemd would take. */
const UNKNOWN = 'unknown';
/** As systemd names units: at most 255 of these. */
const UNIT = /^[\w:.\\@-]{1,255}$/;
const MAX_REMEMBERED = 4096;

export function compileUnitTag(tag: string): (unit: string | undefined) => string {
  if (!tag.includes('*')) return () => tag;
  const remembered = new Map<string, string>();
  const make = (unit: string): string => tag.replace('*', () => unit);
  const unknown = make(UNKNOWN);
  return (unit) => {
    if (unit === undefined) return unknown;
    let known = remembered.get(unit);
    if (known === undefined) {
      known = UNIT.test(unit) ? make(unit) : unknown;
      if (remembered.size < MAX_REMEMBERED) remembered.set(unit, known);
    }
    return known;
  };
}
