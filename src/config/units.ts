/** Fluent Bit's units: sizes, times and booleans as text, with a sentence for each way of getting them wrong. */

/** A value, or what is wrong with the text (a clause that follows the quoted text). */
export type Read<T> = { ok: true; value: T } | { ok: false; message: string };

/** Sizes are decimal: `k` is 1000. */
const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
};

const BINARY_FACTORS: Readonly<Record<string, number>> = {
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

const TIME_FACTORS: Readonly<Record<string, number>> = { '': 1, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86_400 };

const WITH_UNIT = /^([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]*)$/i;

const TRUE = new Set(['on', 'true', 'yes']);
const FALSE = new Set(['off', 'false', 'no']);

/** Bytes: `10`, `10k`, `5M`, `1.5G`, `5MB`; `false` is 0. */
export function readSize(text: string): Read<number> {
  const trimmed = text.trim();
  if (FALSE.has(trimmed.toLowerCase())) return { ok: true, value: 0 };
  const [, digits, unit = ''] = WITH_UNIT.exec(trimmed) ?? [];
  const factor = SIZE_FACTORS[unit.toLowerCase()];
  if (digits !== undefined && factor !== undefined) return bounded(Math.round(Number(digits) * factor));
  const binary = BINARY_FACTORS[unit.toLowerCase()];
  if (digits !== undefined && binary !== undefined) {
    return {
      ok: false,
      message: `is not a size: units are decimal here; in bytes that is ${Math.round(Number(digits) * binary)}`,
    };
  }
  if (trimmed.startsWith('-')) return { ok: false, message: 'is not a size: it cannot be negative' };
  return { ok: false, message: 'is not a size: write bytes, or a number with k, M or G, such as 10M' };
}

/** Seconds as {@link readTime} reads them; `off` is 0. */
export function readTimeOrOff(text: string): Read<number> {
  return FALSE.has(text.trim().toLowerCase()) ? { ok: true, value: 0 } : readTime(text);
}

/** A size, or a share in per cent. */
export function readShare(text: string): Read<{ bytes: number } | { share: number }> {
  const percent = /^([0-9]+(?:\.[0-9]+)?) *%$/.exec(text.trim());
  if (percent === null) {
    const bytes = readSize(text);
    return bytes.ok ? { ok: true, value: { bytes: bytes.value } } : bytes;
  }
  const share = Number(percent[1]) / 100;
  if (share >= 1) return { ok: false, message: 'is not a share: write less than 100%' };
  return { ok: true, value: { share } };
}

/** Seconds: `10`, `10s`, `500ms`, `5m`, `1h`, `2d`, fractions too. */
export function readTime(text: string): Read<number> {
  const trimmed = text.trim();
  const [, digits, unit = ''] = WITH_UNIT.exec(trimmed) ?? [];
  const factor = TIME_FACTORS[unit.toLowerCase()];
  if (digits !== undefined && factor !== undefined) {
    // Milliseconds by division: 0.001 has no exact form.
    return bounded(unit.toLowerCase() === 'ms' ? Number(digits) / 1000 : Number(digits) * factor);
  }
  if (trimmed.startsWith('-')) return { ok: false, message: 'is not a time: it cannot be negative' };
  return {
    ok: false,
    message: 'is not a time: write seconds, or a number with ms, s, m, h or d, such as 30s',
  };
}

/** `on`, `off`, `true`, `false`, `yes`, `no` in any case, as in Fluent Bit. */
export function readBoolean(text: string): Read<boolean> {
  const lower = text.trim().toLowerCase();
  if (TRUE.has(lower)) return { ok: true, value: true };
  if (FALSE.has(lower)) return { ok: true, value: false };
  if (lower === '1' || lower === '0') {
    return { ok: false, message: `is neither on nor off — did you mean "${lower === '1' ? 'on' : 'off'}"?` };
  }
  return { ok: false, message: 'is neither on nor off: write on, off, true, false, yes or no' };
}

export interface Bounds {
  min?: number;
  max?: number;
}

/** A decimal number within bounds. */
export function readNumber(text: string, bounds: Bounds, whole: boolean): Read<number> {
  const trimmed = text.trim();
  const pattern = whole ? /^[+-]?[0-9]+$/ : /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i;
  const what = whole ? 'a whole number' : 'a number';
  if (!pattern.test(trimmed)) {
    return { ok: false, message: `is not ${what}${rangeText(bounds, ': write one')}` };
  }
  const value = Number(trimmed);
  const {
    min = whole ? Number.MIN_SAFE_INTEGER : -Infinity,
    max = whole ? Number.MAX_SAFE_INTEGER : Infinity,
  } = bounds;
  if (value < min || value > max)
    return { ok: false, message: `is out of range${rangeText({ min, max }, ': write a number')}` };
  return { ok: true, value };
}

function rangeText({ min = -Infinity, max = Infinity }: Bounds, lead: string): string {
  const low = min > Number.MIN_SAFE_INTEGER;
  const high = max < Number.MAX_SAFE_INTEGER;
  if (low && high) return `${lead} from ${min} to ${max}`;
  if (low) return `${lead} from ${min}`;
  if (high) return `${lead} up to ${max}`;
  return '';
}

function bounded(value: number): Read<number> {
  return value <= Number.MAX_SAFE_INTEGER ? { ok: true, value } : { ok: false, message: 'is too large' };
}
