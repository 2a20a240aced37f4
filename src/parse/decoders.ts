/**
 * A parser's `decode_field` and `decode_field_as`: fields whose text is itself encoded.
 *
 * `decode_field_as DECODER FIELD [ACTION]` puts what comes out in the field's place; `decode_field` adds the fields of a decoded
 * object to the record and leaves the field. ACTION says whether the next decoder of the same field runs too: `try_next` if this one
 * failed, `do_next` in any case, none of both when it is missing.
 */
import { parseExact } from '../event/json.ts';
import { isRecord, setKey } from '../event/record.ts';
import type { LogRecord, Value } from '../event/record.ts';
import { isTooDeep } from './json-depth.ts';
import { unescapeText, unescapeUnicode, unquoteMysql } from './unescape.ts';

/** What an encoded text stands for; undefined when it is not of the kind. */
type Decode = (text: string) => Value | undefined;

const DECODERS: Readonly<Record<string, Decode>> = {
  json: decodeJson,
  escaped: unescapeText,
  escaped_utf8: unescapeUnicode,
  mysql_quoted: unquoteMysql,
};

interface Rule {
  decode: Decode;
  replaces: boolean;
  action: 'stop' | 'try_next' | 'do_next';
}

/** A decoder rule that cannot be read. */
class DecoderError extends Error {
  override name = 'DecoderError';
}

/** Decodes the fields of a record in place; true when something changed. */
export type DecodeFields = (record: LogRecord) => boolean;

/**
 * Compiles rules; those that replace run first. Undefined when there are none.
 *
 * @throws DecoderError for a rule that cannot be read.
 */
export function compileDecoders(
  replacing: readonly string[],
  adding: readonly string[],
): DecodeFields | undefined {
  const fields = new Map<string, Rule[]>();
  for (const text of replacing) addRule(fields, text, true);
  for (const text of adding) addRule(fields, text, false);
  if (fields.size === 0) return undefined;
  const list = [...fields];
  return (record) => {
    let changed = false;
    for (const [field, rules] of list) {
      if (Object.hasOwn(record, field) && decodeField(record, field, rules)) changed = true;
    }
    return changed;
  };
}

/** Checks one rule: the sentence that says what is wrong, or undefined. */
export function checkDecoder(text: string): string | undefined {
  try {
    addRule(new Map(), text, true);
    return undefined;
  } catch (error) {
    if (error instanceof DecoderError) return error.message;
    throw error;
  }
}

function addRule(fields: Map<string, Rule[]>, text: string, replaces: boolean): void {
  const [decoder = '', field, action = 'stop', more] = text.trim().split(/\s+/);
  const decode = Object.hasOwn(DECODERS, decoder.toLowerCase()) ? DECODERS[decoder.toLowerCase()] : undefined;
  if (decode === undefined) {
    throw new DecoderError(
      `"${decoder}" is no decoder; there are json, escaped, escaped_utf8 and mysql_quoted, followed by the field.`,
    );
  }
  if (field === undefined) throw new DecoderError(`The field is missing; write "${decoder} FIELD".`);
  const lower = action.toLowerCase();
  if ((lower !== 'stop' && lower !== 'try_next' && lower !== 'do_next') || more !== undefined) {
    throw new DecoderError(
      `Behind the field only try_next or do_next may stand, not "${text.trim().split(/\s+/).slice(2).join(' ')}".`,
    );
  }
  const rules = fields.get(field);
  const rule: Rule = { decode, replaces, action: lower };
  if (rules === undefined) fields.set(field, [rule]);
  else rules.push(rule);
}

function decodeField(record: LogRecord, field: string, rules: readonly Rule[]): boolean {
  let text = record[field];
  let changed = false;
  for (const { decode, replaces, action } of rules) {
    if (typeof text !== 'string') break;
    const decoded = decode(text);
    if (decoded !== undefined) {
      if (replaces && decoded !== text) {
        setKey(record, field, decoded);
        changed = true;
      } else if (!replaces && isRecord(decoded)) {
        for (const key of Object.keys(decoded)) setKey(record, key, decoded[key] as Value);
        changed = true;
      }
      // A text goes on to the next decoder; of an added object, the field's own text does.
      if (replaces || typeof decoded === 'string') text = decoded;
    }
    if (action === 'stop' || (action === 'try_next' && decoded !== undefined)) break;
  }
  return changed;
}

/** Objects only, as in Fluent Bit: a text that happens to be a number or a list stays a text. */
function decodeJson(text: string): Value | undefined {
  if (!/^\s*\{/.test(text) || isTooDeep(text)) return undefined;
  try {
    return parseExact(text);
  } catch {
    return undefined;
  }
}
