/** The options of inputs that follow files: what is followed and for how long, how long a line may be, where positions are kept. */
import { boolean, csv, ignored, integer, path, size, time } from '../../../src/plugin.ts';
import type { OptionValues } from '../../../src/plugin.ts';
import { openFilesLimit } from './descriptors.ts';
import { compileExclusion, joinBraces } from './glob.ts';
import type { TailOptions } from './tail.ts';

/** Our limit where none is written: a longer line is cut, not the file dropped. */
const DEFAULT_MAX_LINE = 1_000_000;

export const followOptions = {
  exclude_path: csv()
    .default('')
    .describe('Patterns of files to leave out; one without a slash is taken for the file name alone.'),
  ignore_older: time()
    .default('0')
    .describe(
      'Leave out files that were not changed for this long when they are first seen. Remembered files are never left out.',
    ),
  ignore_active_older_files: ignored('a file that is being read is read to its end'),
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
      'Files that are kept open at once; idle ones beyond it are opened again when they grow. Files with something to read are kept open up to twice the limit. By default a quarter of what the system allows, at most 4096.',
    ),
  inotify_watcher: boolean()
    .default('true')
    .describe('Watch directories for events; off: scan every second.'),
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
};

type FollowSettings = Pick<
  TailOptions,
  | 'excluded'
  | 'allowedRoots'
  | 'maxOpen'
  | 'ignoreOlderMs'
  | 'rescanMs'
  | 'inotify'
  | 'maxLine'
  | 'longLines'
  | 'exitOnEof'
  | 'rotateWaitMs'
  | 'unterminatedMs'
>;

/** What they mean. Relative paths are resolved against `cwd`. */
export function followSettings(options: OptionValues<typeof followOptions>, cwd: string): FollowSettings {
  return {
    excluded: compileExclusion(joinBraces(options.exclude_path), cwd),
    allowedRoots: options.allowed_roots,
    maxOpen: options.open_files_limit ?? openFilesLimit(),
    ignoreOlderMs: options.ignore_older * 1000,
    rescanMs: options.refresh_interval * 1000,
    inotify: options.inotify_watcher,
    // As in Fluent Bit, a line must be shorter than the buffer.
    maxLine: Math.max(16, options.buffer_max_size - 1),
    longLines: options.skip_long_lines ? 'skip' : 'cut',
    exitOnEof: options.exit_on_eof,
    rotateWaitMs: options.rotate_wait * 1000,
    unterminatedMs: options.unterminated_timeout * 1000,
  };
}
