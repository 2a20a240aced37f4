/** tail: follows files, remembers how far each output has them, and loses no line to rotation. */
import {
  boolean,
  csv,
  defineInput,
  enumOf,
  ignored,
  integer,
  path,
  size,
  string,
  time,
  translateRegex,
} from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { openFilesLimit } from '../shared/tail/descriptors.ts';
import { GENERIC_ENCODINGS, loadEncoding, UNICODE_ENCODINGS } from '../shared/tail/encoding.ts';
import { compileExclusion, compilePattern, joinBraces } from '../shared/tail/glob.ts';
import { compileTag } from '../shared/tail/tags.ts';
import { checkJoin, formatOf, JOIN_PARSER_OPTIONS, joinOptions } from '../shared/tail/join-options.ts';
import { TailInput } from '../shared/tail/tail.ts';

/** Our limit where none is written: a longer line is cut, not the file dropped. */
const DEFAULT_MAX_LINE = 1_000_000;

export default defineInput({
  name: 'tail',
  summary: 'Follows files and reads what is added to them',
  options: {
    path: csv().describe(
      'Files to follow: paths with `*`, `?`, `[…]`, `{a,b}` and `**`, separated by commas.',
    ),
    exclude_path: csv()
      .default('')
      .describe('Patterns of files to leave out; one without a slash is taken for the file name alone.'),
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
      .describe('Expression over the path; its named groups stand as `<group>` in `tag`.'),
    ignore_older: time()
      .default('0')
      .describe(
        'Leave out files that were not changed for this long when they are first seen. Remembered files are never left out.',
      ),
    ignore_active_older_files: ignored('a file that is being read is read to its end'),
    skip_empty_lines: boolean().default('false').describe('Leave out lines without a character.'),
    skip_long_lines: boolean()
      .default('false')
      .describe('Leave out lines longer than `buffer_max_size` instead of cutting them.'),
    truncate_long_lines: ignored('long lines are cut unless skip_long_lines is on'),
    buffer_max_size: size()
      .default(DEFAULT_MAX_LINE)
      .describe('Lines of this length or longer are cut (flagged in their metadata) or skipped. Bytes.'),
    buffer_chunk_size: ignored('blocks are read in a size of their own'),
    exit_on_eof: boolean()
      .default('false')
      .describe('End when all files were read to their end and everything is delivered.'),
    refresh_interval: time()
      .default('60')
      .describe(
        'Seconds between scans; new files are found by events within a second, this is the safety net.',
      ),
    rotate_wait: time()
      .default('5')
      .describe('How long a rotated file that is read to its end is watched for late writers.'),
    unterminated_timeout: time()
      .default('60')
      .describe(
        'After this long a last line without its end is taken as it is, flagged in its metadata; 0 for never.',
      ),
    allowed_roots: csv()
      .default('')
      .describe(
        'Directories that links found by a wildcard may lead to, beside the fixed part of the pattern, /var/log and /var/lib/docker/containers.',
      ),
    open_files_limit: integer({ min: 1 })
      .optional()
      .describe(
        'Files that are kept open at once; idle ones beyond it are opened again when they grow. By default a quarter of what the system allows, at most 4096.',
      ),
    inotify_watcher: boolean()
      .default('true')
      .describe('Watch directories for events; off: scan every second.'),
    'unicode.encoding': enumOf(...UNICODE_ENCODINGS)
      .optional()
      .describe('UTF-16LE, UTF-16BE, or auto by byte order mark.'),
    'generic.encoding': enumOf(...GENERIC_ENCODINGS)
      .optional()
      .describe('Encoding of the files, converted to UTF-8.'),
    db: path()
      .optional()
      .describe(
        'A database of its own for the positions of this input. One that Fluent Bit left is taken over and never written.',
      ),
    'db.sync': ignored('positions are written after every response and synced once a second'),
    'db.locking': ignored('positions are always locked'),
    'db.journal_mode': ignored('the journal is always WAL'),
    'db.compare_filename': ignored('files are told apart by inode and content'),
    watcher_interval: ignored('events are handled at once'),
    progress_check_interval: ignored('events are handled at once'),
    progress_check_interval_nsec: ignored('events are handled at once'),
    static_batch_size: ignored('files are read in turn, a bounded part each'),
    event_batch_size: ignored('files are read in turn, a bounded part each'),
    file_cache_advise: ignored('the page cache is left to the system'),
    'windows.path_encoding': ignored('Windows is not supported'),
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
  tags: (options, tag) => [options.tag_regex === undefined ? tag : tag.replaceAll(/<\w+>/g, '*')],
  async create(options, context) {
    const { cwd } = context;
    const tagRegex = options.tag_regex === undefined ? undefined : translateRegex(options.tag_regex);
    const format = formatOf(options, context);
    return new TailInput(
      {
        patterns: joinBraces(options.path).map((text) => compilePattern(text, cwd)),
        excluded: compileExclusion(joinBraces(options.exclude_path), cwd),
        tagOf: compileTag(context.tag, tagRegex),
        allowedRoots: options.allowed_roots,
        maxOpen: options.open_files_limit ?? openFilesLimit(),
        readFromHead: options.read_from_head,
        ignoreOlderMs: options.ignore_older * 1000,
        rescanMs: options.refresh_interval * 1000,
        inotify: options.inotify_watcher,
        key: options.key,
        formatOf: () => format,
        maxRecord: options.multiline_buffer_limit,
        pathKey: options.path_key,
        offsetKey: options.offset_key,
        skipEmptyLines: options.skip_empty_lines,
        // As in Fluent Bit, a line must be shorter than the buffer.
        maxLine: Math.max(16, options.buffer_max_size - 1),
        longLines: options.skip_long_lines ? 'skip' : 'cut',
        encoding: await loadEncoding(options['unicode.encoding'], options['generic.encoding']),
        exitOnEof: options.exit_on_eof,
        rotateWaitMs: options.rotate_wait * 1000,
        unterminatedMs: options.unterminated_timeout * 1000,
      },
      context,
    );
  },
});
