/**
 * Labels and structured metadata as the configuration writes them, compiled once:
 *
 *     job=app          a fixed value
 *     pod=$kubernetes['pod_name']   a value of the record, or a template ($TAG …)
 *     $kubernetes['pod_name']       the same under a name of its own: kubernetes_pod_name
 *
 * What a label is read from leaves the line, as in Fluent Bit.
 */
import {
  AccessorSyntaxError,
  compileAccessor,
  compileTemplate,
  parseAccessor,
  valueToJson,
} from '../../../src/plugin.ts';
import type { PathStep, ReadonlyRecord, ReadonlyValue, Value } from '../../../src/plugin.ts';

/** A name and a value, both text. */
export type Pair = readonly [name: string, value: string];

export interface FieldSource {
  name: string;
  /** The same for all records of a tag. */
  fixed: boolean;
  /** The value; undefined or empty where the record has none. */
  read: (record: ReadonlyRecord, tag: string) => string | undefined;
  /** Where the record has it: the line is without it. */
  path?: readonly PathStep[];
  /** The value at the path is all that it reads. */
  alone?: boolean;
}

/** Thrown for an item that cannot be read; the message follows the quoted item. */
export class FieldSyntaxError extends Error {
  override name = 'FieldSyntaxError';
}

/** Compiles one item. Throws {@link FieldSyntaxError}. */
export function compileField(item: string): FieldSource {
  try {
    if (item.startsWith('$')) {
      if (/^\$\d/.test(item)) throw new FieldSyntaxError('cannot be a label: its name begins with a digit');
      const path = parseAccessor(item);
      return { name: labelName(path.join('_')), fixed: false, path, alone: true, read: fieldReader(item) };
    }
    const equals = item.indexOf('=');
    if (equals <= 0 || equals === item.length - 1) {
      throw new FieldSyntaxError("is no label: write name=value, name=$key or $key['nested']");
    }
    return compilePair(item.slice(0, equals).trimEnd(), item.slice(equals + 1).trimStart());
  } catch (error) {
    if (error instanceof AccessorSyntaxError) throw new FieldSyntaxError(`cannot be read: ${error.message}`);
    throw error;
  }
}

/** Compiles `name=value`. Throws {@link AccessorSyntaxError}. */
export function compilePair(name: string, value: string): FieldSource {
  const label = labelName(name);
  if (!value.startsWith('$')) return { name: label, fixed: true, read: () => value };
  const alone = accessorPath(value);
  if (alone !== undefined)
    return { name: label, fixed: false, path: alone, alone: true, read: fieldReader(value) };
  const { fixed, render } = compileTemplate(value);
  const first = accessorPath(/^\$[^\s.,;"'()[\]{}$]+(?:\[[^\]]*\])*/.exec(value)?.[0] ?? '');
  return { name: label, fixed, read: render, ...(fixed || first === undefined ? {} : { path: first }) };
}

function accessorPath(text: string): PathStep[] | undefined {
  // The tag is no key of the record.
  if (!text.startsWith('$') || text.startsWith('$TAG')) return undefined;
  try {
    return parseAccessor(text);
  } catch (error) {
    if (error instanceof AccessorSyntaxError) return undefined;
    throw error;
  }
}

function fieldReader(accessor: string): FieldSource['read'] {
  const read = compileAccessor(accessor);
  return (record) => {
    const value = read(record);
    return value === undefined ? undefined : fieldText(value);
  };
}

/** A value as a label has it: numbers with a fraction as C's `%f`, as long as that loses nothing. */
export function fieldText(value: ReadonlyValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && !Number.isInteger(value)) {
    const rounded = value.toFixed(6);
    return Number(rounded) === value ? rounded : String(value);
  }
  return valueToJson(value as Value);
}

/** A name that Loki takes: letters, digits and underscores, no digit in front. */
export function labelName(name: string): string {
  const clean = name.replaceAll(/[^\dA-Za-z_]/g, '_');
  return /^\d/.test(clean) ? `_${clean}` : clean;
}

/** The labels of a label map: where a map of the file ends in a text, that is the name for the value at the same place of a record. */
export function labelMapFields(map: unknown): FieldSource[] {
  const fields: FieldSource[] = [];
  const walk = (value: unknown, path: readonly string[]): void => {
    if (typeof value === 'string' && path.length > 0) {
      const [first, ...rest] = path as [string, ...string[]];
      const accessor = `$${first}${rest.map((step) => `['${step.replaceAll("'", "''")}']`).join('')}`;
      fields.push(compilePair(value, accessor));
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
    } else {
      throw new FieldSyntaxError(
        path.length === 0
          ? 'holds no map'
          : `holds neither a text nor a map at ${path.join(' > ')}: a text is the name of a label`,
      );
    }
  };
  walk(map, []);
  return fields;
}
