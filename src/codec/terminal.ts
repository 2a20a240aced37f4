/**
 * Keeps log data from commanding a terminal: control characters, direction marks and the like are shown as escapes.
 *
 * Threats: CWE-150 (escape sequences that clear, retitle, answer), CWE-117 (a carriage return that overwrites a line).
 */

/** C0 but line feed and tab, DEL, C1, soft hyphen, zero-width and direction marks, line separators, BOM. */
// oxlint-disable-next-line no-misleading-character-class
const OBEYED =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
// oxlint-disable-next-line no-misleading-character-class
const OBEYED_OR_BREAK =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeCharacter(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text of several lines that a terminal shows and does not obey. JSON stays the same JSON. */
export function escapeForTerminal(text: string): string {
  return text.replace(OBEYED, escapeCharacter);
}

/** Text on one line that a terminal shows and does not obey. */
export function escapeLine(text: string): string {
  return text.replace(OBEYED_OR_BREAK, escapeCharacter);
}

/** Text without line ends: a value that must not end the line that it stands in. */
export function escapeBreaks(text: string): string {
  return text.includes('\n') || text.includes('\r')
    ? text.replaceAll('\n', '\\n').replaceAll('\r', '\\r')
    : text;
}
