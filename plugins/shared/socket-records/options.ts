/** The options that `tcp`, `udp` and `unix_socket` have in common, their check, and what is made of them. */
import { enumOf, ignored, size, string, unescapeUnicode } from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues, PluginContext } from '../../../src/plugin.ts';
import { JsonReader } from './json-reader.ts';
import { LineReader } from './line-reader.ts';
import type { RecordSink } from './record-sink.ts';

/** As long as the `tail` input's lines. Bytes. */
const DEFAULT_LIMIT = 1_000_000;
const LARGEST_LIMIT = 64_000_000;
/** Plain numbers are so many bytes, as in Fluent Bit. */
const UNIT = 1024;

export const recordOptions = {
  format: enumOf('json', 'none')
    .default('json')
    .describe(
      '`json`: maps and lists, one after the other, with or without anything between them; a list is the value of `msg`. What is none is kept under `log`, where Fluent Bit drops it. `none`: lines, under `log`.',
    ),
  separator: string()
    .default(String.raw`\n`)
    .describe(
      String.raw`What ends a line with format none; may hold \r, \n, \t, \\ and \xNN. A carriage return before a line feed stays: write \r\n.`,
    ),
  buffer_size: string()
    .optional()
    .describe(
      `Longest record, in units of 1024 bytes or with a unit of its own (\`64\`, \`512k\`, \`4M\`); ${DEFAULT_LIMIT / 1e6}M without it. What is longer is cut, counted and flagged with \`truncated\` in its metadata, where Fluent Bit closes the connection (32k).`,
    ),
  chunk_size: string().optional().describe('As buffer_size, if that is not written and this is larger.'),
};

/** Of those that know who sends. */
export const sourceOptions = {
  source_address_key: string()
    .optional()
    .describe(
      'Key that takes the address of the sender: `tcp://192.0.2.1:5170`. A key of that name in the record is replaced.',
    ),
  parser: string()
    .optional()
    .describe(
      'Name of the parser that each line goes through; implies format none. What it does not take is kept under `log`.',
    ),
  workers: ignored('one listener serves all senders'),
};

type Values = OptionValues<typeof recordOptions>;

/** The problems of these options, for `check`. */
export function checkRecords(
  options: Values & { parser?: string | undefined },
  entries: PluginContext['entries'],
): OptionProblem[] {
  const problems: OptionProblem[] = [];
  for (const key of ['buffer_size', 'chunk_size'] as const) {
    const text = options[key];
    if (text === undefined) continue;
    const reading = readBytes(text);
    if (typeof reading === 'string') problems.push({ key, message: `"${text}" ${reading}` });
  }
  if (options.separator === '')
    problems.push({ key: 'separator', message: 'is empty: it could not be found' });
  const isWritten = (name: string): boolean => entries.some(({ key }) => key === name);
  if (options.parser !== undefined && options.format === 'json' && isWritten('format')) {
    problems.push({
      key: 'format',
      message: 'has no effect: with a parser lines are taken, as with format none',
      level: 'warning',
    });
  }
  return problems;
}

/** Takes records out of bytes; see `StreamReader`. */
export type RecordReader = JsonReader | LineReader;

/** What makes the readers. `staysInMemory`: what is read stays there until the flush. */
export function readerFactory(
  options: Values & { parser?: string | undefined },
  { staysInMemory }: { staysInMemory: boolean },
): (sink: RecordSink) => RecordReader {
  const { buffer_size: buffer, chunk_size: chunk } = options;
  const limit = buffer === undefined ? Math.max(DEFAULT_LIMIT, bytesOf(chunk ?? '0')) : bytesOf(buffer);
  if (options.format === 'json' && options.parser === undefined) return (sink) => new JsonReader(sink, limit);
  const separator = Buffer.from(unescapeUnicode(options.separator));
  return (sink) => new LineReader(sink, { separator, limit, staysInMemory });
}

function bytesOf(text: string): number {
  const reading = readBytes(text);
  // The check made sure of it.
  return typeof reading === 'number' ? reading : 0;
}

/** Bytes, or what is wrong with the text. */
function readBytes(text: string): number | string {
  if (/^\s*\d+\s*$/.test(text)) return inBounds(Number(text) * UNIT);
  const reading = size().spec.read([text]);
  return reading.ok ? inBounds(reading.value) : (reading.problems[0]?.message ?? 'is not a size');
}

function inBounds(bytes: number): number | string {
  if (bytes > 0 && bytes <= LARGEST_LIMIT) return bytes;
  return `is not from 1 to ${LARGEST_LIMIT / 1e6}M bytes`;
}
