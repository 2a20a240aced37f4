/**
 * The names of objects: `s3_key_format`.
 *
 *     $TAG  $TAG[1]     the tag, or a part of it (from 0; what divides parts says s3_key_format_tag_delimiters)
 *     $UUID             eight letters and digits, drawn for the object
 *     $INDEX            number of the object, ascending, also across restarts
 *     %Y %m …           strftime, UTC, of the object's first record
 *
 * A tag may come from outside (SECURITY.md, 2): it cannot add a slash, and no part of a name is `.` or `..`.
 */
import { createHash } from 'node:crypto';
import { formatTime } from '../../../src/plugin.ts';
import type { ObjectFacts } from '../../../src/plugin.ts';

/** Of a name, bytes of UTF-8: what S3 takes. */
const MAX_KEY_BYTES = 1024;
/** Of a tag in a name, characters after encoding; longer ones are cut and get a hash. */
const MAX_TAG = 256;
/** An end that tells what the object is: `.json.gz`. */
const EXTENSION = /(?:\.[a-z][a-z0-9]{0,7}){1,2}$/i;

type Part = { text: string } | { variable: 'tag' | 'uuid' | 'index' } | { tagPart: number };

export interface KeyFormatOptions {
  format: string;
  tagDelimiters: string;
  /** Nothing is added to a name that has neither $UUID nor $INDEX. */
  asWritten: boolean;
}

export interface KeyFormat {
  /** Each tag has objects of its own: the name tells them apart. */
  readonly hasTag: boolean;
  /** Two objects of a tag never have one name. */
  readonly isUnique: boolean;
  readonly render: (facts: ObjectFacts) => string;
}

/** What is wrong with a format, a clause; undefined when it can be used. */
export function keyFormatProblem(format: string): string | undefined {
  if (/\$TAG\[(?!\d+\])/.test(format)) return 'has a part of the tag that is none: write $TAG[0], $TAG[1] …';
  if (/[\u0000-\u001f\u007f]/.test(format)) return 'has a control character';
  if (format.split('/').some((segment) => segment === '.' || segment === '..'))
    return 'has "." or ".." between slashes: most clients cannot fetch such an object';
  if (Buffer.byteLength(format) > MAX_KEY_BYTES / 2) return `is longer than ${MAX_KEY_BYTES / 2} bytes`;
  if (format.replace(/^\//, '') === '') return 'is empty';
  return undefined;
}

export function compileKeyFormat({ format, tagDelimiters, asWritten }: KeyFormatOptions): KeyFormat {
  // Fluent Bit's formats begin with a slash, which is not a part of the name.
  const written = format.replace(/^\//, '');
  const given = readParts(written);
  const isUnique = given.some((part) => 'variable' in part && part.variable !== 'tag');
  const parts = isUnique || asWritten ? given : withId(given);
  return {
    hasTag: given.some((part) => 'tagPart' in part || ('variable' in part && part.variable === 'tag')),
    isUnique: isUnique || !asWritten,
    render(facts) {
      let key = '';
      for (const part of parts) key += rendered(part, facts, tagDelimiters);
      return bounded(withoutDots(key));
    },
  };
}

function readParts(format: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const found of format.matchAll(/\$(?:TAG\[(\d+)\]|(TAG)|(UUID)|(INDEX))/g)) {
    if (found.index > at) parts.push({ text: format.slice(at, found.index) });
    at = found.index + found[0].length;
    const [, tagPart, tag, uuid] = found;
    if (tagPart !== undefined) parts.push({ tagPart: Number(tagPart) });
    else if (tag !== undefined) parts.push({ variable: 'tag' });
    else parts.push({ variable: uuid === undefined ? 'index' : 'uuid' });
  }
  if (at < format.length) parts.push({ text: format.slice(at) });
  return parts;
}

/** The same with something that is drawn for each object, in front of an extension. */
function withId(parts: readonly Part[]): Part[] {
  const last = parts.at(-1);
  const extension = last !== undefined && 'text' in last ? (EXTENSION.exec(last.text)?.[0] ?? '') : '';
  const kept =
    last !== undefined && 'text' in last && extension !== ''
      ? [...parts.slice(0, -1), { text: last.text.slice(0, -extension.length) }]
      : parts;
  return [...kept, { text: '-object' }, { variable: 'uuid' }, { text: extension }];
}

function rendered(
  part: Part,
  { tag, sequence, id, seconds, nanos }: ObjectFacts,
  delimiters: string,
): string {
  if ('text' in part) return formatTime(part.text, seconds, nanos);
  if ('tagPart' in part) return encoded(partsOf(tag, delimiters)[part.tagPart] ?? '');
  switch (part.variable) {
    case 'tag':
      return encoded(tag);
    case 'uuid':
      return id;
    case 'index':
      return String(sequence);
  }
}

function partsOf(tag: string, delimiters: string): string[] {
  const parts = [''];
  for (const character of tag) {
    if (delimiters.includes(character)) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** Text that comes from a tag: letters, digits and what all tools take as it is; the rest percent-encoded. */
function encoded(text: string): string {
  const safe = text.replace(/[^\p{L}\p{N}!_.*'()@=:,+-]/gu, (character) =>
    encodeURIComponent(character.isWellFormed() ? character : '\ufffd').replaceAll(
      /[~]/g,
      (kept) => `%${kept.charCodeAt(0).toString(16).toUpperCase()}`,
    ),
  );
  return safe.length > MAX_TAG ? `${cut(safe, MAX_TAG)}~${digest(text)}` : safe;
}

function withoutDots(key: string): string {
  return key
    .split('/')
    .map((segment) => (/^\.{1,2}$/.test(segment) ? segment.replaceAll('.', '%2E') : segment))
    .join('/');
}

function bounded(key: string): string {
  if (Buffer.byteLength(key) <= MAX_KEY_BYTES) return key;
  // What makes it unlike others may be in what is cut off.
  const hash = digest(key);
  let kept = key;
  while (Buffer.byteLength(kept) > MAX_KEY_BYTES - hash.length - 1) kept = cut(kept, kept.length - 16);
  return `${kept}~${hash}`;
}

/** The first characters of a text, no half of a pair and no half of an escape among them. */
function cut(text: string, length: number): string {
  return text
    .slice(0, length)
    .replace(/[\ud800-\udbff]$/, '')
    .replace(/%[0-9A-F]?$/, '');
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
