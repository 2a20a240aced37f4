/** JSON as Fluent Bit takes it: with control characters in texts as they are, such as the line ends of a stack trace. */

// oxlint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL = /[\u0000-\u001f]/;
const QUOTE = '"';

/** The text with the control characters inside of its strings escaped; undefined when there are none. */
export function escapeControls(text: string): string | undefined {
  if (!CONTROL.test(text)) return undefined;
  let escaped = '';
  let from = 0;
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === QUOTE) inside = !inside;
    else if (inside && char === '\\') at++;
    else if (inside && char < ' ') {
      escaped += text.slice(from, at) + JSON.stringify(char).slice(1, -1);
      from = at + 1;
    }
  }
  return from === 0 ? undefined : escaped + text.slice(from);
}
