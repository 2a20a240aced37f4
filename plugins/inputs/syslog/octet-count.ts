/** The length before a message (RFC 6587, section 3.4.1): digits and a blank. */

const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const LESS = 0x3c;
const GREATER = 0x3e;

/** More digits are no length. */
const MOST_DIGITS = 10;
/** `<191>` */
const LONGEST_PRIORITY = 5;

export class OctetCount {
  /** Bytes of the message. */
  length = 0;
  /** Where it begins. */
  start = 0;

  /**
   * Reads the length at `at`. `none`: there is no length; `more`: there are too few bytes to tell. `needsPriority`: it is only taken for one if
   * `<PRI>` follows it, since a message without a length may begin with a number too.
   */
  read(bytes: Uint8Array, at: number, needsPriority: boolean): 'length' | 'none' | 'more' {
    let end = at;
    let length = 0;
    for (; end < bytes.length && end - at <= MOST_DIGITS; end++) {
      const digit = bytes[end] as number;
      if (digit < ZERO || digit > NINE) break;
      length = length * 10 + digit - ZERO;
    }
    if (end === at || bytes[at] === ZERO || end - at > MOST_DIGITS) return 'none';
    if (end === bytes.length) return 'more';
    if (bytes[end] !== SPACE) return 'none';
    this.length = length;
    this.start = end + 1;
    return needsPriority ? priorityAt(bytes, end + 1) : 'length';
  }
}

function priorityAt(bytes: Uint8Array, at: number): 'length' | 'none' | 'more' {
  for (let index = at; index < at + LONGEST_PRIORITY; index++) {
    if (index === bytes.length) return 'more';
    const byte = bytes[index] as number;
    if (index === at) {
      if (byte !== LESS) return 'none';
    } else if (byte === GREATER) return index > at + 1 ? 'length' : 'none';
    else if (byte < ZERO || byte > NINE) return 'none';
  }
  return 'none';
}
