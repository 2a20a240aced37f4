/** JSON as Fluent Bit takes it: with control characters in texts as they are, such as the line ends of a stack trace. */

// oxlint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL = /[\u0000-\u001f]/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
/** By code. */
const ESCAPES = Array.from({ length: SPACE }, (_, code) =>
  JSON.stringify(String.fromCharCode(code)).slice(1, -1),
);
/** Pieces that are put together at a time: each by itself would cost many times its length, and a text may have millions. */
const PIECES = 4096;

/** The text with the control characters inside of its strings escaped; undefined when there are none. */
export function escapeControls(text: string): string | undefined {
  if (!CONTROL.test(text)) return undefined;
  let escaped = '';
  let pieces: string[] = [];
  let from = 0;
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) inside = !inside;
    else if (inside && code === BACKSLASH) at++;
    else if (inside && code < SPACE) {
      if (at > from) pieces.push(text.slice(from, at));
      pieces.push(ESCAPES[code] as string);
      from = at + 1;
      if (pieces.length >= PIECES) {
        escaped += pieces.join('');
        pieces = [];
      }
    }
  }
  return from === 0 ? undefined : escaped + pieces.join('') + text.slice(from);
}
