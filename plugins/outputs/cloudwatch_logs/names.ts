/**
 * Which log group and log stream a record goes to.
 *
 * Tags and fields are data from outside: what a name cannot hold, and in group names the slash, goes into it as an underscore, so that no
 * record chooses a group beyond the fixed part of its template. Streams that templates make are bounded in number; a record with one too
 * many goes where it would go without templates.
 */
import { createHash } from 'node:crypto';
import { AccessorSyntaxError, compileTemplate } from '../../../src/plugin.ts';
import type { ReadonlyRecord, Slice, Template } from '../../../src/plugin.ts';
import { MAX_NAME_LENGTH } from './limits.ts';

/** A stream of a group. */
export interface Target {
  readonly group: string;
  readonly stream: string;
}

export interface NameOptions {
  group: string;
  stream: string | undefined;
  streamPrefix: string | undefined;
  groupTemplate: string | undefined;
  streamTemplate: string | undefined;
  /** Streams that templates can make. */
  maxStreams: number;
}

export interface Names {
  /** Whether all records of a slice go to one stream. */
  readonly perSlice: boolean;
  /** Whether there may be several groups. */
  readonly manyGroups: boolean;
  of(slice: Slice, index: number): Target;
}

/** Why a record goes where no template says. */
export type Fallback = 'missing_field' | 'too_many_streams';

/** A stream that took nothing for this long makes room for another. Milliseconds. */
const IDLE_MS = 3_600_000;
const HASH_LENGTH = 16;

const GROUP = /^[-._/#A-Za-z0-9]+$/;
const STREAM = /^[^:*\u0000-\u001f\u007f]+$/;

/** What is wrong with the name of a group, as a clause. */
export function groupProblem(name: string): string | undefined {
  if (!GROUP.test(name) || name.length > MAX_NAME_LENGTH)
    return `is not the name of a log group: it can have letters, digits and . - _ / #, ${MAX_NAME_LENGTH} at most`;
  return undefined;
}

/** What is wrong with the name of a stream, as a clause. */
export function streamProblem(name: string): string | undefined {
  if (!STREAM.test(name) || name.length > MAX_NAME_LENGTH)
    return `is not the name of a log stream: it can have neither : nor * nor control characters, ${MAX_NAME_LENGTH} at most`;
  return undefined;
}

/** What is wrong with a template, as a clause. */
export function templateProblem(template: string): string | undefined {
  try {
    compileTemplate(template);
    return undefined;
  } catch (error) {
    if (error instanceof AccessorSyntaxError) return `cannot be read as a template: ${error.message}`;
    throw error;
  }
}

/** `note` is told of every record that goes where no template says. */
export function makeNames(options: NameOptions, note: (why: Fallback) => void): Names {
  const { group, stream, streamPrefix = '' } = options;
  const usualOf = (tag: string): Target => ({
    group,
    stream: stream ?? shorten(streamPrefix + streamText(tag)),
  });
  const groups = compile(options.groupTemplate, groupText);
  const streams = compile(options.streamTemplate, streamText);
  const templates = [groups, streams].filter((template) => template !== undefined);
  if (templates.length === 0) return { perSlice: true, manyGroups: false, of: (slice) => usualOf(slice.tag) };

  const made = new Made(options.maxStreams);
  const perSlice = templates.every((template) => template.fixed);
  /** The name that a template makes; the usual one where it makes none. */
  const nameBy = (
    template: Template | undefined,
    record: ReadonlyRecord,
    tag: string,
    usual: string,
  ): string => {
    if (template === undefined) return usual;
    const name = template.render(record, tag) ?? '';
    if (name !== '') return shorten(name);
    note('missing_field');
    return usual;
  };
  return {
    perSlice,
    manyGroups: groups !== undefined,
    of(slice, index) {
      const { tag } = slice;
      const record = perSlice ? {} : slice.record(index);
      const usual = usualOf(tag);
      const target = {
        group: nameBy(groups, record, tag, usual.group),
        stream: nameBy(streams, record, tag, usual.stream),
      };
      if (made.admit(target)) return target;
      note('too_many_streams');
      return usual;
    },
  };
}

/** The streams that templates have made and that are in use. */
class Made {
  private readonly most: number;
  /** When each was last used. Milliseconds of the monotonic clock. */
  private readonly used = new Map<string, number>();

  constructor(most: number) {
    this.most = most;
  }

  /** Whether the stream is one of those in use, or may become one. */
  admit({ group, stream }: Target): boolean {
    const key = `${group}\u0000${stream}`;
    const now = performance.now();
    if (!this.used.has(key) && this.used.size >= this.most) {
      for (const [other, usedAt] of this.used) if (now - usedAt > IDLE_MS) this.used.delete(other);
      if (this.used.size >= this.most) return false;
    }
    this.used.set(key, now);
    return true;
  }
}

function compile(text: string | undefined, encode: (text: string) => string): Template | undefined {
  return text === undefined ? undefined : compileTemplate(text, { missing: 'undefined', encode });
}

function groupText(text: string): string {
  return text.replaceAll(/[^-._#A-Za-z0-9]/gu, '_');
}

function streamText(text: string): string {
  return text.toWellFormed().replaceAll(/[:*\u0000-\u001f\u007f]/g, '_');
}

/** A name that is too long ends in a hash, so that it stays another than its neighbours. */
function shorten(name: string): string {
  if (name.length <= MAX_NAME_LENGTH) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  return `${name.slice(0, MAX_NAME_LENGTH - HASH_LENGTH - 1).toWellFormed()}-${hash}`;
}
