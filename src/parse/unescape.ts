/** The escapes that log fields come in. */

const SIMPLE: Readonly<Record<string, string>> = {
  '\\': '\\',
  '"': '"',
  "'": "'",
  '/': '/',
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Takes C's one-letter escapes out; others stay as they are. */
export function unescapeText(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replaceAll(/\\([\\"'/abfnrtv])/g, (_, letter: string) => SIMPLE[letter] as string);
}

const UNICODE_ESCAPE =
  /\\(?:([\\"'/abfnrtv])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{1,2})|([0-7]{1,3}))/g;

/** Takes C's escapes out, with `\uXXXX`, `\UXXXXXXXX`, `\xXX` and octal ones; others stay as they are. */
export function unescapeUnicode(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replaceAll(
    UNICODE_ESCAPE,
    (whole, letter?: string, four?: string, eight?: string, two?: string, octal?: string) => {
      if (letter !== undefined) return SIMPLE[letter] as string;
      // One half of a surrogate pair each: side by side they are the character.
      if (four !== undefined) return String.fromCharCode(Number.parseInt(four, 16));
      const code = octal === undefined ? Number.parseInt(eight ?? two ?? '', 16) : Number.parseInt(octal, 8);
      return code > 0x10ffff ? whole : String.fromCodePoint(code);
    },
  );
}

const MYSQL: Readonly<Record<string, string>> = {
  '0': '\0',
  Z: '\u001a',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Takes MySQL's quotes and escapes off a quoted text; one without quotes stays as it is. */
export function unquoteMysql(text: string): string {
  const quote = text.charAt(0);
  if (text.length < 2 || (quote !== "'" && quote !== '"') || !text.endsWith(quote)) return text;
  return text
    .slice(1, -1)
    .replaceAll(/\\([^])/g, (_, letter: string) =>
      Object.hasOwn(MYSQL, letter) ? (MYSQL[letter] as string) : letter,
    );
}
