/** tail: follows files, remembers how far each output has them, and loses no line to rotation. */
import { boolean, csv, defineInput, enumOf, ignored, string, translateRegex } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { GENERIC_ENCODINGS, loadEncoding, UNICODE_ENCODINGS } from '../shared/tail/encoding.ts';
import { compilePattern, joinBraces } from '../shared/tail/glob.ts';
import { followOptions, followSettings } from '../shared/tail/options.ts';
import { compileTag } from '../shared/tail/tags.ts';
import { checkJoin, formatOf, JOIN_PARSER_OPTIONS, joinOptions } from '../shared/tail/join-options.ts';
import { TailInput } from '../shared/tail/tail.ts';

export default defineInput({
  name: 'tail',
  summary: 'Follows files and reads what is added to them',
  options: {
    path: csv().describe(
      'Files to follow: paths with `*`, `?`, `[…]`, `{a,b}` and `**`, separated by commas.',
    ),
    key: string().default('log').describe('Key of an unparsed line.'),
    parser: string()
      .optional()
      .describe('Parser for each line. A line that it does not take goes on as it is.'),
    read_from_head: boolean()
      .default('false')
      .describe(
        'At the very first start, read files from their head instead of their end. Files that come later are always read from their head.',
      ),
    read_newly_discovered_files_from_head: ignored('files that come later are always read from their head'),
    path_key: string().optional().describe('Key under which the path of the file is added to each record.'),
    offset_key: string()
      .optional()
      .describe('Key under which the offset of the line in its file is added, in bytes.'),
    tag_regex: string()
      .optional()
      .describe(
        'Expression over the path; its named groups stand as `<group>` in `tag`, where one that found nothing is `_` and `*` is itself.',
      ),
    skip_empty_lines: boolean().default('false').describe('Leave out lines without a character.'),
    ...followOptions,
    'unicode.encoding': enumOf(...UNICODE_ENCODINGS)
      .optional()
      .describe('UTF-16LE, UTF-16BE, or auto by byte order mark.'),
    'generic.encoding': enumOf(...GENERIC_ENCODINGS)
      .optional()
      .describe('Encoding of the files, converted to UTF-8.'),
    ...joinOptions,
  },
  parserOptions: ['parser', ...JOIN_PARSER_OPTIONS],
  check(options) {
    const problems: OptionProblem[] = [];
    if (options.path.length === 0) problems.push({ key: 'path', message: 'names no file' });
    problems.push(...checkJoin(options));
    if (options.tag_regex !== undefined) {
      try {
        translateRegex(options.tag_regex);
      } catch (error) {
        problems.push({ key: 'tag_regex', message: error instanceof Error ? error.message : String(error) });
      }
    }
    return problems;
  },
  tags: (options, tag) => [options.tag_regex === undefined ? tag : tag.replaceAll(/<[^<>]*>/g, '*')],
  async create(options, context) {
    const { cwd } = context;
    const tagRegex = options.tag_regex === undefined ? undefined : translateRegex(options.tag_regex);
    const format = formatOf(options, context);
    return new TailInput(
      {
        ...followSettings(options, cwd),
        patterns: joinBraces(options.path).map((text) => compilePattern(text, cwd)),
        tagOf: compileTag(context.tag, tagRegex),
        readFromHead: options.read_from_head,
        key: options.key,
        formatOf: () => format,
        maxRecord: options.multiline_buffer_limit,
        pathKey: options.path_key,
        offsetKey: options.offset_key,
        skipEmptyLines: options.skip_empty_lines,
        encoding: await loadEncoding(options['unicode.encoding'], options['generic.encoding']),
      },
      context,
    );
  },
});
