/** Character encodings of files: how lines end in them, and how their bytes become text. */
import type iconv from 'iconv-lite';

/** How lines are found and decoded. */
export interface TextEncoding {
  /** Bytes per code unit: line ends are aligned to it. */
  readonly unit: 1 | 2;
  /** The line feed, `unit` bytes. */
  readonly lineFeed: Buffer;
  /** Undefined for UTF-8. */
  readonly decode: ((bytes: Buffer) => string) | undefined;
}

export const UTF8: TextEncoding = { unit: 1, lineFeed: Buffer.from('\n'), decode: undefined };

/** Fluent Bit's names that the library knows under another one. */
const NAMES: Record<string, string> = {
  shiftjis: 'shift_jis',
  uhc: 'cp949',
  win866: 'cp866',
  win874: 'cp874',
};

/** `unicode.encoding`, in any case and with or without dashes. */
export const UNICODE_ENCODINGS = ['utf-16le', 'utf-16be', 'auto'] as const;

/** Names that Fluent Bit's `generic.encoding` takes. */
export const GENERIC_ENCODINGS = [
  'shiftjis',
  'uhc',
  'gbk',
  'gb18030',
  'big5',
  'win866',
  'win874',
  'win1250',
  'win1251',
  'win1252',
  'win1253',
  'win1254',
  'win1255',
  'win1256',
  'latin1',
  'iso-8859-1',
  'iso-8859-15',
  'euc-jp',
  'euc-kr',
  'koi8-r',
  'utf-8',
] as const;

/** Chooses the encoding of a file by its first bytes. */
export type ChooseEncoding = (head: () => Buffer) => TextEncoding;

/** Makes the choice; the library is loaded only here. */
export async function loadEncoding(
  unicode: string | undefined,
  generic: string | undefined,
): Promise<ChooseEncoding> {
  const name = unicode ?? generic;
  if (name === undefined || name === 'utf-8') return () => UTF8;
  const library: typeof iconv = (await import('iconv-lite')).default;
  if (unicode === undefined) {
    const encoding = NAMES[name] ?? name;
    const chosen: TextEncoding = {
      unit: 1,
      lineFeed: UTF8.lineFeed,
      decode: (bytes) => library.decode(bytes, encoding),
    };
    return () => chosen;
  }
  const wide = (encoding: string, lineFeed: number[]): TextEncoding => ({
    unit: 2,
    lineFeed: Buffer.from(lineFeed),
    decode: (bytes) => library.decode(bytes, encoding, { stripBOM: true }),
  });
  const little = wide('utf-16le', [10, 0]);
  const big = wide('utf-16be', [0, 10]);
  if (unicode === 'utf-16le') return () => little;
  if (unicode === 'utf-16be') return () => big;
  return (head) => {
    const [first, second] = head();
    if (first === 0xff && second === 0xfe) return little;
    if (first === 0xfe && second === 0xff) return big;
    return UTF8;
  };
}
