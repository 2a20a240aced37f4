/**
 * Where a record is written to: the path's and file's text, the tag, or a template of the record's fields and the event's time.
 *
 * Fields and tags are data from outside. They go into a name encoded (no slash, no control character, no `..`), never into the
 * literal part in front of the first variable, and the outcome must lie below that part's directory (CVE-2025-12972).
 */
import { dirname, resolve, sep } from 'node:path';
import { AccessorSyntaxError, compileTemplate, formatTime } from '../../../src/plugin.ts';
import type { Slice, Template } from '../../../src/plugin.ts';

export interface Destination {
  path: string;
  /** The directory below which the name comes from data; undefined where the configuration alone says it. */
  base: string | undefined;
}

/** A destination, or why the record has none: `missing` fields are for on_missing_field. */
export type Resolved = Destination | { problem: string };

export interface DestinationOptions {
  path: string | undefined;
  file: string | undefined;
  strftime: boolean;
  /** Relative paths start here. */
  cwd: string;
}

export interface Destinations {
  /** Whether all records of a slice go to one file. */
  readonly perSlice: boolean;
  resolve(slice: Slice, index: number): Resolved;
}

/** What file systems take. */
const MAX_COMPONENT_BYTES = 255;
const MAX_PATH_BYTES = 4096;
const MAX_REMEMBERED = 4096;

/** Throws AccessorSyntaxError where a template cannot be read. */
export function makeDestinations(options: DestinationOptions): Destinations {
  const { path, file, strftime, cwd } = options;
  const text = fullText(path, file);
  const timed = strftime && text.includes('%');
  if (!text.includes('$') && !timed && file !== undefined) {
    const fixed: Destination = { path: resolve(cwd, text), base: undefined };
    return { perSlice: true, resolve: () => fixed };
  }
  if (file === undefined && !text.includes('$') && !timed) return tagDestinations(resolve(cwd, path ?? '.'));
  return templateDestinations(text, file === undefined, timed, cwd);
}

/** What is wrong with a template, for the check of the configuration. */
export function templateProblem(path: string | undefined, file: string | undefined): string | undefined {
  const text = fullText(path, file);
  const variable = text.indexOf('$');
  if (variable === -1) return undefined;
  try {
    compile(text);
  } catch (error) {
    if (error instanceof AccessorSyntaxError) return `cannot be read as a template: ${error.message}`;
    throw error;
  }
  if (path?.startsWith('$') === true) {
    return `begins with a variable: write a fixed directory in front of it, such as /var/log/tailrace/${path}`;
  }
  if (text.startsWith('/') && text.lastIndexOf('/', variable) === 0) {
    return 'has a variable directly below the root directory: write a fixed directory in front of it';
  }
  return undefined;
}

function fullText(path: string | undefined, file: string | undefined): string {
  return [path, file].filter((part) => part !== undefined).join('/');
}

/** `file` is not set: the tag is the file's name. */
function tagDestinations(base: string): Destinations {
  const byTag = new Map<string, Resolved>();
  return {
    perSlice: true,
    resolve: ({ tag }) => remembered(byTag, tag, () => confine(base, resolve(base, tagName(tag)))),
  };
}

function templateDestinations(text: string, addTag: boolean, timed: boolean, cwd: string): Destinations {
  const whole = addTag ? `${text}/` : text;
  const literal = /^[^$]*/.exec(whole)?.[0] ?? '';
  const hasVariables = addTag || whole.includes('$');
  let expanded = whole;
  let template = compile(whole);
  let base = hasVariables ? baseOf(literal, cwd) : undefined;
  let known = new Map<string, Resolved>();
  let lastSecond = Number.NaN;

  const turnTo = (seconds: number, nanos: number): void => {
    if (seconds === lastSecond) return;
    lastSecond = seconds;
    const now = formatTime(whole, seconds, nanos);
    if (now === expanded) return;
    expanded = now;
    template = compile(now);
    base = hasVariables ? baseOf(formatTime(literal, seconds, nanos), cwd) : undefined;
    known = new Map();
  };

  return {
    perSlice: !timed && template.fixed,
    resolve(slice, index) {
      if (timed) turnTo(slice.seconds(index), slice.nanos(index));
      const rendered = template.render(template.keys.length === 0 ? {} : slice.record(index), slice.tag);
      if (rendered === undefined) return { problem: 'A field of the file name is missing in the record.' };
      const name = addTag ? rendered + tagName(slice.tag) : rendered;
      return remembered(known, name, () => {
        const path = resolve(cwd, name);
        return base === undefined ? { path, base } : confine(base, path);
      });
    },
  };
}

/** The templates of a path's components. To an accessor a slash is a character like others: here it always ends one. */
function compile(text: string): Pick<Template, 'fixed' | 'keys' | 'render'> {
  const components = splitComponents(text).map((component) =>
    compileTemplate(component, { missing: 'undefined', encode: encodeName }),
  );
  return {
    fixed: components.every(({ fixed }) => fixed),
    keys: components.flatMap(({ keys }) => keys),
    render(record, tag) {
      let path: string | undefined;
      for (const component of components) {
        const rendered = component.render(record, tag);
        if (rendered === undefined) return undefined;
        path = path === undefined ? rendered : `${path}/${rendered}`;
      }
      return path;
    },
  };
}

/** Splits at slashes, but not in quotes: `logs/$labels['a/b']/x` has three components. */
function splitComponents(text: string): string[] {
  return text.match(/(?:\['(?:[^']|'')*'\]|\["(?:[^"]|"")*"\]|[^/])+|(?<=\/|^)(?=\/|$)/g) ?? [text];
}

function remembered(known: Map<string, Resolved>, key: string, make: () => Resolved): Resolved {
  let resolved = known.get(key);
  if (resolved === undefined) {
    if (known.size >= MAX_REMEMBERED) known.clear();
    resolved = make();
    known.set(key, resolved);
  }
  return resolved;
}

/** The directory of the literal part in front of the first variable. */
function baseOf(literal: string, cwd: string): string {
  return resolve(cwd, literal.endsWith('/') ? literal : dirname(literal));
}

function confine(base: string, path: string): Resolved {
  const inside = base.endsWith(sep) ? base : base + sep;
  if (!path.startsWith(inside) || path === inside)
    return { problem: 'The file name made of the record leads out of its directory.' };
  const tooLong = path.split(sep).some((component) => Buffer.byteLength(component) > MAX_COMPONENT_BYTES);
  if (tooLong || Buffer.byteLength(path) > MAX_PATH_BYTES)
    return { problem: 'The file name made of the record is too long.' };
  return { path, base };
}

/** A value as a part of a name: what would leave the part, or cannot be seen, as `%2F`. */
function encodeName(value: string): string {
  if (value === '') return '_';
  if (value === '.' || value === '..') return value.replaceAll('.', '%2E');
  // oxlint-disable-next-line no-control-regex
  return value.replace(/[\u0000-\u001f\u007f-\u009f/\\%]/g, (character) =>
    encodeByte(character.charCodeAt(0)),
  );
}

function encodeByte(code: number): string {
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** A tag as a relative path, by Fluent Bit's rule: slashes separate, other than letters, digits, `.`, `-` and `_` become `_`. */
function tagName(tag: string): string {
  const parts = tag.split(/[/\\]+/).filter((part) => part !== '');
  if (parts.length === 0) return '_';
  return parts
    .map((part) =>
      part === '.' || part === '..'
        ? '_'
        : Buffer.from(part)
            .toString('latin1')
            .replace(/[^A-Za-z0-9._-]/g, '_'),
    )
    .join('/');
}
