/** The texts inside of a syslog message, so that nothing from a record can end a field, an element or a frame. */
import { parseAccessor } from '../../../src/plugin.ts';

/** A field of the header: visible ASCII without blanks (RFC 5424, section 6). */
export interface HeaderField {
  /** Characters that it cannot hold. */
  unfit: RegExp;
  /** Characters that it can have. */
  most: number;
}

/** RFC 5424's fields. */
export const HOSTNAME: HeaderField = { unfit: /[^!-~]/gu, most: 255 };
export const APP_NAME: HeaderField = { unfit: /[^!-~]/gu, most: 48 };
export const PROCID: HeaderField = { unfit: /[^!-~]/gu, most: 128 };
export const MSGID: HeaderField = { unfit: /[^!-~]/gu, most: 32 };
/** RFC 3164's: receivers read the tag up to a bracket or colon. Their lengths are bounded by nobody in practice. */
export const BSD_HOSTNAME: HeaderField = { unfit: /[^!-~]/gu, most: 255 };
export const BSD_TAG: HeaderField = { unfit: /[^!-~]|[[\]:]/gu, most: 255 };

const VISIBLE = /^[!-~]*$/;
const NAME_UNFIT = /[^!-~]|[=\]"]/gu;
const NAME = /^[^=\]"]*$/;
export const MAX_NAME = 32;

/** Whether a text fits a field as it is. */
export function fits(text: string, field: HeaderField): boolean {
  return text.length <= field.most && text.search(field.unfit) === -1;
}

/** The text as a field can hold it: `_` for each character that it cannot, cut at its length; empty when there is nothing. */
export function fitted(text: string, field: HeaderField): string {
  return text.replace(field.unfit, '_').slice(0, field.most);
}

/** Whether a text is a name of structured data as it is. */
export function isName(text: string, most: number): boolean {
  return text !== '' && text.length <= most && VISIBLE.test(text) && NAME.test(text);
}

/** The name of an element or parameter of structured data: `_` for each character that it cannot hold, as in Fluent Bit. */
export function sdName(text: string, most: number): string {
  return text === '' ? '_' : text.replace(NAME_UNFIT, '_').slice(0, most);
}

/** The element that a key's map becomes: its name, of an accessor the last one. */
export function elementName(key: string, most: number): string {
  const last = parseAccessor(key).findLast((step) => typeof step === 'string');
  return sdName(last ?? key, most);
}

/** A value of structured data, without its quotes (RFC 5424, section 6.3.3). */
export function sdValue(text: string): string {
  return /["\\\]]/.test(text) ? text.replace(/["\\\]]/g, (character) => `\\${character}`) : text;
}

/** Line feed, carriage return and NUL as rsyslog writes them: `#012`. Receivers of lines end a message at the one or the other. */
export function onOneLine(text: string): string {
  return /[\n\r\0]/.test(text) ? text.replace(/[\n\r\0]/g, octal) : text;
}

function octal(character: string): string {
  return `#${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
}
