/** Says in a user's words what is wrong with a YAML text: which line, and what to write instead. */
import { isScalar, visit } from 'yaml';
import type { Document, YAMLParseError } from 'yaml';
import type { SourceText } from './source-text.ts';

export interface YamlProblem {
  offset: number;
  message: string;
}

const QUOTE_IT = 'put the whole value in single quotes';

/** Problems shown per file: one mistake breaks much of what follows. */
const MAX_SHOWN = 5;

/** The parser's errors, follow-ups left out. */
export function explainErrors(document: Document.Parsed, source: SourceText): YamlProblem[] {
  const problems: YamlProblem[] = [];
  const lines = new Set<number>();
  for (const error of document.errors) {
    const line = source.position(error.pos[0]).line;
    // A second error in or right behind a line that is wrong already is nearly always its echo.
    if (lines.has(line) || (error.code !== 'TAB_AS_INDENT' && lines.has(line - 1))) continue;
    const problem = explain(error, document, source);
    lines.add(line).add(source.position(problem.offset).line);
    problems.push(problem);
    if (problems.length >= MAX_SHOWN) break;
  }
  return problems;
}

function explain(
  { code, message, pos: [offset] }: YAMLParseError,
  document: Document.Parsed,
  source: SourceText,
): YamlProblem {
  const { line, column } = source.position(offset);
  const text = source.line(line) ?? '';
  const character = source.text[offset] ?? '';
  const kind: string = code;
  switch (kind) {
    case 'TAB_AS_INDENT':
      return { offset, message: 'the line is indented with a tab: YAML wants spaces' };
    case 'BAD_ALIAS':
      return {
        offset: Math.max(0, offset - 1),
        message: "a value that begins with * is an alias in YAML: put it in quotes, '*'",
      };
    case 'BAD_SCALAR_START':
      return { offset, message: `a value cannot begin with ${character}: ${QUOTE_IT}` };
    case 'BAD_DQ_ESCAPE':
      return {
        offset,
        message: `${message.replace('Invalid escape sequence', 'invalid escape')} in double quotes: ${QUOTE_IT}, or write \\\\`,
      };
    case 'MULTIPLE_DOCS':
      return { offset, message: 'a second document begins here (---): put all in one, or use includes' };
    case 'MULTILINE_IMPLICIT_KEY':
      return {
        offset,
        message: 'there is no "key: value" in this line: a colon, or the space behind it, is missing',
      };
    case 'BLOCK_AS_IMPLICIT_KEY':
      // Either `key: a: b` in one line, or the next line is indented deeper than its siblings.
      if (/:(?:\s|$)/.test(text.slice(column - 1)))
        return { offset, message: `the value holds ": ": ${QUOTE_IT}` };
      return {
        offset: indented(source, line + 1),
        message:
          'the line is indented deeper than the one that it belongs beside: use the same number of spaces',
      };
    case 'MISSING_CHAR':
      if (message.startsWith('Missing closing')) {
        return {
          offset: openQuote(document, offset) ?? offset,
          message: 'the quote that begins here is not closed',
        };
      }
      if (message.includes('sequence item')) {
        return {
          offset: indented(source, line),
          message:
            'the line is not indented like the others of its list item, and begins no item: check the spaces, or put a dash (-) before it',
        };
      }
      break;
    case 'BAD_INDENT':
      if (message.startsWith('Flow') || message.includes('end with')) {
        return {
          offset: openBracket(source.text, offset) ?? offset,
          message: 'the bracket that opens here is not closed',
        };
      }
      return {
        offset: indented(source, line),
        message: 'the line is not indented like its siblings: use the same number of spaces',
      };
    case 'UNEXPECTED_TOKEN': {
      if (text.includes('${') && /[{[].*\$\{/.test(text)) {
        return { offset, message: "inside { } or [ ] a variable must stand in quotes, '${NAME}'" };
      }
      const value = text.slice(0, column - 1);
      const quoted = /[:-]\s+(['"])/.exec(value)?.[1];
      if (quoted !== undefined) {
        const hint =
          quoted === "'"
            ? "a quote within single quotes is written twice ('')"
            : 'a quote within double quotes is written \\"';
        return { offset, message: `there is text behind the closing quote: ${hint}` };
      }
      if (/[:-]\s+\[/.test(value))
        return {
          offset,
          message: `a value that begins with [ is a list in YAML, and there is text behind its end: if it is text (a regular expression), ${QUOTE_IT}`,
        };
      if (/[:-]\s+\{/.test(value))
        return {
          offset,
          message: `a value that begins with { is a map in YAML, and there is text behind its end: if it is text, ${QUOTE_IT}`,
        };
      if (/[:-]\s+[|>]/.test(value) || character === '>' || character === '|') {
        return {
          offset,
          message: `| and > begin a block of text on the following lines: if the value is one line, ${QUOTE_IT}`,
        };
      }
      break;
    }
    default:
      break;
  }
  return {
    offset,
    message: `this is no valid YAML (${message.charAt(0).toLowerCase()}${withoutValues(message.slice(1))})`,
  };
}

/** The parser quotes the text that it met; it may be a password. */
function withoutValues(message: string): string {
  return message.replace(/: .*$/s, '');
}

/** The first character of a line that is no space. */
function indented(source: SourceText, line: number): number {
  const start = source.lineStart(line);
  return start + ((source.line(line) ?? '').length - (source.line(line) ?? '').trimStart().length);
}

/** Where the quoted text begins that runs up to `end`. */
function openQuote(document: Document.Parsed, end: number): number | undefined {
  let found: number | undefined;
  visit(document, {
    Scalar(_key, node) {
      if (
        !isScalar(node) ||
        !node.type?.startsWith('QUOTE') ||
        node.range === undefined ||
        node.range === null
      )
        return;
      if (node.range[0] < end && node.range[1] >= end - 1) found = node.range[0];
    },
  });
  return found;
}

/** The last bracket before `end` that has no partner. */
function openBracket(text: string, end: number): number | undefined {
  let depth = 0;
  for (let at = end - 1; at >= 0; at--) {
    const character = text[at];
    if (character === ']' || character === '}') depth++;
    if (character === '[' || character === '{') {
      if (depth === 0) return at;
      depth--;
    }
  }
  return undefined;
}
