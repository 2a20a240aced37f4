/**
 * The `file` output: appends records to files, one write per file and attempt. A full disk costs nothing but time: see
 * file/append-file.ts. What is written is in the operating system's hands, not synced to the disk.
 */
import {
  allDelivered,
  boolean,
  defineOutput,
  enumOf,
  integer,
  path,
  RetryableError,
  SinkPool,
  size,
  string,
} from '../../src/plugin.ts';
import type { OptionProblem, Outcome, Rejection, Slice } from '../../src/plugin.ts';
import { resolve } from 'node:path';
import type { AppendFile } from './file/append-file.ts';
import { UnusableNameError } from './file/append-file.ts';
import { makeDestinations, templateProblem } from './file/destination.ts';
import type { Destination } from './file/destination.ts';
import { FileTable } from './file/file-table.ts';
import { makeFormat } from './file/format.ts';
import type { FileFormat } from './file/format.ts';
import { Rotation } from './file/rotation.ts';

const DELIMITERS: Readonly<Record<string, string>> = { tab: '\t', '\\t': '\t', space: ' ', comma: ',' };

const ACTIONS = ['error', 'drop', 'fallback'] as const;

/** Records of one slice that go to one file. */
interface Run {
  slice: Slice;
  from: number;
  to: number;
  /** Index of the first one through all slices. */
  index: number;
}

/** What one attempt writes, by file, and what it cannot. */
interface Plan {
  files: Map<AppendFile, Run[]>;
  rejected: Rejection[];
}

export default defineOutput({
  name: 'file',
  summary: 'Appends records to files',
  options: {
    path: path()
      .optional()
      .describe(
        'Directory. May hold record accessors ($key) behind a fixed part. Default: the working directory.',
      ),
    file: string().optional().describe('Name of the file; may hold record accessors. Default: the tag.'),
    enable_strftime: boolean()
      .default(false)
      .describe("Fills in `%Y`, `%m` … of path and file by the event's time, UTC."),
    max_dynamic_files: integer({ min: 0 })
      .default(1024)
      .describe(
        'Files with names made of records that may be in use at once; idle ones leave after ten minutes. 0: any number.',
      ),
    on_missing_field: enumOf(...ACTIONS)
      .default('error')
      .describe(
        'A record without a usable file name: `error` and `drop` reject it (dead letter), `fallback` writes to fallback_file.',
      ),
    on_limit_reached: enumOf(...ACTIONS)
      .default('error')
      .describe('A record beyond max_dynamic_files: the same.'),
    fallback_path: path().optional().describe('Directory of fallback_file.'),
    fallback_file: string().optional().describe('File for records that have none of their own.'),
    format: enumOf('out_file', 'plain', 'csv', 'ltsv', 'template', 'msgpack')
      .default('out_file')
      .describe('`out_file` writes `TAG: [TIME, {json}]`, `plain` the JSON alone.'),
    delimiter: string()
      .optional()
      .describe('Between fields of csv and ltsv: text, or `tab`, `space`, `comma`.'),
    label_delimiter: string()
      .optional()
      .describe('Between label and value of ltsv: text, or `tab`, `space`, `comma`.'),
    template: string()
      .default('{time} {message}')
      .describe('Line of the format `template`; `{key}` is a field, `{time}` the time.'),
    csv_column_names: boolean()
      .default(false)
      .describe('Begins an empty csv file with the names of the first record’s fields.'),
    mkdir: boolean().default(false).describe('Creates missing directories, mode 0755.'),
    rotate: boolean().default(false).describe('Moves the file away when it has reached rotate_max_size.'),
    rotate_max_size: size().default('100M').describe('Size from which on the file is rotated.'),
    rotate_max_files: integer({ min: 1 }).default(7).describe('Rotated files that are kept.'),
    rotate_gzip: boolean().default(true).describe('Compresses rotated files.'),
  },
  target: ['path', 'file'],
  example: `pipeline:
  outputs:
    - name: file
      match: 'app.*'
      path: /var/log/collected
      file: app.log
      mkdir: on
`,
  check(options) {
    const problems: OptionProblem[] = [];
    const message = templateProblem(options.path, options.file);
    if (message !== undefined)
      problems.push({ key: options.path?.includes('$') === true ? 'path' : 'file', message });
    for (const key of ['on_missing_field', 'on_limit_reached'] as const) {
      if (options[key] === 'fallback' && options.fallback_file === undefined) {
        problems.push({ key, message: 'is fallback, but there is no fallback_file: write one' });
      }
    }
    for (const key of ['fallback_path', 'fallback_file'] as const) {
      if (options[key]?.includes('$') === true)
        problems.push({ key, message: 'takes no record accessors: it must always be there' });
    }
    if (options.rotate && options.rotate_max_size === 0) {
      problems.push({ key: 'rotate_max_size', message: 'is 0: write a size, such as 100M' });
    }
    return problems;
  },
  async create(options, context) {
    const { cwd, log } = context;
    const rotation = options.rotate
      ? new Rotation({
          maxSize: options.rotate_max_size,
          maxFiles: options.rotate_max_files,
          gzip: options.rotate_gzip,
          log,
        })
      : undefined;
    const destinations = makeDestinations({
      path: options.path,
      file: options.file,
      strftime: options.enable_strftime,
      cwd,
    });
    const table = new FileTable(options.max_dynamic_files, { mkdir: options.mkdir, rotation });
    const fallback: Destination | undefined =
      options.fallback_file === undefined
        ? undefined
        : { path: resolve(cwd, options.fallback_path ?? '.', options.fallback_file), base: undefined };
    const format = await makeFormat({
      format: options.format,
      delimiter: delimiterOf(options.delimiter),
      labelDelimiter: delimiterOf(options.label_delimiter),
      template: options.template,
      csvColumnNames: options.csv_column_names,
    });
    const pool = new SinkPool();
    const named = options.file !== undefined;

    /** The file of a record, or why it has none. */
    const fileOf = (slice: Slice, index: number): AppendFile | string => {
      const destination = destinations.resolve(slice, index);
      if ('problem' in destination) {
        if (options.on_missing_field !== 'fallback' || fallback === undefined) return destination.problem;
        return table.get(fallback, false) ?? destination.problem;
      }
      // A tag as file name is no dynamic file in Fluent Bit's sense: there are as many as inputs.
      const file = table.get(destination, destination.base !== undefined && named);
      if (file !== undefined) return file;
      const problem = 'There are max_dynamic_files files in use already.';
      if (options.on_limit_reached !== 'fallback' || fallback === undefined) return problem;
      return table.get(fallback, false) ?? problem;
    };

    const planOf = (slices: readonly Slice[]): Plan => {
      const plan: Plan = { files: new Map(), rejected: [] };
      let index = 0;
      for (const slice of slices) {
        let at = 0;
        while (at < slice.length) {
          const file = fileOf(slice, at);
          let end = destinations.perSlice ? slice.length : at + 1;
          // Neighbours mostly go to the same file.
          while (end < slice.length && fileOf(slice, end) === file) end++;
          addRun(plan, file, { slice, from: at, to: end, index: index + at });
          at = end;
        }
        index += slice.length;
      }
      return plan;
    };

    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const { files, rejected } = planOf(slices);
        const retry: number[] = [];
        let failure: unknown;
        let delivered = false;
        for (const [file, runs] of files) {
          const sink = pool.take();
          try {
            // A write that has begun is seen through: it takes no answer from anybody, and leaves no half line.
            signal.throwIfAborted();
            await file.append((isEmpty) => build(format, runs, isEmpty, sink));
            delivered = true;
          } catch (error) {
            if (error instanceof UnusableNameError) {
              for (const run of runs) rejectRun(run, error.message, rejected);
            } else if (error instanceof RetryableError || signal.aborted) {
              failure ??= error;
              for (const run of runs)
                for (let at = run.from; at < run.to; at++) retry.push(run.index + at - run.from);
            } else {
              throw error;
            }
          } finally {
            pool.give(sink);
          }
        }
        if (failure !== undefined && !delivered && rejected.length === 0) throw failure;
        return outcomeOf(retry, rejected, failure);
      },
      close: () => table.close(),
    };
  },
});

function build(
  format: FileFormat,
  runs: readonly Run[],
  isEmpty: boolean,
  sink: { length: number } & Parameters<FileFormat['write']>[3],
): Buffer {
  sink.length = 0;
  const [first] = runs;
  if (isEmpty && format.header !== undefined && first !== undefined)
    sink.text(format.header(first.slice, first.from));
  for (const { slice, from, to } of runs) format.write(slice, from, to, sink);
  return sink.bytes;
}

function addRun(plan: Plan, file: AppendFile | string, run: Run): void {
  if (typeof file === 'string') {
    rejectRun(run, file, plan.rejected);
    return;
  }
  const runs = plan.files.get(file);
  if (runs === undefined) plan.files.set(file, [run]);
  else runs.push(run);
}

function rejectRun(run: Run, reason: string, rejected: Rejection[]): void {
  for (let at = run.from; at < run.to; at++) rejected.push({ index: run.index + at - run.from, reason });
}

function outcomeOf(retry: readonly number[], rejected: readonly Rejection[], failure: unknown): Outcome {
  if (retry.length === 0 && rejected.length === 0) return allDelivered;
  return { retry, rejected, ...(failure instanceof Error ? { reason: failure.message } : {}) };
}

/** Fluent Bit's words for delimiters; any other text stands for itself. */
function delimiterOf(written: string | undefined): string | undefined {
  return written === undefined ? undefined : (DELIMITERS[written.toLowerCase()] ?? written);
}
