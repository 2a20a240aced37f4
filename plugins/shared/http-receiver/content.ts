/** What a body is: its media type, and its text. */
import type { IncomingMessage } from 'node:http';
import type { Room } from './room.ts';

/** The media type of a request in small letters, without parameters; empty where it says none. */
export function mediaTypeOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  return (headers['content-type'] ?? '').replace(/;.*$/s, '').trim().toLowerCase();
}

/** The text of a body without a byte order mark. Bytes that are no UTF-8 become U+FFFD. */
export function textOf(body: Buffer): string {
  const text = body.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** The same of one that is JSON, with room for what it will be parsed to. Throws Refusal when there is none. */
export function jsonTextOf(body: Buffer, room: Room): string {
  const text = textOf(body);
  room.keepsParsed(text);
  return text;
}
