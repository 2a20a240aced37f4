/** Makes records from the captures of a regular expression, by a function that is compiled for them. */
import { setKey } from '../event/record.ts';
import type { LogRecord } from '../event/record.ts';
import type { Cast } from './casts.ts';

/** Makes the record of a match. */
export type BuildRecord = (match: RegExpExecArray) => LogRecord;

/** A capture that becomes a field. */
export interface CapturedField {
  key: string;
  /** Number of the capture in the match. */
  number: number;
  cast: Cast | undefined;
}

/**
 * Compiles the function. A record in which no field is missing is written as one object literal, which V8 makes in one go with a
 * shape that it knows; stores by variable keys cost several times as much. Keys are configuration, and go into the code as JSON.
 *
 * @param skipEmpty Fields that captured nothing are left out; else they are empty texts. Of several captures with one key, the
 *   last that took part wins.
 */
export function compileRecordBuilder(fields: readonly CapturedField[], skipEmpty: boolean): BuildRecord {
  const values = fields.map((field, at) => ({ ...field, name: `v${at}` }));
  const keys = new Set(fields.map(({ key }) => key));
  const read = values.map(({ name, number }) => `const ${name} = match[${number}];`);
  const value = ({ name, cast }: (typeof values)[number], at: number): string =>
    cast === undefined ? name : `casts[${at}](${name})`;
  const body = [...read];
  if (keys.size === fields.length) {
    const members = values.map((field, at) => `${memberName(field.key)}: ${value(field, at)}`);
    const present = values.map(({ name }) => (skipEmpty ? name : `${name} !== undefined`)).join(' && ');
    body.push(`if (${present === '' ? 'true' : present}) return { ${members.join(', ')} };`);
  }
  body.push('const record = {};');
  values.forEach((field, at) => {
    const key = JSON.stringify(field.key);
    const store = (text: string): string =>
      field.key === '__proto__' ? `setKey(record, ${key}, ${text});` : `record[${key}] = ${text};`;
    if (skipEmpty) {
      body.push(`if (${field.name}) ${store(value(field, at))}`);
    } else {
      body.push(`if (${field.name} !== undefined) ${store(value(field, at))}`);
      body.push(`else if (!Object.hasOwn(record, ${key})) ${store("''")}`);
    }
  });
  body.push('return record;');
  // What goes into the code is numbers, names of our own, and keys as JSON.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function('casts', 'setKey', `return (match) => { ${body.join('\n')} };`) as (
    casts: readonly (Cast | undefined)[],
    store: typeof setKey,
  ) => BuildRecord;
  return make(
    values.map(({ cast }) => cast),
    setKey,
  );
}

/** A key in an object literal; there, only brackets make this one a field: bare it would set the prototype. */
function memberName(key: string): string {
  return key === '__proto__' ? '["__proto__"]' : JSON.stringify(key);
}
