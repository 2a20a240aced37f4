/**
 * The kinds of options: each reads text into a value, says what is wrong with it, and knows its JSON Schema. Values arrive as
 * the text that stands in the YAML (`0755` stays `0755` where text is wanted), after `${…}` was filled in.
 */
import { Secret } from './secret.ts';
import { suggestion } from './suggest.ts';
import { readBoolean, readNumber, readShare, readSize, readTime, readTimeOrOff } from './units.ts';
import type { Bounds, Read } from './units.ts';

/** A piece of JSON Schema. */
export type JsonSchema = { [key: string]: unknown };

/** What is wrong with one of an option's values. `message` follows the quoted value: `"abc" is not a size`. */
export interface ValueProblem {
  /** Which of the values, from 0. */
  index: number;
  message: string;
}

export type OptionReading<T> = { ok: true; value: T } | { ok: false; problems: readonly ValueProblem[] };

/** All that is known of an option, for the loader, the JSON Schema and the reference pages. */
export interface OptionSpec<T> {
  /** In the reference's words: `string`, `size`, `boolean` … */
  readonly type: string;
  /** May be given as a list. */
  readonly multiple: boolean;
  /** The key may stand there several times, as in Fluent Bit. */
  readonly repeatable: boolean;
  /** Takes all keys that begin with the declared one up to its `*`. */
  readonly family: boolean;
  readonly required: boolean;
  /** As it would be written in YAML; undefined without default. */
  readonly defaultText: string | undefined;
  readonly defaultValue: T | undefined;
  readonly description: string;
  readonly aliases: readonly string[];
  /** What to write instead. */
  readonly deprecated: string | undefined;
  /** Why the key has no effect. */
  readonly ignored: string | undefined;
  readonly secret: boolean;
  /** The words that an enumeration takes. */
  readonly values: readonly string[] | undefined;
  readonly jsonSchema: JsonSchema;
  /** Values from text: one text, or those of a list. For a family: `suffix value` per key. */
  read(texts: readonly string[]): OptionReading<T>;
}

/** An option of type T. Required unless `.optional()` or `.default()` is said. Each call returns a new option. */
export interface Option<T> {
  readonly spec: OptionSpec<T>;
  optional(): Option<T | undefined>;
  /** The default; a string is read like one that stands in the YAML (`'10M'`). */
  default(value: T | string): Option<T>;
  /** One sentence for the reference page. */
  describe(text: string): Option<T>;
  /** Other names of the key. */
  alias(...names: string[]): Option<T>;
  /** The key works, with a warning that says what to write instead. */
  deprecated(hint: string): Option<T>;
}

/** An option per key; keys as in Fluent Bit, lower case (`http_user`). */
export type OptionFields = Record<string, Option<unknown>>;

/** The values of the options as the plugin's code sees them. */
export type OptionValues<F> = { [K in keyof F]: F[K] extends Option<infer T> ? T : never };

class OptionOf<T> implements Option<T> {
  readonly spec: OptionSpec<T>;

  constructor(spec: OptionSpec<T>) {
    this.spec = spec;
  }

  optional(): Option<T | undefined> {
    return new OptionOf<T | undefined>({ ...this.spec, required: false });
  }

  default(value: T | string): Option<T> {
    let defaultValue = value as T;
    if (typeof value === 'string') {
      const reading = this.spec.read([value]);
      if (!reading.ok)
        throw new TypeError(`The default "${value}" ${reading.problems[0]?.message ?? 'is wrong'}.`);
      defaultValue = reading.value;
    }
    return new OptionOf({ ...this.spec, required: false, defaultValue, defaultText: defaultText(value) });
  }

  describe(description: string): Option<T> {
    return new OptionOf({ ...this.spec, description });
  }

  alias(...names: string[]): Option<T> {
    return new OptionOf({ ...this.spec, aliases: [...this.spec.aliases, ...names] });
  }

  deprecated(hint: string): Option<T> {
    return new OptionOf({ ...this.spec, deprecated: hint });
  }
}

function defaultText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value))
    return value.map((item) => (Array.isArray(item) ? item.join(' ') : String(item))).join(', ');
  return String(value);
}

type SpecParts<T> = Pick<OptionSpec<T>, 'type' | 'jsonSchema' | 'read'> & Partial<OptionSpec<T>>;

function make<T>(parts: SpecParts<T>): Option<T> {
  return new OptionOf<T>({
    multiple: false,
    repeatable: false,
    family: false,
    required: true,
    defaultText: undefined,
    defaultValue: undefined,
    description: '',
    aliases: [],
    deprecated: undefined,
    ignored: undefined,
    secret: false,
    values: undefined,
    ...parts,
  });
}

/** An option with one value. */
export function single<T>(
  type: string,
  jsonSchema: JsonSchema,
  readOne: (text: string) => Read<T>,
  more: Partial<OptionSpec<T>> = {},
): Option<T> {
  return make<T>({
    type,
    jsonSchema,
    read(texts) {
      const reading = readOne(texts[0] ?? '');
      return reading.ok ? reading : { ok: false, problems: [{ index: 0, message: reading.message }] };
    },
    ...more,
  });
}

/** An option with any number of values. */
function list<T>(
  type: string,
  item: JsonSchema,
  readOne: (text: string) => Read<readonly T[]>,
  more: Partial<OptionSpec<T[]>> = {},
): Option<T[]> {
  return make<T[]>({
    type,
    multiple: true,
    repeatable: true,
    jsonSchema: { anyOf: [item, { type: 'array', items: item }] },
    read(texts) {
      const values: T[] = [];
      const problems: ValueProblem[] = [];
      texts.forEach((text, index) => {
        const reading = readOne(text);
        if (reading.ok) values.push(...reading.value);
        else problems.push({ index, message: reading.message });
      });
      return problems.length === 0 ? { ok: true, value: values } : { ok: false, problems };
    },
    ...more,
  });
}

const TEXT_SCHEMA: JsonSchema = { type: ['string', 'number', 'boolean'] };

const asText = (text: string): Read<string> => ({ ok: true, value: text });

/** Text. */
export function string(): Option<string> {
  return single('string', TEXT_SCHEMA, asText);
}

/** A whole number. */
export function integer(bounds: Bounds = {}): Option<number> {
  return single('integer', numberSchema('integer', bounds), (text) => readNumber(text, bounds, true));
}

/** A number. */
export function number(bounds: Bounds = {}): Option<number> {
  return single('number', numberSchema('number', bounds), (text) => readNumber(text, bounds, false));
}

/** `on`, `off`, `true`, `false`, `yes`, `no`, in any case. */
export function boolean(): Option<boolean> {
  const words = {
    type: 'string',
    pattern: '^([Oo][Nn]|[Oo][Ff][Ff]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo])$|\\$\\{',
  };
  return single('boolean', { anyOf: [{ type: 'boolean' }, words] }, readBoolean);
}

/** A size, in bytes: `10k`, `5M`, `1G` (decimal); `false` is 0. */
export function size(): Option<number> {
  const words = { type: 'string', pattern: '^([0-9.]+ *([kKmMgGtT]?[bB]?)|[Ff]alse|[Oo]ff)$|\\$\\{' };
  return single('size', { anyOf: [{ type: 'number', minimum: 0 }, { const: false }, words] }, readSize);
}

/** A size in bytes, or a share: `10%`. */
export function share(): Option<{ bytes: number } | { share: number }> {
  const { jsonSchema } = size().spec;
  const percent = { type: 'string', pattern: '^[0-9.]+ *%$|\\$\\{' };
  return single('size or %', { anyOf: [jsonSchema, percent] }, readShare);
}

/** A time, in seconds: `10`, `10s`, `500ms`, `5m`, `1h`, `2d`. */
export function time(): Option<number> {
  const words = { type: 'string', pattern: '^[0-9.]+ *([mM]?[sS]|[mM]|[hH]|[dD])?$|\\$\\{' };
  return single('time', { anyOf: [{ type: 'number', minimum: 0 }, words] }, readTime);
}

/** As {@link time}; `off` is 0. */
export function timeOrOff(): Option<number> {
  const { jsonSchema } = time().spec;
  return single(
    'time',
    { anyOf: [jsonSchema, { type: 'boolean', const: false }, { const: 'off' }] },
    readTimeOrOff,
  );
}

/** A list of texts: `a, b` or a YAML list. */
export function csv(): Option<string[]> {
  return list(
    'list',
    TEXT_SCHEMA,
    (text) => ({
      ok: true,
      value: text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== ''),
    }),
    { repeatable: false },
  );
}

/** Texts: the key's value, or several as a YAML list; nothing is split. */
export function many(): Option<string[]> {
  return list('strings', TEXT_SCHEMA, (text) => ({ ok: true, value: [text] }));
}

/** One of some words, in any case; the value is the word as declared. */
export function enumOf<const V extends readonly [string, ...string[]]>(...words: V): Option<V[number]> {
  const byLower = new Map<string, V[number]>(words.map((word) => [word.toLowerCase(), word]));
  return single<V[number]>(
    'enum',
    {
      anyOf: [
        { enum: [...new Set(words.flatMap((word) => [word, word.toLowerCase()]))] },
        { type: 'string', pattern: '\\$\\{' },
      ],
    },
    (text) => {
      const value = byLower.get(text.trim().toLowerCase());
      if (value !== undefined) return { ok: true, value };
      const meant = suggestion(text.trim(), words);
      return {
        ok: false,
        message: `is none of ${words.join(', ')}${meant === undefined ? '' : ` — did you mean "${meant}"?`}`,
      };
    },
    { values: words },
  );
}

/** Pairs: `KEY VALUE`, split at the first white space; may be given several times. */
export function kv(): Option<[string, string][]> {
  return list<[string, string]>('key value', { type: 'string' }, (text) => {
    const [, key, value] = /^\s*(\S+)\s+([^]*\S)\s*$/.exec(text) ?? [];
    if (key === undefined || value === undefined)
      return { ok: false, message: 'is not a pair: write KEY VALUE, with a space in between' };
    return { ok: true, value: [[key, value]] };
  });
}

/** The path of a file or directory; relative ones start at the working directory. */
export function path(): Option<string> {
  return single('path', { type: 'string' }, (text) =>
    text.trim() === '' ? { ok: false, message: 'is not a path: it is empty' } : { ok: true, value: text },
  );
}

/** A password, token or key: shown as `***` everywhere, {@link Secret.reveal} gives it out. */
export function secret(): Option<Secret> {
  return single('secret', TEXT_SCHEMA, (text) => ({ ok: true, value: new Secret(text) }), { secret: true });
}

/** Pairs whose values are secrets: `NAME PASSWORD`; may be given several times. */
export function secretKv(): Option<[string, Secret][]> {
  return list<[string, Secret]>(
    'key secret',
    { type: 'string' },
    (text) => {
      const [, key, value] = /^\s*(\S+)\s+([^]*\S)\s*$/.exec(text) ?? [];
      if (key === undefined || value === undefined)
        return { ok: false, message: 'is not a pair: write NAME PASSWORD, with a space in between' };
      return { ok: true, value: [[key, new Secret(value)]] };
    },
    { secret: true },
  );
}

/** A key of Fluent Bit that makes no sense here: accepted, with a note at start that says why it has no effect. Its value is undefined. */
export function ignored(reason: string): Option<undefined> {
  return make<undefined>({
    type: 'ignored',
    multiple: true,
    required: false,
    jsonSchema: {},
    ignored: reason,
    description: `No effect: ${reason}.`,
    read: () => ({ ok: true, value: undefined }),
  });
}

/** A family of keys, declared as `'rdkafka.*': prefix()`: pairs of the part behind the prefix and the value. */
export function prefix(): Option<[string, string][]> {
  return list<[string, string]>(
    'keys',
    TEXT_SCHEMA,
    (text) => {
      const space = text.indexOf(' ');
      return { ok: true, value: [[text.slice(0, space), text.slice(space + 1)]] };
    },
    { family: true, required: false, defaultValue: [] },
  );
}

function numberSchema(type: 'integer' | 'number', { min, max }: Bounds): JsonSchema {
  const bounds = {
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
  };
  return {
    anyOf: [
      { type, ...bounds },
      { type: 'string', pattern: '^[+-]?[0-9.]+$|\\$\\{' },
    ],
  };
}
