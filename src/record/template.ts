/**
 * Templates: text with variables, for tags, keys, paths and labels.
 *
 *     $TAG               the tag             $TAG[1]   its second part (parts end at dots), from 0
 *     $key['sub'][0]     a value of the record (accessor.ts)
 *     $0 … $9            a capture of the regular expression that matched
 *
 * Everything else stands for itself. Behind a variable of the record only `.` or `,` may follow, as in Fluent Bit, a blank or
 * a double quote: `$service-logs` is the key `service-logs`. Environment variables (`${NAME}`) are gone before: the
 * configuration fills them in.
 */
import type { ReadonlyRecord, ReadonlyValue } from '../event/record.ts';
import { AccessorSyntaxError, compilePath, scanAccessor, startsAccessor } from './accessor.ts';
import { textOf } from './text.ts';

type Captures = readonly (string | undefined)[] | undefined;

interface Part {
  /** The same for every record of a tag. */
  fixed: boolean;
  /** Text of the template itself. */
  literal?: boolean;
  /** The top-level key that it reads. */
  key?: string;
  read(record: ReadonlyRecord, tag: string, captures: Captures): ReadonlyValue | undefined;
}

export interface TemplateOptions {
  /** What a missing field, tag part or capture does: leaves nothing in its place (default), or makes the whole undefined. */
  missing?: 'empty' | 'undefined';
  /** What is done to the text of every variable before it goes in (a file name must not take a slash from a record). */
  encode?: (text: string) => string;
}

export interface Template {
  /** True when the result is the same for every record of a tag. */
  readonly fixed: boolean;
  /** Top-level keys that it reads. */
  readonly keys: readonly string[];
  /** `captures` is what `RegExp.exec` returned; `$0` is the whole match. */
  readonly render: (record: ReadonlyRecord, tag: string, captures?: Captures) => string | undefined;
}

/** Compiles a template. Throws {@link AccessorSyntaxError} with the offset in the template. */
export function compileTemplate(text: string, options: TemplateOptions = {}): Template {
  const parts = parseTemplate(text);
  const strict = options.missing === 'undefined';
  const { encode } = options;
  return {
    fixed: parts.every(({ fixed }) => fixed),
    keys: parts.flatMap(({ key }) => key ?? []),
    render(record, tag, captures) {
      let result = '';
      for (const part of parts) {
        const value = part.read(record, tag, captures);
        if (value !== undefined) {
          const shown = textOf(value);
          result += encode === undefined || part.literal === true ? shown : encode(shown);
        } else if (strict) {
          return undefined;
        }
      }
      return result;
    },
  };
}

function parseTemplate(template: string): Part[] {
  const parts: Part[] = [];
  let textStart = 0;
  let at = 0;
  const addText = (): void => {
    const text = template.slice(textStart, at);
    if (text !== '') parts.push({ fixed: true, literal: true, read: () => text });
  };
  while (at < template.length) {
    const variable = template[at] === '$' ? parseVariable(template, at) : undefined;
    if (variable === undefined) {
      at++;
      continue;
    }
    addText();
    parts.push(variable.part);
    at = variable.end;
    textStart = at;
  }
  addText();
  return parts;
}

/** The variable that the `$` at `start` begins; undefined when it stands for itself. */
function parseVariable(template: string, start: number): { part: Part; end: number } | undefined {
  const rest = template.slice(start);
  const tagPart = /^\$TAG\[(\d+)\]/.exec(rest);
  if (tagPart !== null) {
    const index = Number(tagPart[1]);
    return { part: { fixed: true, read: (_, tag) => tag.split('.')[index] }, end: start + tagPart[0].length };
  }
  if (rest.startsWith('$TAG[')) {
    throw new AccessorSyntaxError('A part of the tag reads $TAG[0], $TAG[1], and so on.', start);
  }
  if (rest.startsWith('$TAG')) return { part: { fixed: true, read: (_, tag) => tag }, end: start + 4 };
  if (/^\$\d/.test(rest)) {
    const index = Number(rest[1]);
    return { part: { fixed: false, read: (_, __, captures) => captures?.[index] }, end: start + 2 };
  }
  if (!startsAccessor(rest)) return undefined;
  const { path, end } = scanAccessor(template, start);
  requireSeparator(template, start, end);
  return { part: { fixed: false, key: String(path[0]), read: compilePath(path) }, end };
}

function requireSeparator(text: string, start: number, end: number): void {
  if (end === text.length || /[.,\s"]/.test(text.charAt(end))) return;
  throw new AccessorSyntaxError(
    `Only "." or "," may follow "${text.slice(start, end)}", found "${text[end]}": put one between.`,
    end,
  );
}
