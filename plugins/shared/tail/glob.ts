/**
 * Path patterns: `*`, `?`, `[…]`, `{a,b}` within a segment, `**` for any depth of directories. Expanding also tells the directories
 * whose changes can change the answer, for they are what has to be watched.
 */
import { readdirSync, statSync } from 'node:fs';
import type { Dirent } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';

const MAGIC = /[*?[{]/;

export interface Pattern {
  /** As written. */
  text: string;
  /** The directory in front of the first wildcard, absolute. */
  base: string;
  /** True when there is a wildcard: a path without one is the administrator's word. */
  wild: boolean;
  /** One test per segment behind `base`; undefined stands for `**`. */
  segments: readonly (RegExp | undefined)[];
  /** Turns an absolute path back into the form of the pattern (relative patterns give relative paths). */
  show: (path: string) => string;
}

/** Compiles a segment; a segment without wildcards takes itself. A leading dot must be written, as in a shell. */
function segmentTest(segment: string): RegExp {
  let source = '';
  let depth = 0;
  for (let at = 0; at < segment.length; at++) {
    const character = segment[at] as string;
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[' && segment.indexOf(']', at + 2) > 0) {
      const end = segment.indexOf(']', at + 2);
      const body = segment
        .slice(at + 1, end)
        .replaceAll('\\', '\\\\')
        .replace(/^!/, '^')
        .replaceAll('[', '\\[');
      source += `[${body}]`;
      at = end;
    } else if (character === '{' && segment.includes('}', at)) {
      depth++;
      source += '(?:';
    } else if (character === '}' && depth > 0) {
      depth--;
      source += ')';
    } else if (character === ',' && depth > 0) source += '|';
    else source += character.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  }
  const hidden = /^[*?[]/.test(segment) ? '(?!\\.)' : '';
  return new RegExp(`^${hidden}${source}$`, 's');
}

/** Puts patterns together again that were parted at a comma within braces: `a{b`, `c}` is `a{b,c}`. */
export function joinBraces(texts: readonly string[]): string[] {
  const joined: string[] = [];
  let open = 0;
  for (const text of texts) {
    if (open > 0) joined[joined.length - 1] += `,${text}`;
    else joined.push(text);
    open += text.split('{').length - text.split('}').length;
    // A brace that nobody closes is only a character.
    if (open < 0) open = 0;
  }
  return open > 0 ? [...texts] : joined;
}

/** Compiles a pattern; relative ones are taken from `cwd`. */
export function compilePattern(text: string, cwd: string): Pattern {
  const absolute = resolve(cwd, text);
  const parts = absolute.split('/').slice(1);
  let fixed = parts.findIndex((part) => MAGIC.test(part));
  const wild = fixed >= 0;
  if (!wild) fixed = parts.length - 1;
  const relativeTo = isAbsolute(text) ? undefined : cwd;
  const dotted = text.startsWith('./') ? './' : '';
  return {
    text,
    base: `/${parts.slice(0, fixed).join('/')}`,
    wild,
    segments: parts
      .slice(fixed)
      .map((part) => (part === '**' ? undefined : segmentTest(wild ? part : escapeMagic(part)))),
    show: (path) =>
      relativeTo !== undefined && path.startsWith(`${relativeTo}/`)
        ? dotted + path.slice(relativeTo.length + 1)
        : path,
  };
}

function escapeMagic(part: string): string {
  return part.replaceAll(/[[\]{}*?]/g, '[$&]');
}

/** Whether a path is one of the pattern's. */
export function matchesPath(pattern: Pattern, path: string): boolean {
  const base = pattern.base === '/' ? '' : pattern.base;
  if (!path.startsWith(`${base}/`)) return false;
  return matchSegments(pattern.segments, 0, path.slice(base.length + 1).split('/'), 0);
}

function matchSegments(
  tests: Pattern['segments'],
  test: number,
  parts: readonly string[],
  part: number,
): boolean {
  if (test === tests.length) return part === parts.length;
  const expression = tests[test];
  if (expression === undefined) {
    for (let skip = part; skip < parts.length; skip++)
      if (matchSegments(tests, test + 1, parts, skip)) return true;
    return false;
  }
  return (
    part < parts.length &&
    expression.test(parts[part] as string) &&
    matchSegments(tests, test + 1, parts, part + 1)
  );
}

export interface Expansion {
  /** Paths that match: files, links, or anything else of that name. */
  paths: Set<string>;
  /** Existing directories that were looked into, or the nearest one above what is not there yet. */
  directories: Set<string>;
  /** False when a directory that is there could not be read. */
  complete: boolean;
}

/** Everything that matches a pattern now. */
export function expand(pattern: Pattern, into: Expansion): void {
  walk(pattern.base, pattern.segments, 0, into);
}

function walk(directory: string, tests: Pattern['segments'], test: number, into: Expansion): void {
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') into.directories.add(nearest(directory));
    else into.complete = false;
    return;
  }
  into.directories.add(directory);
  const expression = tests[test];
  const last = test === tests.length - 1;
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (expression === undefined) {
      if (isDirectory(entry, path, false) && !entry.name.startsWith('.')) walk(path, tests, test, into);
      continue;
    }
    if (!expression.test(entry.name)) continue;
    if (last) into.paths.add(path);
    else if (isDirectory(entry, path, true)) walk(path, tests, test + 1, into);
  }
  if (expression === undefined) walk(directory, tests, test + 1, into);
}

/** `**` does not follow links, so that a link to a parent is no endless walk. */
function isDirectory(entry: Dirent, path: string, follow: boolean): boolean {
  if (entry.isDirectory()) return true;
  return (
    follow && entry.isSymbolicLink() && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  );
}

function nearest(directory: string): string {
  for (let at = directory; at !== '/'; at = dirname(at)) {
    if (statSync(at, { throwIfNoEntry: false })?.isDirectory() === true) return at;
  }
  return '/';
}

/** A test for `exclude_path`: patterns as in `path`, or of the file name alone. */
export function compileExclusion(texts: readonly string[], cwd: string): (path: string) => boolean {
  const tests = texts.map((text) => {
    const pattern = compilePattern(text, cwd);
    const name = text.includes('/') ? undefined : segmentTest(text);
    return (path: string) => matchesPath(pattern, path) || name?.test(basename(path)) === true;
  });
  return (path) => tests.some((test) => test(path));
}
